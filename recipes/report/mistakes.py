"""The part of a report that shows the worst mistakes, each with what explains it."""

from collections.abc import Callable, Mapping, Sequence

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


def found(files: Sequence[dict], split: str | None) -> list[dict]:
    """List the wrong predictions of a split, rows of `files.csv`, the most confident first."""
    wrong = [
        row | {"probability": float(row["probability"])}
        for row in files
        if row["split"] == split and not row.get("reason") and row["prediction"] != row["label"]
    ]
    return sorted(wrong, key=lambda row: (-row["probability"], row["path"]))


def worst(files: Sequence[dict], result: Mapping) -> list[dict]:
    """List the mistakes that the report shows."""
    return found(files, reported_split(result))[:MAX_MISTAKES]


def mistakes(
    files: Sequence[dict],
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
        "mistake_count": len(found(files, reported_split(result))),
        "checked": summary([explained[row["path"]].check for row in rows if row["path"] in explained]),
    }


def not_explained(path: str, picture: Callable[[str], np.ndarray | None]) -> dict:
    """Prepare a picture for the template `explained.html` where there is nothing but the picture itself.

    Args:
        picture: gives the pixels `(height, width, channels)` of a path, None if there are none.
    """
    return {"path": path, "thumbnail": thumbnail(picture(path))}
