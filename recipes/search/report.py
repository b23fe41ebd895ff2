"""One self-contained HTML page about a search: the best trials, what mattered, what failed."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from recipes.report.page import page
from recipes.report.suspects import suspects
from recipes.search.board import described
from recipes.search.plots import MIN_TRIALS, as_charts, varied
from recipes.search.records import TrialRecord, ranked, states_in_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_TRIALS = 20
MAX_FAILURES = 100


def render(
    result: dict,
    records: Sequence[TrialRecord],
    figures: Mapping[str, "Figure"],
    picture: Callable[[str], np.ndarray | None],
) -> str:
    """Write the report, as HTML text that any UTF-8 file can hold.

    Args:
        result: what is written to result.json.
        records: the trials.
        figures: charts, by title.
        picture: gives the pixels `(height, width, channels)` of a path, None if there are none; asked for suspects.
    """
    trials, names = ranked(records), varied(records)
    same = {name: value for trial in trials[:1] for name, value in trial.values.items() if name not in names}
    failures = [trial for trial in records if trial.state == "failed"]
    return page(
        "search.html",
        scope={"heads": "heads", "finetune": "ways to fine-tune"}[result["settings"]["scope"]],
        result=result,
        data=PurePath(result["data"]).name,
        trials=[trial.as_dict() for trial in trials[:MAX_TRIALS]],
        names=names,
        same=same,
        counted=states_in_words(records),
        suspects=suspects(result, picture),
        charts=as_charts(figures, records, result["importance"]),
        min_trials=MIN_TRIALS,
        failures=[trial.as_dict() | {"described": described(trial.values)} for trial in failures[:MAX_FAILURES]],
    )
