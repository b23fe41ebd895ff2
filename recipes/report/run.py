"""One self-contained HTML page that tells a person how well a training run went, and where it failed."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath

import numpy as np

from recipes.evaluation.metrics import LABEL_MEASURES, MEASURES
from recipes.report.confidence import confidence
from recipes.report.counts import counts, samples
from recipes.report.explained import Explained
from recipes.report.learning import learning
from recipes.report.measured import measured
from recipes.report.mistakes import SPLITS, mistakes, reported_split
from recipes.report.opening import opening
from recipes.report.page import page
from recipes.report.suspects import suspects
from recipes.report.thumbnails import thumbnail
from recipes.report.trials import trials

MAX_LEFT_OUT = 100


def render(
    result: dict,
    history: list[dict],
    files: list[dict],
    picture: Callable[[str], np.ndarray | None],
    augmented: Sequence[dict] = (),
    explained: Mapping[str, Explained] | None = None,
) -> str:
    """Write the report as HTML text that any UTF-8 file can hold.

    Args:
        result: values of `result.json`.
        history: rows of `history.csv`.
        files: rows of `files.csv`.
        picture: gives the pixels `(height, width, channels)` of a path, None if there are none; asked for mistakes.
        augmented: training pictures, each a `picture` with its `label` and `versions` of the same kind.
        explained: what explains the worst mistakes, by their paths.
    """
    scores, split = result.get("metrics") or {}, reported_split(result)
    left_out = [row for row in files if row.get("reason")]
    measures = {name: (MEASURES | LABEL_MEASURES)[name] for name in result.get("measures") or ["accuracy"]}
    return page(
        "run.html",
        **mistakes(files, result, picture, explained or {}),
        result=result,
        data=PurePath(result["data"]).name,
        split=split,
        splits=[
            *((name, scores[name]) for name in reversed(SPLITS) if name in scores),
            *((f"{name}, mean over crops", row) for name, row in (result.get("metrics_ten_crop") or {}).items()),
        ],
        charts=learning(history, result),
        trials=trials(result),
        measures=measures,
        suspects=suspects(result, picture),
        augmented=[[_titled(cell) for cell in (row, *row["versions"])] for row in augmented],
        left_out=left_out[:MAX_LEFT_OUT],
        left_out_count=len(left_out),
        opening=opening(result, split, next(iter(measures))) if split else None,
        **counts(result["class_counts"], result["classes"]),
        sampled=samples(files, _weakest_first(result, split), picture),
        **confidence(result),
        **(measured(scores[split], result["classes"]) if split else {}),
    )


def _weakest_first(result: dict, split: str | None) -> list[str]:
    """Order the classes by how often they are found in a part; by name where nothing was measured."""
    rows = result["metrics"][split]["classes"] if split else []
    recalls = {row["name"]: row["recall"] for row in rows}
    return sorted(result["classes"], key=lambda name: (recalls.get(name) is None, recalls.get(name) or 0, name))


def _titled(cell: dict) -> dict:
    """Make a thumbnail of a picture, and keep its label."""
    return {"thumbnail": thumbnail(cell["picture"]), "label": cell["label"]}
