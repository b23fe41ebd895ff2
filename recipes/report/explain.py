"""The page of `zoo explain`: pictures, what they were taken for, where, and which training pictures are like them."""

from collections.abc import Sequence

import numpy as np

from recipes.evaluation.occlusion import Check
from recipes.report.explained import Explained, figure
from recipes.report.page import page

# The others have their overlays in files of their own, and their words in explain.json.
MAX_SHOWN = 100


def render(run: str, stages: Sequence[str], explained: Sequence[Explained], count: int, note: str) -> str:
    """Write the page as HTML text that any UTF-8 file can hold.

    Args:
        run: the name of the run.
        stages: those whose maps are shown, of each backbone.
        explained: the answers to show.
        count: of all answers.
        note: why there are no nearest training pictures, or not of all; "" if there are.
    """
    return page(
        "explain.html",
        run=run,
        stages=stages,
        figures=[figure(one) for one in explained[:MAX_SHOWN]],
        count=count,
        checked=means([one.check for one in explained if one.check]),
        note=note,
    )


def means(checks: Sequence[Check]) -> dict | None:
    """Average what hiding a fifth costs a class, over several pictures; None without any."""
    if not checks:
        return None
    return {
        "count": len(checks),
        "hottest": float(np.mean([one.whole - one.without_hottest for one in checks])),
        "random": float(np.mean([one.whole - one.without_random for one in checks])),
    }
