"""Search: a hundred heads for the price of one pass; the best one becomes a run of `zoo finetune`.

    zoo tune DATA --trials 50 --output DIR
    zoo tune DATA --tuner hyperband --workers 4
    zoo tune DATA --storage postgresql://USER:PASSWORD@HOST/DATABASE --study NAME        # on as many machines as there are
    python -m recipes.tune DATA ...

The features of all pictures, at every candidate cut and in every view, are computed in one pass and kept. A trial trains a
head on those of three quarters of the training pictures and is judged on the last quarter. The parts that a run reports are
measured once, when the winner has been trained anew on all training pictures.

Workers share nothing but the storage of the trials, and none of them is special. The folder in which a study was begun gets
its table, its report and the winner's run, from whichever process holds it when the last trial has ended.
"""

if __name__ == "__main__":  # first of all: the command line imports nothing heavy before it has read the flags
    import sys

    from recipes.cli import main

    sys.exit(main(["tune", *sys.argv[1:]]))

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import sqlalchemy

import zoo
from recipes import features, finetune, runs, runtime
from recipes.config import FineTuneSettings, HeadSettings, Recipe, Tuning, size
from recipes.data.dataset import Dataset, prepare
from recipes.data.sources import Folder, scan
from recipes.errors import UserError, shown
from recipes.evaluate import wilson
from recipes.features import POOLED, VIEWS
from recipes.report.search import render
from recipes.search import events, fine_tuning, loop, plots, space, store
from recipes.search.board import Board, counted, ranked
from recipes.search.fine_tuning import FineTuner
from recipes.search.kept import Disk, Kept, logs
from recipes.search.oracle import oracle
from recipes.search.trainer import HeadTrainer
from recipes.strategies import probed
from zoo.progress import interrupted

STORAGE, MARK = "trials.db", ".study"
FILES = {"trials.csv", "search.json", "report.html", "best.json", "best", "models", "tensorboard"}
STATES = {"complete": "done", "fail": "failed"}  # the storage's words for what is called otherwise here


@dataclass
class Search:
    """What is known before the first trial."""

    settings: Tuning
    model: keras.Model
    data: Dataset
    train: np.ndarray  # indices of the training pictures
    held_out: np.ndarray  # places in `train` of those that judge trials
    cuts: dict[str, str]  # from a stage to the name of its features
    views: list[str]
    disk: Disk

    @property
    def kept(self) -> Kept:
        return Kept(self.disk, self.settings.keep)

    def features(self) -> dict[str, np.ndarray]:
        """By stage, `(views, training pictures, features)`; in one pass, which takes all other pictures along."""
        samples = [(i, view) for view in self.views for i in self.train]
        samples += [(i, "centre") for i in np.flatnonzero(self.data.splits != "train")]
        rows = features.extract(self.model, list(self.cuts.values()), self.data, samples, self.settings.batch_size)
        shape = len(self.views), len(self.train), -1
        return {cut: rows[name][np.arange(shape[0] * shape[1])].reshape(shape) for cut, name in self.cuts.items()}


@dataclass(frozen=True)
class Scope:
    """What is searched."""

    space: keras_tuner.HyperParameters
    work: Callable[[loop.Trial], dict]  # gives loss, accuracy and epoch
    recipe: Callable[[Mapping], Recipe]  # how to train the winner, from its trial's record


def run(settings: Tuning) -> None:
    """Search, and train the winner.

    Raises:
        UserError: data, storage, output or an argument cannot be used, or no trial has a score.
    """
    start = time.monotonic()
    found = scan(settings.data)
    with contextlib.ExitStack() as stack:
        owner = _hold(settings, stack)
        same = {name: getattr(settings, name) for name in ("scope", "tuner", "model", "epochs", "seed")}
        study = store.open_study(settings.storage or settings.output / STORAGE, _name(settings), same)
        home = owner and _at_home(settings, study)
        search = _prepare(settings, found)
        study.claim(_identity(search))
        scope = over_heads(search) if settings.scope == "heads" else over_fine_tunings(search, _best_head(search, study))
        tuner = oracle(settings.tuner, study, scope.space, settings.trials, settings.seed, settings.epochs)
        runs.say(_plan(search, study))
        seconds = {"features": time.monotonic() - start}
        _run_trials(search, study, tuner, scope)
        seconds["search"] = time.monotonic() - start - seconds["features"]
        if home:
            _finish(search, study, scope, seconds)
        else:
            runs.say(f"{counted(records(study))}. Table, report and winner: {study.optuna.user_attrs['home']['where']}")


def over_heads(search: Search) -> Scope:
    """Heads on features of the frozen network."""
    settings = search.settings
    declare = functools.partial(space.heads, cuts=list(search.cuts), views=search.views, epochs=settings.epochs)
    hps = keras_tuner.HyperParameters()
    declare(hps)

    others = np.setdiff1d(np.arange(len(search.train)), search.held_out)
    labels, classes = search.data.labels[search.train], len(search.data.classes)
    trainer = HeadTrainer(search.features(), labels, others, search.held_out, classes)

    def work(trial: loop.Trial) -> dict:
        result = trainer.train(declare(trial.hyperparameters), trial.seed, trial.report)
        search.kept.offer(trial.number, result.loss, result.weights)
        return {"loss": result.loss, "accuracy": round(result.accuracy, 6), "epoch": result.epoch}

    def recipe(trial: Mapping) -> Recipe:
        chosen = keras_tuner.HyperParameters()
        chosen.values = dict(trial["values"])
        return dataclasses.replace(_recipe(settings), strategy="small", tuned=declare(chosen))

    return Scope(hps, work, recipe)


def over_fine_tunings(search: Search, head: HeadSettings | None) -> Scope:
    """How much of the network to train, and how."""
    settings = search.settings
    cuts, policies = fine_tuning.choices(search.model, len(search.train) - len(search.held_out), settings.batch_size)
    recipe = dataclasses.replace(_recipe(settings), tuned=head, strategy="tuned", fine_tuning=FineTuneSettings())
    tuner = FineTuner(recipe, cuts, policies, settings.epochs, settings.output / "logs")
    hps = keras_tuner.HyperParameters()
    tuner.space(hps)
    return Scope(hps, tuner.work, tuner.winner)


def _best_head(search: Search, study: store.Study) -> HeadSettings | None:
    """Of the searches over heads on the same pictures in the same storage, the best head of the last features; what the
    first worker finds holds for this study.
    """
    mine = study.optuna.user_attrs["identity"]
    if "head" not in mine:
        same = {what: mine[what] for what in ("model", "weights", "pictures")}
        done = [(known, record) for known, record in study.beside(same | {"scope": "heads"})
                if record["state"] == "complete" and record["values"]["cut"] == "pre_logits"]  # fmt: skip
        known, best = min(done, key=lambda one: one[1]["loss"], default=(None, None))
        head = None
        if best:
            chosen = keras_tuner.HyperParameters()
            chosen.values = best["values"]
            head = dataclasses.asdict(space.heads(chosen, list(search.cuts), known["views"], known["epochs"]))
        study.claim({"head": head})
        mine = study.optuna.user_attrs["identity"]
    return mine["head"] and HeadSettings(**mine["head"])


def _recipe(settings: Tuning) -> Recipe:
    names = ("data", "model", "weights", "alpha", "image_size", "validation", "test", "mirror", "batch_size", "seed")
    return Recipe(output=settings.output / "best", **{name: getattr(settings, name) for name in names})


def _hold(settings: Tuning, stack: contextlib.ExitStack) -> bool:
    """Whether the folder is this process's until it ends; if it is another's, this one can but join it.

    Raises:
        UserError: it is another's and no storage was given to join through; or it holds what no search wrote.
    """
    output = settings.output
    try:
        output.mkdir(parents=True, exist_ok=True)
        names = set(os.listdir(output))
        if names - {".owner"} and not names & {MARK, STORAGE, "models"}:
            raise UserError(f"--output {shown(output)} holds files that no search wrote: choose a new or an empty folder.")
        stack.enter_context(store.alone(output))
    except OSError as error:
        raise UserError(f"--output {shown(output)} cannot be written ({error.strerror}): choose another.") from error
    except UserError:
        if settings.storage is None or names - {".owner"} and MARK not in names:
            raise
        return False
    return True


def _name(settings: Tuning) -> str:
    return settings.study or f"{settings.data.resolve().name} {settings.scope}"


def _at_home(settings: Tuning, study: store.Study) -> bool:
    """Whether the results are this folder's: the study was begun in it, or the trials ended without their reaching a folder."""
    mark = settings.output / MARK
    with study.lock():
        known = study.optuna.user_attrs.get("home")
        own = mark.read_text() if mark.exists() else None
        ended = [record for record in records(study) if record["state"] in ("done", "pruned", "failed")]
        if known and (own == known["mark"] or known["finished"] or len(ended) < settings.trials):
            return own == known["mark"]
        mark.write_text(own := uuid.uuid4().hex)
        where = f"{platform.node()}:{settings.output.resolve()}"
        study.optuna.set_user_attr("home", {"mark": own, "where": where, "finished": False})
    return True


def _prepare(settings: Tuning, found: Folder) -> Search:
    """Decode and divide; nothing is decoded if the disk could not hold it."""
    recipe = _recipe(settings)
    body = finetune.backbone(recipe)
    frame = finetune.framing(body)
    cuts = {stage: stage if body.get_layer(stage).output.ndim == 2 else stage + POOLED for stage in probed(zoo.stages(body))}
    views = [view for view in VIEWS if not (view.endswith("mirrored") and settings.mirror == "no")]
    if frame.resize == frame.size:  # there is nothing outside the crop to see
        views = [view for view in views if not view.startswith("wide")]
    # Two states of a training, of weights and the optimiser's two slots each, that a killed trial goes on from.
    states = 24 * body.count_params() * (settings.workers or 1) if settings.scope == "finetune" else 0
    widths = [body.get_layer(stage).output.shape[-1] for stage in cuts]
    disk = Disk(
        settings.output, size(settings.disk), pictures=len(found.files) * frame.resize**2 * frame.channels,
        features=4 * sum(widths) * len(views) * len(found.files), run=6 * body.count_params() + states,
        logs=logs(settings.trials, settings.epochs),
    )  # fmt: skip
    data = prepare(found, frame, settings.validation, settings.test, settings.seed)
    train, held_out = data.part("train"), data.inner(settings.seed).part("validation")
    return Search(settings, finetune.new_head(recipe, body, data), data, train, held_out, cuts, views, disk)


def _identity(search: Search) -> dict:
    """What the trials saw: it must be the same whenever, and wherever, the search goes on."""
    data, held_out = search.data, set(search.train[search.held_out].tolist())
    pictures = sorted(
        (digest, int(label), "held out" if i in held_out else str(part))
        for i, (digest, label, part) in enumerate(zip(data.digests, data.labels, data.splits, strict=True))
    )
    network = zoo.split(search.model, "pre_logits")[0]
    return {
        "weights": features.fingerprint(network, data.framing)[:12],
        "pictures": f"{len(pictures)} of {hashlib.sha256(repr(pictures).encode()).hexdigest()[:12]}",
        "views": search.views,
    } | ({"batch size": search.settings.batch_size} if search.settings.scope == "finetune" else {})


def _plan(search: Search, study: store.Study) -> str:
    """What is about to happen."""
    settings, data = search.settings, search.data
    unseen = ", ".join(f"{len(data.part(name)):,} {name}" for name in ("validation", "test") if len(data.part(name)))
    if settings.scope == "heads":
        what = f"features of {', '.join(search.cuts)}, in {len(search.views)} views"
    else:
        known = study.optuna.user_attrs["identity"]["head"]
        head = "the best of a search over heads" if known else "solved, for no search over heads is known"
        what = f"fine-tuning, each trial in a process of its own; its head is {head}"
    lines = [
        f"{shown(data.root)}: {len(search.train):,} training images of {len(data.classes):,} classes, of which "
        f"{len(search.held_out):,} are held out to judge trials; no trial sees the others ({unseen or 'there are none'}).",
        f"{settings.model}: {what}.",
        f"search {_name(settings)!r}: {settings.trials} trials by {settings.tuner}, of at most {settings.epochs} epochs; "
        f"{counted(records(study))} so far.",
        f"disk: at most {settings.disk} (--disk): {search.disk}; the rest for the {settings.keep} best models.",
    ]
    return "\n".join(lines)


def _run_trials(search: Search, study: store.Study, tuner, scope: Scope) -> None:
    """All that are left, here or in processes of their own."""
    settings = search.settings

    def work(trial: loop.Trial) -> dict:
        try:
            return scope.work(trial)
        except Exception:
            if interrupted.is_set():  # by Ctrl-C while TensorFlow was tracing, which makes another exception of it
                raise KeyboardInterrupt from None
            raise

    def ended(record: dict) -> None:
        if settings.tensorboard and search.disk.left > 0:
            rows = [{"epoch": epoch, "loss": loss} for epoch, loss in record["history"]]
            scores = {f"best {name}": value for name, value in record["result"].items()}
            events.write(settings.output / "tensorboard" / f"trial {record['trial']}", record["values"], rows, scores)

    gpus = runtime.gpus()
    count = settings.workers or max(1, len(gpus))
    with Board(settings.trials, functools.partial(records, study)):
        if count > 1:
            _start_workers(settings, count, gpus)
        loop.search(tuner, work, ended)  # alone; or what is left where workers have died


def _start_workers(settings: Tuning, count: int, gpus: Sequence[str]) -> None:
    """Processes that join this search, each with its share of the cores and the GPUs; returns when the last has ended."""
    joining = dataclasses.replace(
        settings, workers=1, study=_name(settings), storage=settings.storage or str((settings.output / STORAGE).resolve())
    )
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    children = []
    try:
        for number in range(count):
            environment = dict(os.environ)
            if gpus:
                environment["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
            if cores:  # what this thread may use, a process that it starts may use
                os.sched_setaffinity(0, cores[number % len(cores) :: count])
            with open(settings.output / f"worker-{number + 1}.log", "w") as log:
                command = [sys.executable, "-m", "recipes.tune", *_words(joining)]
                children.append(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        if cores:
            os.sched_setaffinity(0, cores)
        for number, child in enumerate(children, 1):
            if child.wait():
                log = settings.output / f"worker-{number}.log"
                last = log.read_text(errors="replace").strip().splitlines()[-1:]
                runs.say(f"worker {number} ended with status {child.returncode}: {shown(''.join(last))} (see {shown(log)})")
    finally:
        for child in children:
            if child.poll() is None:
                child.terminate()  # it gives its trial back
        for child in children:
            child.wait()


def _words(settings: Tuning) -> list[str]:
    """The command's arguments."""
    words = [str(settings.data)]
    for setting in dataclasses.fields(Tuning)[1:]:
        value = getattr(settings, setting.name)
        if value != setting.default:
            words += [f"--{setting.name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return words


def records(study: store.Study) -> list[dict]:
    """The trials as `recipes.search.board` describes them."""
    return [
        {
            "trial": row["trial"], "state": STATES.get(row["state"], row["state"]), "loss": row["loss"],
            "accuracy": row["result"].get("accuracy"), "epoch": row["result"].get("epoch"), "values": row["values"],
            "result": row["result"],
            "seed": row["seed"], "worker": f"{row['host']}:{row['pid']}", "seconds": row["seconds"], "runs": row["runs"],
            "started": row["began"] and row["began"].isoformat(sep=" ", timespec="seconds"), "message": row["message"],
        }
        for row in store.trials(study)
    ]  # fmt: skip


def _finish(search: Search, study: store.Study, scope: Scope, seconds: dict[str, float]) -> None:
    """Table, pictures, report; the winner's run; the report again, with what it has reached.

    Raises:
        UserError: no trial has a score.
    """
    output, trials = search.settings.output, records(study)
    _table(output / "trials.csv", trials)
    best = ranked(trials)
    if not best:
        reasons = "; ".join(dict.fromkeys(trial["message"] for trial in trials if trial["state"] == "failed"))
        raise UserError(f"No trial has a score. {shown(reasons)}")
    _report(search, study, trials, None, seconds)
    recipe, file = scope.recipe(best[0]), output / "best.json"
    start = time.monotonic()
    recipe.save(new := output / ".best.json.new")
    result = output / "best" / "result.json"
    if not (file.exists() and file.read_bytes() == new.read_bytes() and result.exists()):
        os.replace(new, file)
        runs.say(f"\nThe winner, trial {best[0]['trial']}, trained anew on all training images:")
        finetune.run(recipe)
    new.unlink(missing_ok=True)
    seconds["winner"] = time.monotonic() - start
    _report(search, study, trials, json.loads(result.read_text()), seconds)
    with study.lock():
        study.optuna.set_user_attr("home", study.optuna.user_attrs["home"] | {"finished": True})
    runs.say(f"\ntrials, best models and winner: {shown(output)}; report: {shown(output / 'report.html')}")
    runs.say(f"again: zoo finetune --recipe {shlex.quote(shown(file))}")


def _table(path: Path, trials: Sequence[Mapping]) -> None:
    """A row a trial, a column a hyper-parameter."""
    names = dict.fromkeys(name for trial in trials for name in trial["values"])
    rows = [
        {name: trial[name] for name in ("trial", "state", "loss", "accuracy", "epoch")}
        | {name: trial["values"].get(name) for name in names}
        | {name: trial[name] for name in ("seed", "worker", "started", "seconds", "runs", "message")}
        for trial in trials
    ]
    runs.write_csv(new := path.with_name(f".{path.name}.new"), rows)
    os.replace(new, path)


def _report(search: Search, study: store.Study, trials: Sequence[Mapping], winner: dict | None, seconds: dict) -> None:
    """search.json, the pictures and the page."""
    settings, data, output = search.settings, search.data, search.settings.output
    best, states = ranked(trials), Counter(trial["state"] for trial in trials)
    importance, explained = plots.importance(trials)
    figures = {"loss by trial": plots.draw_progress(trials)}
    names = list(importance) or plots.varied(trials)
    if names:
        figures["parallel coordinates"] = plots.draw_coordinates(trials, names)
    if importance:
        figures["importance"] = plots.draw_importance(importance, explained)
    right = round(best[0]["accuracy"] * len(search.held_out))
    if settings.storage and "://" in settings.storage:  # shown without its password
        settings = dataclasses.replace(settings, storage=sqlalchemy.make_url(settings.storage).render_as_string())
    result = {
        "schema": runs.SCHEMA, "recipe": "tune",
        "command": shlex.join(["zoo", "tune", *_words(settings)]),
        "repeat": shlex.join(["zoo", "finetune", "--recipe", str(output / "best.json")]),
        "settings": json.loads(json.dumps(dataclasses.asdict(settings), default=str)),
        "identity": study.optuna.user_attrs["identity"],
        "data": str(data.root.resolve()).encode("utf-8", "backslashreplace").decode(), "classes": list(data.classes),
        "counts": {"trials": len(trials), **states, "scored": len(best), "train": len(search.train),
                   "held_out": len(search.held_out), **{name: len(data.part(name)) for name in ("validation", "test")}},
        "best": best[0] | {"accuracy_interval": wilson(right, len(search.held_out))},
        "importance": importance, "explained": explained,
        "winner": winner and {"folder": "best", "metrics": winner["metrics"]},
        "workers": dict(Counter(trial["worker"] for trial in trials if trial["state"] != "waiting")),
        "disk": str(search.disk), "model": {"name": settings.model, "weights": search.model.origin.weights},
        "seconds": seconds, "versions": runs.versions(), "seed": settings.seed,
    }  # fmt: skip
    for title, figure in figures.items():
        _replace(output / f"{title.replace(' ', '_')}.png", lambda path, f=figure: f.savefig(path, dpi=120, format="png"))
    _replace(output / "search.json", lambda path: runs.write_json(path, result))
    page = render(result, trials, figures)
    _replace(output / "report.html", lambda path: path.write_text(page, encoding="utf-8"))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Under a name of its own first: what is there is whole at any time."""
    new = path.with_name(f".{path.name}.new")
    write(new)
    os.replace(new, path)
