"""One self-contained HTML page that tells a person how well a training run went, and where it failed."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from recipes.evaluation.metrics import LABEL_MEASURES, MEASURES
from recipes.report.charts import BLUE, GRAY, ORANGE, page_plot, svg, use_log_axis
from recipes.report.page import page
from recipes.report.suspects import suspects
from recipes.report.thumbnails import thumbnail

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The most trustworthy first.
SPLITS = ("test", "validation", "train")
MAX_MATRIX_CLASSES = 30
MAX_CONFUSIONS = 30
MAX_MISTAKES = 24
MAX_LEFT_OUT = 100


def render(
    result: dict,
    history: list[dict],
    files: list[dict],
    picture: Callable[[str], np.ndarray | None],
    augmented: Sequence[dict] = (),
) -> str:
    """Write the report as HTML text that any UTF-8 file can hold.

    Args:
        result: values of `result.json`.
        history: rows of `history.csv`.
        files: rows of `files.csv`.
        picture: gives the pixels `(height, width, channels)` of a path, None if there are none; asked for mistakes.
        augmented: training pictures, each a `picture` with its `label` and `versions` of the same kind.
    """
    scores = result.get("metrics") or {}
    split = next((name for name in SPLITS if name in scores), None)
    mistakes = _mistakes(files, split)
    left_out = [row for row in files if row.get("reason")]
    return page(
        "run.html",
        result=result,
        data=PurePath(result["data"]).name,
        split=split,
        splits=[
            *((name, scores[name]) for name in reversed(SPLITS) if name in scores),
            *((f"{name}, mean over crops", row) for name, row in (result.get("metrics_ten_crop") or {}).items()),
        ],
        charts=_curves(history, result) or _choice(result.get("head") or {}),
        measures={name: (MEASURES | LABEL_MEASURES)[name] for name in result.get("measures") or ["accuracy"]},
        mistakes=[row | {"thumbnail": thumbnail(picture(row["path"]))} for row in mistakes[:MAX_MISTAKES]],
        mistake_count=len(mistakes),
        suspects=suspects(result, picture),
        augmented=[[_titled(cell) for cell in (row, *row["versions"])] for row in augmented],
        left_out=left_out[:MAX_LEFT_OUT],
        left_out_count=len(left_out),
        **(_measured(scores[split], result["classes"]) if split else {}),
    )


def _measured(scores: dict, classes: list[str]) -> dict:
    """Prepare what the template shows of the reported split's measures."""
    measured = {
        "scores": scores,
        "correct": None if "effective_images" in scores else round(scores["accuracy"] * scores["images"]),
        "weakest": sorted(scores["classes"], key=lambda row: (row["recall"] is None, row["recall"] or 0, row["name"])),
    }
    if "confusion" not in scores:  # there is none of pictures with several labels
        return measured
    small = len(classes) <= MAX_MATRIX_CLASSES
    return measured | {
        "matrix": _matrix(scores["confusion"], classes) if small else None,
        "confusions": None if small else _confusions(scores, classes),
        "calibration": _calibration(scores["calibration"]),
    }


def _matrix(cells: list[list[int]], classes: list[str]) -> list[dict]:
    """Make rows of the confusion table; a cell's shade is its share of the row, with single images visible."""
    confusion = np.zeros((len(classes), len(classes)), int)
    for truth, prediction, count in cells:
        confusion[truth, prediction] = count
    totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shades = np.where(confusion, 0.12 + 0.48 * confusion / totals, 0)
    return [
        {
            "name": name,
            "cells": [
                {"count": int(count), "shade": f"{shade:.2f}", "right": i == j}
                for j, (count, shade) in enumerate(zip(confusion[i], shades[i], strict=True))
            ],
        }
        for i, name in enumerate(classes)
    ]


def _confusions(scores: dict, classes: list[str]) -> list[dict]:
    """List the most frequent pairs of truth and wrong prediction."""
    wrong = [cell for cell in scores["confusion"] if cell[0] != cell[1]]
    return [
        {"truth": classes[i], "prediction": classes[j], "count": count, "of": scores["classes"][i]["images"]}
        for i, j, count in sorted(wrong, key=lambda cell: (-cell[2], *cell[:2]))[:MAX_CONFUSIONS]
    ]


def _mistakes(files: list[dict], split: str | None) -> list[dict]:
    """List the wrong predictions of a split, most confident first."""
    wrong = [
        row | {"probability": float(row["probability"])}
        for row in files
        if row["split"] == split and not row.get("reason") and row["prediction"] != row["label"]
    ]
    return sorted(wrong, key=lambda row: (-row["probability"], row["path"]))


def _titled(cell: dict) -> dict:
    """Make a thumbnail of a picture, and keep its label."""
    return {"thumbnail": thumbnail(cell["picture"]), "label": cell["label"]}


def _curves(history: list[dict], result: dict) -> list[dict]:
    """Draw loss and accuracy over the epochs of all phases; nothing where no phase has two epochs."""
    trained = {phase["name"] for phase in (result.get("strategy") or {}).get("phases", ()) if phase["epochs"]}
    trained |= {"head"} if "epochs" in (result.get("head") or {}) else set()
    rows = [row for row in history if row["phase"] in trained]
    phases = Counter(row["phase"] for row in rows)
    if max(phases.values(), default=0) < 2:
        return []
    epochs = np.arange(1, len(rows) + 1)
    starts = [i + 0.5 for i in range(1, len(rows)) if rows[i]["phase"] != rows[i - 1]["phase"]]

    def chart(key: str) -> dict:
        figure, axes = page_plot("epoch", key)
        lines = {"train": _column(rows, key), "validation": _column(rows, f"validation_{key}")}
        _draw(axes, epochs, lines, starts)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False, labelcolor=GRAY)
        return {"title": f"{key} by epoch", "uri": svg(figure)}

    return [chart("loss"), chart("accuracy")]


def _choice(head: dict) -> list[dict]:
    """Draw cross-validated loss and accuracy of the head by what its kind chooses; nothing for fewer than two choices."""
    what = next((name for name in ("penalty", "scale") if name in head), None)
    rows = sorted(head["path"], key=lambda row: row[what]) if what else []
    if len(rows) < 2:
        return []
    choices = _column(rows, what)

    def chart(key: str) -> dict:
        figure, axes = page_plot(what, f"cross-validated {key}")
        use_log_axis(axes, choices)
        _draw(axes, choices, {key: _column(rows, key)}, [head[what]])
        return {"title": f"{key} by {what}", "uri": svg(figure)}

    return [chart("loss"), chart("accuracy")]


def _column(rows: list[dict], key: str) -> np.ndarray:
    """Collect the values of a key, NaN for None."""
    return np.array([np.nan if row.get(key) is None else row[key] for row in rows], dtype=float)


def _draw(axes: "Axes", across: np.ndarray, lines: dict[str, np.ndarray], marks: list[float]) -> None:
    """Draw up to two lines over the same points, and dashed upright marks."""
    for mark in marks:
        axes.axvline(mark, color=GRAY, linewidth=1, linestyle="--")
    for (label, up), color in zip(lines.items(), (BLUE, ORANGE), strict=False):
        if np.isfinite(up).any():  # without a validation split its columns are empty
            axes.plot(across, up, color=color, label=label, linewidth=1.8, marker="o", markersize=3.5)


def _calibration(bins: list[dict]) -> str:
    """Draw accuracy by confidence: a perfectly calibrated model's dots lie on the dashed diagonal."""
    figure, axes = page_plot("confidence", "accuracy")
    low, high, accuracy = (_column(bins, key) for key in ("low", "high", "accuracy"))
    axes.bar(low, accuracy, width=high - low, align="edge", color=BLUE + "66", edgecolor=BLUE)
    axes.plot(_column(bins, "confidence"), accuracy, "o", color=ORANGE, markersize=5)
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle="--")
    axes.set(xlim=(0, 1), ylim=(0, 1.05))
    return svg(figure)
