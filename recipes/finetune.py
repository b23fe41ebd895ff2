"""The main recipe: from a folder of images to a classifier, its report and the evidence for it.

    zoo finetune DATA --model mobilenet_v2 --strategy small --output DIR
    python -m recipes.finetune DATA ...

Check, split, choose a strategy, train, evaluate, report. Everything that a run chooses it chooses inside the training
part, so that what it reports about the other parts is what new pictures of the same kind will see.
"""

if __name__ == "__main__":  # first of all: the command line imports nothing heavy before it has read the flags
    import sys

    from recipes.cli import main

    sys.exit(main(["finetune", *sys.argv[1:]]))

import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np

import zoo
from callbacks.optimizers import RATES
from recipes import classifiers, features, heads, repeats, results, runs, training
from recipes.config import Recipe
from recipes.data import augment, labelled
from recipes.data.dataset import Dataset, prepare
from recipes.data.images import Framing
from recipes.data.sources import scan
from recipes.errors import UserError
from recipes.features import TEN_CROP, VIEWS
from recipes.models import own_options
from recipes.strategies import Strategy, choose
from zoo import facts
from zoo.progress import Progress
from zoo.weights import catalog

CACHED_BYTES = 8e9  # activations beyond that are computed in every epoch instead of being kept on the disk


@dataclass
class Run:
    """What a run has come to know."""

    recipe: Recipe
    model: keras.Model
    data: Dataset
    strategy: Strategy
    head: classifiers.Fitted | None = None
    history: list[dict] = field(default_factory=list)
    probabilities: np.ndarray | None = None  # (images, classes)
    repeats: dict | None = None  # what --seeds or --folds has given
    ten_crop: np.ndarray | None = None  # the same for what was held out, as means over several crops; NaN for the others
    augmented: training.Batches | None = None  # the last that were trained on
    states: list[Path] = field(default_factory=list)  # folders from which an interrupted run goes on
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def mirrored(self) -> bool:
        """Whether a mirrored picture is taken for one of its class."""
        return self.head.mirrored if self.head else self.recipe.mirror != "no"

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
    output = recipe.output or Path("runs") / recipe.data.resolve().name
    with runs.writing(output) as folder:
        # before weights are fetched for a folder that is not there
        found = labelled.scan(recipe.data, recipe.labels) if recipe.labels else scan(recipe.data)
        body = backbone(recipe)
        data = prepare(found, framing(body), recipe.validation, recipe.test, recipe.seed)
        keras.utils.set_random_seed(recipe.seed)
        model = new_head(recipe, body, data)
        strategy = _strategy(recipe, model, data)
        run = Run(recipe, model, data, strategy, seconds={"preparation": time.monotonic() - start})
        runs.say(results.plan(run))
        learn(run)
        with run.timed("evaluation"):
            run.probabilities = predict(run)
            if recipe.augment == "alexnet":
                run.ten_crop = predict_ten_crop(run)
        with run.timed("repeats"):
            run.repeats = repeats.measure(run, partial(again, run))
        results.write(run, folder, start)
    for state in run.states:
        shutil.rmtree(state, ignore_errors=True)
    runs.say(results.summary(folder=output))
    return output


def backbone(recipe: Recipe) -> keras.Model:
    """The pretrained network without its classifier.

    Raises:
        UserError: no such model or weights, or they do not go together.
    """
    options = own_options(recipe.model, recipe.alpha)
    options["weights"] = _weights(recipe)
    if recipe.image_size:
        channels = next(known.input_shape[2] for known in facts.read() if known.model == recipe.model)
        options["input_shape"] = (recipe.image_size, recipe.image_size, channels)
    try:
        return zoo.get_model(recipe.model, num_classes=0, **options)
    except ValueError as error:  # a sentence already
        raise UserError(str(error)) from error


def new_head(recipe: Recipe, body: keras.Model, data: Dataset, pooling: str | None = None) -> keras.Model:
    """The network with the recipe's classifier, untrained.

    Raises:
        UserError: the network has nothing to pool.
    """
    activation = "sigmoid" if data.labels.ndim > 1 else "softmax"
    try:
        return zoo.new_head(body, len(data.classes), 0.0, activation, recipe.head, pooling or recipe.pooling)
    except ValueError as error:  # a sentence already
        raise UserError(f"--pooling {recipe.pooling}: {error}") from error


def _weights(recipe: Recipe) -> str | None:
    """Which weights to ask for: the model's first in the catalog, if the recipe does not say."""
    if recipe.strategy == "scratch":
        if recipe.weights not in (None, "none"):
            raise UserError("--strategy scratch starts at random: leave out --weights, or choose another strategy.")
        return None
    if recipe.weights == "none":
        if recipe.strategy != "auto":
            raise UserError(
                f"--strategy {recipe.strategy} freezes layers that --weights none leaves untrained: "
                "give weights, or --strategy scratch."
            )
        return None
    if recipe.weights is None and not catalog.entries(recipe.model):
        raise UserError(f"{recipe.model} has no published weights: give a file as --weights, or --strategy scratch.")
    return recipe.weights or catalog.entries(recipe.model)[0].tag


def framing(body: keras.Model) -> Framing:
    """How a picture becomes the network's input; the short side before the crop is in the weights' own proportion."""
    size, origin = body.input_shape[1], body.origin
    return Framing(size, round(size * origin.resize / origin.size), body.input_shape[3], origin.interpolation)


def _strategy(recipe: Recipe, model: keras.Model, data: Dataset) -> Strategy:
    """The strategy, with the recipe's own epochs and learning rate, if it gives any.

    Raises:
        UserError: the recipe augments, and the strategy trains nothing on pictures.
    """
    pretrained = model.origin.weights is not None
    strategy = choose(recipe.strategy, zoo.stages(model), len(data.part("train")), pretrained)
    scale = RATES[recipe.optimizer] / RATES["adam"]
    phases = [
        replace(phase, epochs=recipe.epochs or phase.epochs, optimizer=recipe.optimizer,
                learning_rate=recipe.learning_rate or phase.learning_rate * scale)
        for phase in strategy.phases
    ]  # fmt: skip
    from_images = recipe.augment in ("alexnet", "modern")
    if from_images and not phases:
        raise UserError(
            f"--augment {recipe.augment} has nothing to act on: strategy {strategy.name} trains the head alone, on features "
            "that are computed once. Choose --strategy medium, large or scratch, or leave out --augment."
        )
    for i, phase in enumerate(phases):
        if not phase.augment and (from_images or _kept_bytes(model, phase.freeze_until, data) > CACHED_BYTES):
            phases[i] = replace(phase, augment=True)
    return replace(strategy, phases=tuple(phases))


def _kept_bytes(model: keras.Model, cut: str, data: Dataset) -> int:
    row = 4 * int(np.prod(model.get_layer(cut).output.shape[1:]))
    return row * (len(VIEWS) * len(data.part("train")) + len(data.paths))


def learn(run: Run) -> None:
    """Fit the head on frozen features, then train the strategy's phases."""
    data, train = run.data, run.data.part("train")
    views = [view for view in VIEWS if not (view.endswith("mirrored") and run.recipe.mirror == "no")]
    if run.recipe.augment == "none":
        views = ["centre"]
    if data.framing.resize == data.framing.size:  # there is nothing outside the crop to see
        views = [view for view in views if not view.startswith("wide")]
    rows = {}
    if run.strategy.head_first:
        cuts = ["pre_logits", *(phase.freeze_until for phase in run.strategy.phases if not phase.augment)]
        with run.timed("features"):
            samples = [(i, view) for view in views for i in train]
            samples += [(i, "centre") for i in range(len(data.paths))]
            rows = features.extract(run.model, cuts, data, list(dict.fromkeys(samples)), run.recipe.batch_size)
        with run.timed("head"):
            fit_head(run, rows["pre_logits"], views)
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
    with Progress("head", heads.STEPS, "steps at most") as progress:
        run.head = classifiers.fit(run.model, run.recipe.head, stacked, mirrored, labels[train], run.recipe.seed,
                                   run.recipe.mirror == "auto", weights(run, train), progress.advance)  # fmt: skip
    run.history += run.head.history


def weights(run: Run, images: np.ndarray) -> np.ndarray | None:
    """How much each of these pictures counts with --balance: all of a class together as much as all of any other."""
    if run.recipe.balance == "none":
        return None
    labels = run.data.labels[images]
    counts = np.bincount(labels, minlength=len(run.data.classes))
    return (len(labels) / len(counts) / counts[labels]).astype("float32")


def train_phase(run: Run, phase, rows, views: list[str]) -> None:
    """One phase, from images or from the activations that are kept before its first trained layer."""
    data, train, validation = run.data, run.data.part("train"), run.data.part("validation")
    part = training.prepare(run.model, phase)
    mix, threads, labels = None, 0, data.labels
    if phase.augment:
        read, mix = augment.pipeline(run.recipe.augment, data, train, run.mirrored)
        read_held_out, _ = augment.pipeline("none", data, validation, mirror=False)
        threads = max(2, os.cpu_count() or 1)
    else:
        read = training.from_features(rows, len(train), len(views))
        read_held_out = training.from_features(_centre_rows(run, phase.freeze_until).take(validation), len(validation))
    if mix and labels.ndim == 1:
        labels = np.eye(len(data.classes), dtype="float32")[labels]
    size, seed = run.recipe.batch_size, run.recipe.seed
    batches = training.Batches(read, labels[train], size, seed, mix, threads, weights(run, train),
                               sampling=run.recipe.balance == "sampling")  # fmt: skip
    held_out = training.Batches(read_held_out, labels[validation], size, seed) if len(validation) else None
    settings = replace(run.recipe, data=None, output=None, labels=None)  # the pictures themselves count, not where they lie
    known = (settings, phase, data.digests, data.labels.tolist(), data.splits.tolist(), views)
    run.states.append(training.state_folder(run.model, *known))
    run.history += training.train(part, phase, batches, held_out, run.states[-1])
    if phase.augment and run.recipe.augment != "none":
        run.augmented = batches


def _centre_rows(run: Run, cut: str):
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
    other = Run(recipe, model, data, run.strategy)
    learn(other)
    run.states += other.states
    return predict(other)


def predict(run: Run) -> np.ndarray:
    """Class probabilities `(images, classes)` of every picture, through the cut if what lies before it is frozen."""
    data, size = run.data, run.recipe.batch_size
    if run.strategy.phases and run.strategy.phases[-1].augment:
        with Progress("evaluation", len(data.paths), "images") as progress:
            samples = [(i, "centre") for i in range(len(data.paths))]
            return features.forward(run.model, data, samples, size, progress)[0]
    rows = _centre_rows(run, run.strategy.freeze_until)
    tail = zoo.split(run.model, run.strategy.freeze_until)[1]
    # Called, not `predict`, which would be traced anew for every repeat.
    return np.concatenate([
        keras.ops.convert_to_numpy(tail(rows[start : start + size], training=False)) for start in range(0, len(rows), size)
    ])  # fmt: skip


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
