"""What a search leaves behind: the table of its trials, `search.json`, pictures, the report, and the winner's run."""

import dataclasses
import json
import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import sqlalchemy

from recipes import finetune
from recipes.compute.versions import versions
from recipes.console import say
from recipes.errors import UserError, shown
from recipes.evaluation.intervals import wilson
from recipes.runs.folder import SCHEMA
from recipes.search import plots
from recipes.search.board import ranked
from recipes.search.report import render
from recipes.search.study import Study, trials
from zoo.files import replace, write_csv, write_json, write_text

STATES = {"complete": "done", "fail": "failed"}  # the storage's words for what is called otherwise here


def records(study: Study) -> list[dict]:
    """The trials as `recipes.search.board` describes them."""
    return [
        {
            "trial": row["trial"],
            "state": STATES.get(row["state"], row["state"]),
            "loss": row["loss"],
            "accuracy": row["result"].get("accuracy"),
            "epoch": row["result"].get("epoch"),
            "result": row["result"],
            "values": row["values"],
            "seed": row["seed"],
            "worker": f"{row['host']}:{row['pid']}",
            "runs": row["runs"],
            "started": row["began"] and row["began"].isoformat(sep=" ", timespec="seconds"),
            "seconds": row["seconds"],
            "message": row["message"],
        }
        for row in trials(study)
    ]


def finish(search, study: Study, scope, seconds: dict[str, float]) -> None:
    """Table, pictures, report; the winner's run; the report again, with what it has reached.

    Raises:
        UserError: no trial has a score.
    """
    output, trials = search.settings.folder, records(study)
    write_table(output, trials)
    best = ranked(trials)
    if not best:
        reasons = "; ".join(dict.fromkeys(trial["message"] for trial in trials if trial["state"] == "failed"))
        raise UserError(f"No trial has a score. {shown(reasons)}")
    pictures = _pictures(output, trials)
    _report(search, study, trials, pictures, None, seconds)
    recipe, file = scope.recipe(best[0]), output / "best.json"
    start = time.monotonic()
    recipe.save(file)
    done = output / "best" / "recipe.json"
    if not (done.exists() and done.read_bytes() == file.read_bytes()):
        say(f"\nThe winner, trial {best[0]['trial']}, trained anew on all training images:")
        finetune.run(recipe)
    seconds["winner"] = time.monotonic() - start
    _report(search, study, trials, pictures, json.loads(done.with_name("result.json").read_text()), seconds)
    with study.lock():
        study.optuna.set_user_attr("home", study.optuna.user_attrs["home"] | {"finished": True})
    say(f"\ntrials, best models and winner: {shown(output)}; report: {shown(output / 'report.html')}")
    say(f"again: zoo finetune --recipe {shlex.quote(shown(file))}")


def write_table(folder: Path, trials: Sequence[Mapping]) -> None:
    """trials.csv: a row a trial, a column a hyper-parameter."""
    names = dict.fromkeys(name for trial in trials for name in trial["values"])
    rows = [
        {name: trial[name] for name in ("trial", "state", "loss", "accuracy", "epoch")}
        | {name: trial["values"].get(name) for name in names}
        | {name: trial[name] for name in ("seed", "worker", "started", "seconds", "runs", "message")}
        for trial in trials
    ]
    write_csv(folder / "trials.csv", rows)


@dataclasses.dataclass(frozen=True)
class Pictures:
    """What is drawn of the trials: figures by title, and how much each hyper-parameter tells and all of them explain."""

    figures: Mapping
    importance: dict[str, float]
    explained: float


def _pictures(output: Path, trials: Sequence[Mapping]) -> Pictures:
    """Drawn, and each written as a file."""
    importance, explained = plots.importance(trials)
    names, figures = list(importance) or plots.varied(trials), {}
    if names:
        figures["parallel coordinates"] = plots.draw_coordinates(trials, names)
    if importance:
        figures["importance"] = plots.draw_importance(importance, explained)
    figures["loss by trial"] = plots.draw_progress(trials)
    for title, figure in figures.items():
        replace(output / f"{title.replace(' ', '_')}.png", lambda path, f=figure: f.savefig(path, dpi=120, format="png"))
    return Pictures(figures, importance, explained)


def _report(search, study: Study, trials: Sequence[Mapping], pictures: Pictures, winner: dict | None, seconds: dict) -> None:
    """search.json and the page."""
    settings, data, output = search.settings, search.data, search.settings.folder
    best, states = ranked(trials), Counter(trial["state"] for trial in trials)
    right = round(best[0]["accuracy"] * len(search.held_out))
    if settings.storage and "://" in settings.storage:  # shown without its password
        settings = dataclasses.replace(settings, storage=sqlalchemy.make_url(settings.storage).render_as_string())
    result = {
        "schema": SCHEMA,
        "recipe": "tune",
        "command": shlex.join(["zoo", "tune", *settings.words()]),
        "repeat": shlex.join(["zoo", "finetune", "--recipe", str(output / "best.json")]),
        "settings": json.loads(json.dumps(dataclasses.asdict(settings), default=str)),
        "identity": study.optuna.user_attrs["identity"],
        "data": str(data.root.resolve()).encode("utf-8", "backslashreplace").decode(),
        "classes": list(data.classes),
        "counts": {
            "trials": len(trials),
            **states,
            "scored": len(best),
            "train": len(search.train),
            "held_out": len(search.held_out),
            **{name: len(data.part(name)) for name in ("validation", "test")},
        },
        "best": best[0] | {"accuracy_interval": wilson(right, len(search.held_out))},
        "importance": pictures.importance,
        "explained": pictures.explained,
        "winner": winner and {"folder": "best", "metrics": winner["metrics"]},
        "workers": dict(Counter(trial["worker"] for trial in trials if trial["state"] != "waiting")),
        "disk": str(search.disk),
        "model": {"name": settings.model, "weights": search.model.origin.weights},
        "seconds": seconds,
        "versions": versions(),
        "seed": settings.seed,
    }
    write_json(output / "search.json", result)
    page = render(result, trials, pictures.figures)
    write_text(output / "report.html", page)
