"""What a search with a hypermodel leaves behind: the table of its trials, `result.json`, charts and the report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras_tuner

from recipes.compute.versions import versions
from recipes.report.charts import write_png
from recipes.report.page import page
from recipes.runs.folder import SCHEMA, escaped
from recipes.search import plots, results
from recipes.search.board import described
from recipes.search.hypermodel_search import FeatureSet, HypermodelSearch
from recipes.search.records import TrialRecord, ranked, states_in_words
from recipes.search.report import MAX_FAILURES, MAX_TRIALS
from recipes.search.study import Study
from zoo.files import write_json, write_text


@dataclass(frozen=True)
class Results:
    """Writes what the trials of a search with a hypermodel have shown."""

    search: HypermodelSearch
    objective: keras_tuner.Objective

    def scores(self, record: TrialRecord) -> dict[str, str]:
        """Write what is shown of a trial while the search runs."""
        return {self.objective.name: f"{record.result[self.objective.name]:.4f}", "epoch": str(record.epoch or "–")}

    def write_table(self, trials: Sequence[TrialRecord]) -> None:
        """Write trials.csv: the objective first, then all other metrics of the best epoch."""
        results.write_table(self.search.settings.folder, trials, self._metrics(trials))

    def write(self, study: Study, features: FeatureSet, seconds: float) -> None:
        """Write the table and, where a trial has a score, result.json, charts and the report."""
        folder, trials = self.search.settings.folder, study.records()
        self.write_table(trials)
        if not ranked(trials):
            return
        shares, explained = plots.importance(trials)
        loss = self.objective.name if self.objective.direction == "min" else f"−{self.objective.name}"
        figures = plots.draw_all(trials, shares, explained, loss)
        for title, figure in figures.items():
            write_png(folder / f"{title.replace(' ', '_')}.png", figure)
        result = self._result(study, trials, features, seconds) | {"importance": shares, "explained": explained}
        write_json(folder / "result.json", result)
        failures = [trial for trial in trials if trial.state == "failed"]
        text = page(
            "hypermodel.html",
            result=result,
            data=result["data"],
            scores=self._metrics(trials),
            trials=[trial.as_dict() for trial in ranked(trials)[:MAX_TRIALS]],
            names=plots.varied(trials),
            counted=states_in_words(trials),
            charts=plots.as_charts(figures, trials, shares, loss),
            min_trials=plots.MIN_TRIALS,
            failures=[trial.as_dict() | {"described": described(trial.values)} for trial in failures[:MAX_FAILURES]],
        )
        write_text(folder / "report.html", text)

    def _metrics(self, trials: Sequence[TrialRecord]) -> list[str]:
        """List the metrics that trials have, the objective first and the epoch last."""
        found = dict.fromkeys(name for trial in trials for name in trial.result)
        return [self.objective.name, *(name for name in found if name not in (self.objective.name, "epoch")), "epoch"]

    def _result(self, study: Study, trials: Sequence[TrialRecord], features: FeatureSet, seconds: float) -> dict:
        """Make the values of result.json."""
        search, best = self.search, ranked(trials)[0]
        return {
            "schema": SCHEMA,
            "recipe": "tune_hypermodel",
            "identity": study.identity,
            "build": study.identity["build"].split(" ")[0],
            "data": escaped(search.data) if isinstance(search.data, str | Path) else "arrays",
            "objective": {"name": self.objective.name, "direction": self.objective.direction},
            "executions_per_trial": search.executions_per_trial,
            "tuner": search.tuner.__name__,
            "counts": {
                "trials": len(trials),
                **Counter(trial.state for trial in trials),
                "scored": len(ranked(trials)),
                "train": len(features.train[0]),
                "held_out": len(features.validation[0]),
            },
            "best": best.as_dict() | {"score": best.result[self.objective.name]},
            "workers": dict(Counter(trial.worker for trial in trials if trial.state != "waiting")),
            "seconds": {"search": seconds},
            "versions": versions(),
            "seed": search.settings.seed,
        }
