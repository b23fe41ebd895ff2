"""Search: a hundred heads on features that are computed once; the best one becomes a run of `zoo finetune`.

    zoo tune DATA --trials 50 --output DIR
    zoo tune DATA --tuner hyperband --workers 4
    zoo tune DATA --storage postgresql://USER:PASSWORD@HOST/DATABASE --study NAME        # on as many machines as there are
    python -m recipes.tune DATA ...

The features of all pictures, at every candidate cut and in every view, are computed in one pass and kept. A trial trains a
head on those of three quarters of the training pictures and is judged on the last quarter. The parts that a run reports are
measured once, when the winner has been trained anew on all training pictures.

Workers share nothing but the storage of the trials, and none of them is special. The folder in which a study was begun gets
its table, its report and the winner's run, from whichever process holds it when the last trial has ended.

Measured on hymenoptera (244 pictures to train on, 153 in val/; MobileNet V1 0.25 at 128 px; seed 0; 2 CPU cores, TensorFlow
2.21, Keras 3.15.1), `--trials 16 --workers 2`: the winner has 86.3 % (79.9 to 90.8) on val/, the solved head of `zoo finetune
--strategy small` 84.3 % (77.7 to 89.2), which so few pictures do not tell apart. Time: benchmarks/search.py.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import contextlib
import dataclasses
import functools
import hashlib
import os
import platform
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import keras_tuner
import numpy as np

import zoo
from recipes.compute.devices import gpus
from recipes.console import say
from recipes.data.dataset import Dataset, prepare
from recipes.data.sources.folder import scan_folder
from recipes.data.sources.listing import Listing
from recipes.data.views import visible
from recipes.errors import UserError, shown
from recipes.search import fine_tuning, loop, space, tensorboard, workers
from recipes.search.best_models import Disk, Kept, logs
from recipes.search.board import ENDED, Board, counted
from recipes.search.fine_tuning import FineTuner
from recipes.search.oracle import oracle
from recipes.search.results import finish, records, write_table
from recipes.search.study import OWNER, Study, alone, open_study
from recipes.settings.finetune import Recipe
from recipes.settings.shared import size
from recipes.settings.tune import Tuning
from recipes.settings.tuned import FineTuneSettings, HeadSettings
from recipes.transfer import features
from recipes.transfer.backbone import backbone, framing, new_head
from recipes.transfer.features import POOLED
from recipes.transfer.head_trainer import HeadTrainer
from recipes.transfer.strategies import probed
from zoo.files import write_text
from zoo.progress import interrupted

STORAGE, MARK = "trials.db", ".study"


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
    found = scan_folder(settings.data)
    with contextlib.ExitStack() as stack:
        owner = _hold(settings, stack)
        same = {name: getattr(settings, name) for name in ("scope", "tuner", "model", "epochs", "seed")}
        study = open_study(settings.storage or settings.output / STORAGE, _name(settings), same)
        home = owner and _at_home(settings, study)
        search = _prepare(settings, found)
        study.claim(_identity(search))
        scope = over_heads(search) if settings.scope == "heads" else over_fine_tunings(search, _best_head(search, study))
        tuner = oracle(settings.tuner, study, scope.space, settings.trials, settings.seed, settings.epochs)
        say(_plan(search, study))
        seconds = {"features": time.monotonic() - start}
        try:
            _run_trials(search, study, tuner, scope)
        except KeyboardInterrupt:
            if home:
                write_table(settings.folder, records(study))
            raise
        seconds["search"] = time.monotonic() - start - seconds["features"]
        if home:
            finish(search, study, scope, seconds)
        else:
            say(f"{counted(records(study))}. Table, report and winner: {study.optuna.user_attrs['home']['where']}")


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
        size = sum(array.nbytes for array in result.weights)
        search.kept.offer(trial.number, result.loss, ".npz", size, functools.partial(_save, result.weights))
        return {"loss": result.loss, "accuracy": round(result.accuracy, 6), "epoch": result.epoch}

    def recipe(trial: Mapping) -> Recipe:
        tuned = declare(space.chosen(trial["values"]))
        return dataclasses.replace(_recipe(settings), strategy="small", augment="crops", tuned=tuned)

    return Scope(hps, work, recipe)


def _save(arrays: list[np.ndarray], path: Path) -> None:
    with open(path, "wb") as file:
        np.savez(file, *arrays)


def over_fine_tunings(search: Search, head: HeadSettings | None) -> Scope:
    """How much of the network to train, and how."""
    settings = search.settings
    cuts, policies = fine_tuning.choices(search.model, len(search.train) - len(search.held_out), settings.batch_size)
    recipe = dataclasses.replace(_recipe(settings), tuned=head, strategy="tuned", fine_tuning=FineTuneSettings())
    tuner = FineTuner(recipe, cuts, policies, settings.epochs, settings.folder / "logs", search.kept)
    hps = keras_tuner.HyperParameters()
    tuner.space(hps)
    return Scope(hps, tuner.work, tuner.winner)


def _best_head(search: Search, study: Study) -> HeadSettings | None:
    """Of the searches over heads on the same pictures in the same storage, the best head of the last features; what the
    first worker finds holds for this study.
    """
    mine = study.optuna.user_attrs["identity"]
    if "head" not in mine:
        same = {what: mine[what] for what in ("model", "weights", "pictures")}
        done = [
            (known, record)
            for known, record in study.beside(same | {"scope": "heads"})
            if record["state"] == "complete" and record["values"]["cut"] == "pre_logits"
        ]
        known, best = min(done, key=lambda one: one[1]["loss"], default=(None, None))
        head = None
        if best:
            chosen = space.chosen(best["values"])
            head = dataclasses.asdict(space.heads(chosen, list(search.cuts), known["views"], known["epochs"]))
        study.claim({"head": head})
        mine = study.optuna.user_attrs["identity"]
    return mine["head"] and HeadSettings(**mine["head"])


def _recipe(settings: Tuning) -> Recipe:
    names = ("data", "model", "weights", "alpha", "image_size", "validation", "test", "mirror", "batch_size", "seed")
    return Recipe(output=settings.folder / "best", **{name: getattr(settings, name) for name in names})


def _hold(settings: Tuning, stack: contextlib.ExitStack) -> bool:
    """Whether the folder is this process's until it ends; if it is another's, this one can but join it.

    Raises:
        UserError: it is another's and no storage was given to join through; or it holds what no search wrote.
    """
    output = settings.output
    try:
        output.mkdir(parents=True, exist_ok=True)
        names = os.listdir(output)
        if names and OWNER not in names:
            raise UserError(f"--output {shown(output)} holds files that no search wrote: choose a new or an empty folder.")
        (output / OWNER).touch()  # first of all: from now on the folder is known as a search's
        settings.folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {shown(output)} cannot be written ({error.strerror}): choose another.") from error
    try:
        stack.enter_context(alone(output))
    except UserError:
        if settings.storage is None:
            raise
        return False
    return True


def _name(settings: Tuning) -> str:
    return settings.study or f"{settings.data.resolve().name} {settings.scope}"


def _at_home(settings: Tuning, study: Study) -> bool:
    """Whether the results are this folder's: the study was begun in it, or the trials ended without their reaching a folder."""
    mark = settings.output / MARK
    with study.lock():
        known = study.optuna.user_attrs.get("home")
        own = mark.read_text() if mark.exists() else None
        ended = [record for record in records(study) if record["state"] in ENDED]
        if known and (own == known["mark"] or known["finished"] or len(ended) < settings.trials):
            return own == known["mark"]
        if own is None:
            write_text(mark, own := uuid.uuid4().hex)
        where = f"{platform.node()}:{settings.folder.resolve()}"
        study.optuna.set_user_attr("home", {"mark": own, "where": where, "finished": False})
    return True


def _prepare(settings: Tuning, found: Listing) -> Search:
    """Decode and divide; nothing is decoded if the disk could not hold it."""
    recipe = _recipe(settings)
    body = backbone(recipe)
    frame = framing(body)
    cuts = {stage: stage if body.get_layer(stage).output.ndim == 2 else stage + POOLED for stage in probed(zoo.stages(body))}
    views = visible(frame, settings.mirror != "no")
    # A worker's trained model, and two states of a training, of weights and the optimiser's two slots each, that a killed
    # trial goes on from.
    states = 28 * body.count_params() * (settings.workers or 1) if settings.scope == "finetune" else 0
    widths = [body.get_layer(stage).output.shape[-1] for stage in cuts]
    disk = Disk(
        settings.folder,
        size(settings.disk),
        pictures=len(found.files) * frame.resize**2 * frame.channels,
        features=4 * sum(widths) * len(views) * len(found.files),
        run=6 * body.count_params() + states,
        logs=logs(settings.trials, settings.epochs),
    )
    say(f"disk: at most {settings.disk} (--disk): {disk}; the rest for the {settings.keep} best models.")
    data = prepare(found, frame, settings.validation, settings.test, settings.seed)
    train, held_out = data.part("train"), data.inner(settings.seed).part("validation")
    return Search(settings, new_head(recipe, body, data), data, train, held_out, cuts, views, disk)


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


def _plan(search: Search, study: Study) -> str:
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
    ]
    return "\n".join(lines)


def _run_trials(search: Search, study: Study, tuner, scope: Scope) -> None:
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
            tensorboard.write(settings.folder / "tensorboard" / f"trial {record['trial']}", record["values"], rows, scores)

    devices = gpus()
    count = settings.workers or max(1, len(devices))
    with Board(settings.trials, functools.partial(records, study)):
        if count > 1:
            storage = settings.storage or str((settings.output / STORAGE).resolve())
            workers.run(dataclasses.replace(settings, workers=1, study=_name(settings), storage=storage), count, devices)
        loop.search(tuner, work, ended)  # alone; or what is left where workers have died
