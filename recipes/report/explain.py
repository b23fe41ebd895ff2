"""The page of `zoo explain`: pictures, what they were taken for, where, and which training pictures are like them."""

from collections.abc import Sequence

from recipes.evaluation.occlusion import MOVES
from recipes.report.explained import Explained, figure
from recipes.report.page import page

# The others have their overlays in files of their own, and their words in explain.json.
MAX_SHOWN = 100


def render(
    run: str, stages: Sequence[str], explained: Sequence[Explained], count: int, checked: str, notes: Sequence[str]
) -> str:
    """Write the page as HTML text that any UTF-8 file can hold.

    Args:
        run: the name of the run.
        stages: those whose maps are shown, of each backbone.
        explained: the answers to show.
        count: of all answers.
        checked: what the check says of all of them; "" without any.
        notes: sentences on what is missing.
    """
    return page(
        "explain.html",
        run=run,
        stages=stages,
        figures=[figure(one) for one in explained[:MAX_SHOWN]],
        count=count,
        checked=checked,
        moves=MOVES,
        notes=notes,
    )
