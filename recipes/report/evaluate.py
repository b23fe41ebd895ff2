"""One self-contained HTML page that tells a person how a finished run does on other pictures, and where it fails."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath

import numpy as np

from recipes.evaluation.metrics import LABEL_MEASURES, MEASURES
from recipes.report.confidence import confidence
from recipes.report.counts import counts
from recipes.report.measured import measured
from recipes.report.mistakes import MAX_MISTAKES, not_explained
from recipes.report.opening import opening
from recipes.report.page import page
from recipes.report.run import MAX_LEFT_OUT

MAX_GROUPS = 50


def render(result: dict, files: Iterable[dict], picture: Callable[[str], np.ndarray | None]) -> str:
    """Write the page as HTML text that any UTF-8 file can hold.

    Args:
        result: values of `result.json`.
        files: rows of `files.csv`, which are gone through several times, and of which few are kept.
        picture: gives the pixels `(height, width, channels)` of a path, None if there are none; asked for mistakes.
    """
    part = result["part"]
    scores = result["metrics"][part]
    left_out = [row for row in files if row["reason"]]
    measures = {name: (MEASURES | LABEL_MEASURES)[name] for name in result["measures"]}
    mistakes = heapq.nsmallest(MAX_MISTAKES, _wrong(files), key=lambda row: (-row["probability"], row["path"]))
    return page(
        "evaluate.html",
        result=result,
        data=PurePath(result["data"]).name,
        run=PurePath(result["run"]).name,
        opening=opening(result, part, next(iter(measures))),
        **counts(result["class_counts"], result["classes"]),
        split=part,
        splits=[(part, scores)],
        measures=measures,
        mistakes=[row | {"explained": not_explained(row["path"], picture)} for row in mistakes],
        mistake_count=sum(1 for _ in _wrong(files)),
        left_out=left_out[:MAX_LEFT_OUT],
        left_out_count=len(left_out),
        groups=(result["by_group"] or [])[:MAX_GROUPS],
        **confidence(result),
        **measured(scores, result["classes"]),
    )


def _wrong(files: Iterable[dict]) -> Iterator[dict]:
    """Give the wrong predictions."""
    return (row for row in files if not row["reason"] and row["prediction"] != row["label"])
