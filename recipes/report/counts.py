"""How many pictures of each class a run has used, as bars, and a few pictures of each class."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from recipes.evaluation.tasks import LABEL_SEPARATOR
from recipes.report.thumbnails import thumbnail

PARTS = ("train", "validation", "test")
# Beyond so many classes, half as many of the largest and of the smallest are shown.
MAX_COUNTED = 60
MAX_SAMPLED_CLASSES = 16
SAMPLES = 6
SAMPLE_PIXELS = 96


def counts(class_counts: Mapping[str, Mapping[str, int]], classes: Sequence[str]) -> dict:
    """Prepare the bars, the largest class first; all are drawn to one scale, that of the longest.

    Args:
        class_counts: of each part the pictures of each class.
        classes: their names.

    Returns:
        `counted_parts`, `counted`, a row a class, and `more_classes`, how many are not among them.
    """
    parts = [name for name in PARTS if name in class_counts] or list(class_counts)
    totals = {name: [class_counts[part].get(name, 0) for part in parts] for name in classes}
    longest = max((count for each in totals.values() for count in each), default=0) or 1
    order = sorted(classes, key=lambda name: (-sum(totals[name]), name))
    if len(order) > MAX_COUNTED:
        order = order[: MAX_COUNTED // 2] + order[-MAX_COUNTED // 2 :]
    rows = [
        {
            "name": name,
            "cells": [(part, count, f"{count / longest:.4f}") for part, count in zip(parts, totals[name], strict=True)],
        }
        for name in order
    ]
    return {"counted_parts": parts, "counted": rows, "more_classes": len(classes) - len(rows)}


def samples(files: Iterable[Mapping], weakest: Sequence[str], picture: Callable[[str], np.ndarray | None]) -> list[dict]:
    """Choose a few training pictures of each class, evenly over the table of files, and make them small.

    Args:
        files: rows of `files.csv`.
        weakest: names of the classes, those first that are shown if not all are.
        picture: gives the pixels `(height, width, channels)` of a path, None if there are none.

    Returns:
        A row a class: `name`, and `pictures`, each with `thumbnail` and `path`.
    """
    shown = list(weakest[:MAX_SAMPLED_CLASSES])
    paths: dict[str, list[str]] = {name: [] for name in shown}
    for row in files:
        if row["split"] == "train" and not row.get("reason"):
            for label in {row["label"], *row["label"].split(LABEL_SEPARATOR)} & paths.keys():
                paths[label].append(row["path"])
    rows = []
    for name in shown:
        chosen = np.unique(np.linspace(0, len(paths[name]) - 1, SAMPLES).astype(int)) if paths[name] else ()
        found = [{"path": paths[name][i], "thumbnail": thumbnail(picture(paths[name][i]), SAMPLE_PIXELS)} for i in chosen]
        rows.append({"name": name, "pictures": [one for one in found if one["thumbnail"]]})
    return [row for row in rows if row["pictures"]]
