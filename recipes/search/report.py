"""One self-contained HTML page about a search: the best trials, what mattered, what failed."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from recipes.report.charts import svg
from recipes.report.page import page
from recipes.search.board import counted, described, ranked
from recipes.search.plots import varied

BEST, FAILURES = 20, 100  # rows


def render(result: dict, records: Sequence[Mapping], figures: Mapping) -> str:
    """The report as HTML text that any UTF-8 file can hold.

    Args:
        result: what is written to search.json.
        records: the trials; see `recipes.search.board`.
        figures: from a title to a matplotlib figure.
    """
    trials, names = ranked(records), varied(records)
    same = {name: value for trial in trials[:1] for name, value in trial["values"].items() if name not in names}
    failures = [trial for trial in records if trial["state"] == "failed"]
    return page(
        "search.html",
        scope={"heads": "heads", "finetune": "ways to fine-tune"}[result["settings"]["scope"]],
        result=result,
        data=PurePath(result["data"]).name,
        trials=trials[:BEST],
        names=names,
        same=same,
        counted=counted(records),
        charts=[{"title": title, "uri": svg(figure)} for title, figure in figures.items()],
        failures=[{**trial, "described": described(trial["values"])} for trial in failures[:FAILURES]],
    )
