"""What a search leaves behind: the table of its trials, `result.json`, charts and the report."""

import dataclasses
import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.compute.versions import versions
from recipes.errors import UserError, shown
from recipes.evaluation.intervals import wilson
from recipes.report.charts import write_png
from recipes.runs.folder import SCHEMA, escaped
from recipes.search import plots
from recipes.search.folder import TABLE
from recipes.search.preparation import Search
from recipes.search.records import TrialRecord, ranked
from recipes.search.report import render
from recipes.search.storage import without_password
from recipes.search.study import Study
from recipes.transfer.state import Clock
from zoo.files import write_csv, write_json, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_table(folder: Path, trials: Sequence[TrialRecord], scores: Sequence[str] = ("loss", "accuracy", "epoch")) -> None:
    """Write trials.csv: a row a trial, a column a hyper-parameter.

    Args:
        scores: what trials have reached, by the names in their results.
    """
    names = dict.fromkeys(name for trial in trials for name in trial.values)
    rows = []
    for trial in trials:
        cells = trial.as_dict()
        rows.append(
            {name: cells[name] for name in ("trial", "state")}
            | {name: trial.result.get(name, cells.get(name)) for name in scores}
            | {name: trial.values.get(name) for name in names}
            | {name: cells[name] for name in ("seed", "worker", "started", "seconds", "runs", "message")}
        )
    write_csv(folder / TABLE, rows)


@dataclass(frozen=True)
class Results:
    """What the trials of a search have shown, drawn once and written before and after the winner is trained."""

    search: Search
    identity: Mapping
    trials: Sequence[TrialRecord]
    importance: Mapping[str, float]
    """How much each hyper-parameter tells about the loss."""
    explained: float
    """How much all of them explain."""
    figures: Mapping[str, "Figure"]

    @classmethod
    def of(cls, search: Search, study: Study) -> "Results":
        """Read the trials and draw them, and write table and charts.

        Raises:
            UserError: no trial has a score.
        """
        folder, trials = search.settings.folder, study.records()
        write_table(folder, trials)
        if not ranked(trials):
            reasons = "; ".join(dict.fromkeys(trial.message for trial in trials if trial.state == "failed"))
            raise UserError(f"No trial has a score. {shown(reasons)}")
        importance, explained = plots.importance(trials)
        figures = plots.draw_all(trials, importance, explained)
        for title, figure in figures.items():
            write_png(folder / f"{title.replace(' ', '_')}.png", figure)
        return cls(search, study.identity, trials, importance, explained, figures)

    @property
    def best(self) -> TrialRecord:
        """The trial with the lowest loss."""
        return ranked(self.trials)[0]

    def write(self, winner: Mapping | None, clock: Clock) -> None:
        """Write result.json and the report.

        Args:
            winner: the result of the winner's run; None if it has not been trained yet.
            clock: counts the step "report"; has counted the others.
        """
        folder = self.search.settings.folder
        with clock.step("report"):
            result = self._result(winner, clock.as_dict())
            write_text(folder / "report.html", render(result, self.trials, self.figures, self.search.data.picture))
        write_json(folder / "result.json", result | {"seconds": clock.as_dict()})  # the report's too

    def _result(self, winner: Mapping | None, seconds: Mapping[str, float]) -> dict:
        """Make the values of result.json."""
        search, data, settings = self.search, self.search.data, self.search.settings
        held_out, origin = len(search.held_out), search.model.origin
        if settings.storage:
            settings = dataclasses.replace(settings, storage=without_password(settings.storage))
        return {
            "schema": SCHEMA,
            "recipe": "tune",
            "command": shlex.join(["zoo", "tune", *settings.words()]),
            "repeat": shlex.join(["zoo", "finetune", "--recipe", str(settings.folder / "best.json")]),
            "settings": json.loads(json.dumps(dataclasses.asdict(settings), default=str)),
            "identity": self.identity,
            "data": escaped(settings.data),
            "classes": list(data.classes),
            "counts": {
                "trials": len(self.trials),
                **Counter(trial.state for trial in self.trials),
                "scored": len(ranked(self.trials)),
                "train": len(search.train),
                "held_out": held_out,
                **{name: len(data.part(name)) for name in ("validation", "test")},
            },
            "best": self.best.as_dict() | {"accuracy_interval": wilson(round(self.best.accuracy * held_out), held_out)},
            "importance": self.importance,
            "explained": self.explained,
            "winner": winner and {"folder": "best", "metrics": winner["metrics"]},
            **{name: winner[name] for name in ("suspects", "suspects_reason") if winner},
            "workers": dict(Counter(trial.worker for trial in self.trials if trial.state != "waiting")),
            "disk": str(search.disk),
            "model": {
                "name": settings.model,
                "weights": origin.weights,
                "license": origin.license,
                "citations": origin.citations,
            },
            "seconds": seconds,
            "versions": versions(),
            "seed": settings.seed,
        }
