"""The main recipe: from a folder of images to a classifier, its report and the evidence for it.

    zoo finetune DATA --model mobilenet_v2 --strategy small --output DIR
    python -m recipes.finetune DATA ...

Check, split, choose a strategy, train, evaluate, report. Everything that a run chooses it chooses inside the training
part, so that what it reports about the other parts is what new pictures of the same kind will see.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import math
import os
import shutil
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np

import zoo
from callbacks.averaging import interpolate
from callbacks.optimizers import RATES
from callbacks.penalties import l2_sp
from recipes.console import say
from recipes.data import augment
from recipes.data.batches import Batches, from_features
from recipes.data.dataset import Dataset, prepare
from recipes.data.sources.folder import scan_folder
from recipes.data.sources.labels import scan_labels
from recipes.data.views import TEN_CROP, VIEWS, visible
from recipes.errors import UserError
from recipes.evaluation.metrics import tempered
from recipes.runs import model_file
from recipes.runs.folder import writing
from recipes.settings.finetune import Recipe
from recipes.settings.shared import seconds
from recipes.transfer import batch_norm, features, heads, logistic, repeats, results, training
from recipes.transfer.backbone import backbone, framing, new_head
from recipes.transfer.choice import SHARES, auto, next_to_try, within_budget
from recipes.transfer.evidence import Evidence, Trial
from recipes.transfer.features import POOLED
from recipes.transfer.probes import measure
from recipes.transfer.strategies import STRATEGIES, Strategy, tuned
from zoo.heads import COSINE
from zoo.layers import CLASSIFIER
from zoo.progress import Progress

CLOSING = 20.0  # seconds for the start of Python before, and for writing model and report behind
JUDGES, DIVISIONS = 50, 3  # of pictures that should judge a trial; in how many divisions of a small folder, at most
CACHED_BYTES = 8e9  # activations beyond that are computed in every epoch instead of being kept on the disk


@dataclass
class Run:
    """What a run has come to know."""

    recipe: Recipe
    model: keras.Model
    data: Dataset
    facts: Evidence | None = None
    strategy: Strategy | None = None
    deadline: float = math.inf  # of training, as time.monotonic() counts
    head: heads.Fitted | None = None
    history: list[dict] = field(default_factory=list)
    probabilities: np.ndarray | None = None  # (images, classes)
    repeats: dict | None = None  # what --seeds or --folds has given
    ten_crop: np.ndarray | None = None  # the same for what was held out, as means over several crops; NaN for the others
    augmented: Batches | None = None  # the last that were trained on
    start: list[np.ndarray] = field(default_factory=list)  # the weights where the last phase began
    states: list[Path] = field(default_factory=list)  # folders from which an interrupted run goes on
    report: Callable[[dict], None] = lambda row: None  # gets each row of the phases' history at once
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def mirrored(self) -> bool:
        """Whether a mirrored picture is taken for one of its class."""
        return self.head.mirrored if self.head else self.recipe.mirror != "no"

    @property
    def vector(self) -> str:
        """What the head sees, as `features.extract` calls it: the same for a network that ends at an earlier stage."""
        cut = self.recipe.tuned.cut if self.recipe.tuned else "pre_logits"
        return cut if self.model.get_layer(cut).output.ndim == 2 else cut + POOLED

    @property
    def augment(self) -> str:
        """What training pictures go through."""
        return self.strategy.augment if self.recipe.augment == "auto" else self.recipe.augment

    @contextmanager
    def timed(self, step: str):
        start = time.monotonic()
        yield
        self.seconds[step] = self.seconds.get(step, 0.0) + time.monotonic() - start


def run(recipe: Recipe) -> Path:
    """Do all of it; returns the run's folder.

    Raises:
        UserError: data, weights or output cannot be used; the output folder is as it was.
    """
    start = time.monotonic()
    output = recipe.folder
    with writing(output) as folder:
        run = begin(recipe)
        with model_file.stranger() as stranger:
            run.seconds["preparation"] = time.monotonic() - start
            with run.timed("choice"):
                run.facts = known_facts(recipe, run.model, run.data, start)
                if run.facts.budget is not None:
                    run.deadline = time.monotonic() + run.facts.budget
                _rehearse(run)
                if run.facts.budget is not None:
                    run.facts = replace(run.facts, budget=run.deadline - time.monotonic())
                run.strategy = chosen_strategy(recipe, run.model, run.data, run.facts)
            say(results.plan(run))
            learn(run)
            with run.timed("evaluation"):
                run.probabilities = predict(run)
                if run.augment == "alexnet":
                    run.ten_crop = predict_ten_crop(run)
            with run.timed("repeats"):
                run.repeats = repeats.measure(run, partial(again, run))
            results.write(run, folder, start, stranger)
    for state in run.states:
        shutil.rmtree(state, ignore_errors=True)
    say(results.summary(folder=output))
    return output


def begin(recipe: Recipe) -> Run:
    """The pictures, divided, and the network with an untrained head.

    Raises:
        UserError: data or weights cannot be used.
    """
    keras.utils.set_random_seed(recipe.seed)  # a network without weights is drawn, whatever this process drew before
    # before weights are fetched for a folder that is not there
    found = scan_labels(recipe.data, recipe.labels) if recipe.labels else scan_folder(recipe.data)
    body = backbone(recipe)
    data = prepare(found, framing(body), recipe.validation, recipe.test, recipe.seed)
    batch_norm.check(recipe.batch_norm, len(data.part("train")), recipe.batch_size)
    keras.utils.set_random_seed(recipe.seed)
    return Run(recipe, new_head(recipe, body, data), data)


def known_facts(recipe: Recipe, model: keras.Model, data: Dataset, start: float) -> Evidence:
    """What the strategy needs to know: what the folder says by itself; for `auto`, and where time is short, what is measured.

    Raises:
        UserError: the budget is too short.
    """
    counts, pretrained = data.counts("train").values(), model.origin.weights is not None
    facts = Evidence(len(data.part("train")), len(counts), min(counts), recipe.batch_size, pretrained=pretrained)
    if recipe.budget and data.labels.ndim > 1:
        raise UserError("--budget cannot be kept with --labels: what it is kept by is measured on pictures with one label.")
    if not recipe.budget and (recipe.strategy != "auto" or not pretrained or data.labels.ndim > 1):
        return facts
    budget = seconds(recipe.budget) if recipe.budget else None
    measured = measure(model, data, data.part("train"), recipe.batch_size, recipe.seed, budget)
    facts = replace(measured, batch_size=recipe.batch_size, pretrained=pretrained)
    if budget is None:
        return facts
    once = recipe.strategy in ("full", "scratch") or (recipe.strategy == "small" and recipe.augment != "crops")
    views = 0 if once else len(VIEWS) * facts.images
    needed = CLOSING + (views + len(data.paths)) / facts.forward
    left = start + budget - time.monotonic() - needed
    if left < 0:
        raise UserError(
            f"--budget {recipe.budget} is too short: reading {len(data.paths):,} images and passing them through the network "
            f"takes about {time.monotonic() - start + needed:.0f} s. Give more time, fewer images or a smaller model."
        )
    return replace(facts, budget=left)


def chosen_strategy(recipe: Recipe, model: keras.Model, data: Dataset, facts: Evidence) -> Strategy:
    """The strategy, with the recipe's own epochs, learning rate and batch norm, if it gives any.

    Raises:
        UserError: what the recipe asks of training cannot be had, or the strategy trains nothing.
    """
    asked = {"augment": recipe.augment in ("alexnet", "modern"), "batch-norm": recipe.batch_norm != "inference"}
    if recipe.strategy == "auto":
        strategy = auto(zoo.stages(model), facts, any(asked.values()))
    elif recipe.strategy == "tuned":
        strategy = tuned(zoo.stages(model), facts, "a search found it", recipe.fine_tuning, recipe.augment != "none")
    else:
        strategy = STRATEGIES[recipe.strategy](zoo.stages(model), facts, "it was asked for")
    for flag in asked:
        if asked[flag] and not strategy.phases:
            raise UserError(
                f"--{flag} {getattr(recipe, flag.replace('-', '_'))} has nothing to act on: strategy {strategy.name} trains "
                f"the head alone, on features that are computed once. Choose --strategy auto, medium or large, or leave it out."
            )
    scale = RATES[recipe.optimizer] / RATES["adam"]
    phases = [
        replace(
            phase,
            epochs=recipe.epochs or phase.epochs,
            optimizer=recipe.optimizer,
            learning_rate=recipe.learning_rate or phase.learning_rate * scale,
            batch_norm=recipe.batch_norm if strategy.name != "scratch" else phase.batch_norm,
            augment=phase.augment or asked["augment"] or _kept_bytes(model, phase.freeze_until, data) > CACHED_BYTES,
        )
        for phase in strategy.phases
    ]
    try:
        return within_budget(replace(strategy, phases=tuple(phases)), facts)
    except ValueError as error:
        raise UserError(f"{error}: give a longer --budget than {recipe.budget}, or a cheaper --strategy.") from error


def _rehearse(run: Run) -> None:
    """Try strategies inside the training part, until enough is known to choose one: the model is as it was afterwards."""
    recipe = run.recipe
    if recipe.strategy != "auto" or run.data.labels.ndim > 1:
        return
    from_images = recipe.augment in ("alexnet", "modern") or recipe.batch_norm != "inference"
    parts = [run.data.inner(recipe.seed, "test")]  # which nobody looks at while training
    judges, first = len(parts[0].part("test")), None
    if 0 < judges < JUDGES and run.facts.budget is None:
        parts += [run.data.inner(recipe.seed + i, "test") for i in range(1, min(DIVISIONS, math.ceil(JUDGES / judges)))]
    truth = np.concatenate([part.labels[part.part("test")] for part in parts])
    while judges and (name := next_to_try(run.facts, from_images)):
        say(f"trying {name} on {len(truth):,} training images held out:")
        found = [_try(run, name, part) for part in parts]
        for share in found[0]:
            guess = np.concatenate([guesses[share] for guesses in found])
            losses = tempered(truth, guess)
            first = losses if first is None else first
            error = float((first - losses).std() / math.sqrt(len(losses)))
            right = float((guess.argmax(axis=1) == truth).mean())
            tried = Trial(name, len(truth), float(losses.mean()), right, error, share)
            run.facts = replace(run.facts, rehearsals=(*run.facts.rehearsals, tried))


def _try(run: Run, name: str, part: Dataset) -> dict[float, np.ndarray]:
    """Train a strategy for a third of its epochs; the probabilities of the test part at each share of the way."""
    start, held_out, guesses = run.model.get_weights(), part.part("test"), {}
    facts = replace(run.facts, images=len(part.part("train")), budget=None)
    strategy = chosen_strategy(replace(run.recipe, strategy=name), run.model, part, facts)
    shorter = tuple(replace(p, epochs=math.ceil(p.epochs / 3), interpolation=1.0) for p in strategy.phases)
    trial = Run(run.recipe, run.model, part, facts, replace(strategy, phases=shorter), deadline=run.deadline)
    learn(trial)
    end = run.model.get_weights()
    for share in SHARES if shorter else (1.0,):
        if shorter:
            interpolate(run.model, trial.start, end, share)
        guesses[share] = predict(trial, held_out)
    run.states += trial.states
    run.model.set_weights(start)
    return guesses


def _kept_bytes(model: keras.Model, cut: str, data: Dataset) -> int:
    row = 4 * int(np.prod(model.get_layer(cut).output.shape[1:]))
    return row * (len(VIEWS) * len(data.part("train")) + len(data.paths))


def learn(run: Run) -> None:
    """Fit the head on frozen features, then train the strategy's phases."""
    data, train = run.data, run.data.part("train")
    views = ["centre"] if run.augment == "none" else visible(data.framing, run.recipe.mirror != "no")
    rows = {}
    if run.strategy.head_first:
        cuts = [run.vector, *(phase.freeze_until for phase in run.strategy.phases if not phase.augment)]
        with run.timed("features"):
            samples = [(i, view) for view in views for i in train]
            samples += [(i, "centre") for i in range(len(data.paths))]
            rows = features.extract(run.model, cuts, data, list(dict.fromkeys(samples)), run.recipe.batch_size)
        with run.timed("head"):
            fit_head(run, rows[run.vector], views)
    if run.head and not run.head.mirrored:
        views = [view for view in views if not view.endswith("mirrored")]
    zoo.freeze(run.model, run.strategy.freeze_until)
    for phase in run.strategy.phases:
        with run.timed(phase.name):
            train_phase(run, phase, rows.get(phase.freeze_until), views)


def fit_head(run: Run, rows, views: list[str]) -> None:
    """The recipe's head, fitted to the features of the training part, becomes the model's classifier."""
    train, labels = run.data.part("train"), run.data.labels
    stacked = rows[: len(views) * len(train)].reshape(len(views), len(train), -1)
    mirrored = [view.endswith("mirrored") for view in views]
    if run.recipe.tuned:
        run.head = heads.fit_tuned(run.model, run.recipe.tuned, stacked, mirrored, labels[train], run.recipe.seed)
        run.history += run.head.history
        return
    with Progress("head", logistic.STEPS, "steps at most") as progress:
        run.head = heads.fit(
            run.model,
            run.recipe.head,
            stacked,
            mirrored,
            labels[train],
            run.recipe.seed,
            run.recipe.mirror == "auto",
            weights(run, train),
            progress.advance,
        )
    run.history += run.head.history


def weights(run: Run, images: np.ndarray) -> np.ndarray | None:
    """How much each of these pictures counts with --balance: all of a class together as much as all of any other."""
    if run.recipe.balance == "none":
        return None
    return logistic.balanced(run.data.labels[images], len(run.data.classes))


def train_phase(run: Run, phase, rows, views: list[str]) -> None:
    """One phase, from images or from the activations that are kept before its first trained layer."""
    data, train, validation = run.data, run.data.part("train"), run.data.part("validation")
    part = training.prepare(run.model, phase, math.ceil(len(train) / run.recipe.batch_size))
    if run.head:  # the head was solved with a penalty: without it, it would grow
        l2_sp(part, phase.hold, run.head.decay, COSINE if run.recipe.head == "cosine" else CLASSIFIER)
    mix, threads, labels = None, 0, data.labels
    if phase.augment:
        read, mix = augment.pipeline(run.augment, data, train, run.mirrored)
        read_held_out, _ = augment.pipeline("none", data, validation, mirror=False)
        threads = max(2, os.cpu_count() or 1)
    else:
        read = from_features(rows, len(train), len(views))
        read_held_out = from_features(_center_rows(run, phase.freeze_until).take(validation), len(validation))
    if mix and labels.ndim == 1:
        labels = np.eye(len(data.classes), dtype="float32")[labels]
    size, seed = run.recipe.batch_size, run.recipe.seed
    batches = Batches(
        read, labels[train], size, seed, mix, threads, weights(run, train), sampling=run.recipe.balance == "sampling"
    )
    held_out = Batches(read_held_out, labels[validation], size, seed) if len(validation) else None
    settings = replace(run.recipe, data=None, output=None, labels=None)  # the pictures themselves count, not where they lie
    known = (settings, phase, data.digests, data.labels.tolist(), data.splits.tolist(), views)
    run.states.append(training.state_folder(run.model, *known))
    run.start = run.model.get_weights()
    run.history += training.train(part, phase, batches, held_out, run.states[-1], run.deadline, run.report, run.model)
    if phase.interpolation < 1:
        interpolate(run.model, run.start, run.model.get_weights(), phase.interpolation)
    if phase.augment and run.augment != "none":
        run.augmented = batches


def _center_rows(run: Run, cut: str):
    """What the stage `cut` gives for every picture as evaluation sees it."""
    samples = [(i, "centre") for i in range(len(run.data.paths))]
    return features.extract(run.model, [cut], run.data, samples, run.recipe.batch_size)[cut]


def again(run: Run, data: Dataset, seed: int) -> np.ndarray:
    """Probabilities of all pictures from another run of the recipe: with other parts, and another seed."""
    recipe = replace(run.recipe, seed=seed)
    keras.utils.set_random_seed(seed)
    if run.strategy.phases:
        model = new_head(recipe, backbone(recipe), data)
    else:  # the network is as it was
        model = new_head(recipe, run.model, data, pooling="average")
    other = Run(recipe, model, data, strategy=run.strategy)
    learn(other)
    run.states += other.states
    return predict(other)


def predict(run: Run, images: np.ndarray | None = None) -> np.ndarray:
    """Class probabilities `(images, classes)` of some pictures or of all, through the cut if what lies before it is frozen."""
    data, size = run.data, run.recipe.batch_size
    images = np.arange(len(data.paths)) if images is None else images
    if run.strategy.phases and run.strategy.phases[-1].augment:
        with Progress("evaluation", len(images), "images") as progress:
            return features.forward(run.model, data, [(i, "centre") for i in images], size, progress)[0]
    cut = run.strategy.freeze_until
    rows = _center_rows(run, run.vector if cut == "pre_logits" else cut).take(images)
    tail = zoo.split(run.model, cut)[1]
    # Called, not `predict`, which would be traced anew for every repeat.
    return np.concatenate(
        [keras.ops.convert_to_numpy(tail(rows[start : start + size], training=False)) for start in range(0, len(rows), size)]
    )


def predict_ten_crop(run: Run) -> np.ndarray:
    """Class probabilities of the pictures that were held out, each the mean over four corners, the centre and their mirrors."""
    data = run.data
    held_out = np.flatnonzero(data.splits != "train")
    views = [view for view in TEN_CROP if run.mirrored or not view.endswith("mirrored")]
    means = np.full((len(data.paths), len(data.classes)), np.nan, "float32")
    if len(held_out):
        with Progress("ten crops", len(held_out) * len(views), "views") as progress:
            samples = [(i, view) for i in held_out for view in views]
            guesses = features.forward(run.model, data, samples, run.recipe.batch_size, progress)[0]
        means[held_out] = guesses.reshape(len(held_out), len(views), -1).mean(axis=1)
    return means
