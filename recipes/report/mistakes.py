"""The part of a report that shows the worst mistakes, each with what explains it."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from recipes.report.explained import Explained, figure, summary
from recipes.report.thumbnails import thumbnail

# The most trustworthy first.
SPLITS = ("test", "validation", "train")
MAX_MISTAKES = 24


def reported_split(result: Mapping) -> str | None:
    """Name the part whose measures and mistakes a report shows; None where nothing was measured."""
    scores = result.get("metrics") or {}
    return next((name for name in SPLITS if name in scores), None)


def wrong(files: Iterable[dict], result: Mapping) -> Iterator[dict]:
    """Give the wrong predictions of the part that a report is about, rows of `files.csv`."""
    split = reported_split(result)
    for row in files:
        if row["split"] == split and not row.get("reason") and row["prediction"] != row["label"]:
            yield row | {"probability": float(row["probability"])}


def worst(files: Iterable[dict], result: Mapping) -> list[dict]:
    """List the mistakes that the report shows, the most confident first."""
    return heapq.nsmallest(MAX_MISTAKES, wrong(files, result), key=lambda row: (-row["probability"], row["path"]))


def mistakes(
    files: Iterable[dict],
    result: Mapping,
    picture: Callable[[str], np.ndarray | None],
    explained: Mapping[str, Explained],
) -> dict:
    """Prepare the mistakes for the template `mistakes.html`.

    Args:
        picture: gives the pixels `(height, width, channels)` of a path, None if there are none; asked where `explained` has
            nothing of it.
    """
    rows = worst(files, result)
    return {
        "mistakes": [
            row
            | {"explained": figure(explained[row["path"]]) if row["path"] in explained else not_explained(row["path"], picture)}
            for row in rows
        ],
        "mistake_count": sum(1 for _ in wrong(files, result)),
        "checked": summary([explained[row["path"]].check for row in rows if row["path"] in explained]),
    }


def not_explained(path: str, picture: Callable[[str], np.ndarray | None]) -> dict:
    """Prepare a picture for the template `explained.html` where there is nothing but the picture itself.

    Args:
        picture: gives the pixels `(height, width, channels)` of a path, None if there are none.
    """
    return {"path": path, "thumbnail": thumbnail(picture(path))}
