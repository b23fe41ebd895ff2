"""The lecture's ways to regularise, at several training-set sizes: how far the test lies behind the training.

    zoo compare_regularizers DATA --output DIR
    python -m recipes.lecture.compare_regularizers DATA ...

- L2: λ Σ w² over the kernels is added to the cost.
- dropout: each batch removes a random subset of the neurons before the classifier. The lecture scales the outgoing weights
  by p, the probability of being present, at test time; Keras scales what is present by 1/p in training. Both agree in
  expectation (tests/recipes/lecture/test_compare_regularizers.py).
- early stopping: every few epochs the validation log-loss is compared with the last time's; if it is higher, training
  stops and goes back to the model of that time (`callbacks.early_stopping`). The lecture's example looks every 10 epochs.
- augmentation: each picture is moved by a few pixels at random, its border drawn out; no mirror, which digits do not bear.

That the gradient of a small batch is noisy regularises as well, says the lecture: here every run has it, "none" too.

Each has one strength to choose: λ, rate, epochs between two looks, pixels. Each gets four values, one run a value, at the
middle size; the lowest validation loss decides, and combinations take over what was chosen. Then everything is trained at
every size with several seeds, of which each draws its own training set, start and order, the same for all. Accuracy and
loss are those of a test part that nothing has been chosen on; the loss is without penalties. The gap is the training
part's value, measured as in use (no dropout, no shift), against the test's. Intervals are over seeds.

Measured on MNIST (LeNet-5 from a random start, 1,000 test pictures, 3 seeds; mean and half of the 95 % interval; λ 0.001,
dropout 0.2, a look every 2 epochs, 1 pixel; 2 CPU cores, TensorFlow 2.21, Keras 3.15.1; 79 runs in 608 s of processor time):

                    test accuracy in %                          test loss minus training loss
    images          100          300          1,000             100            300            1,000
    none            78.0 ± 5.0   87.0 ± 1.0   90.9 ± 0.9        0.72 ± 0.29    0.41 ± 0.04    0.26 ± 0.03
    L2              78.1 ± 4.7   86.9 ± 1.4   90.5 ± 0.6        0.71 ± 0.28    0.40 ± 0.04    0.24 ± 0.04
    dropout         78.1 ± 4.6   86.8 ± 1.5   90.1 ± 1.7        0.72 ± 0.29    0.41 ± 0.05    0.25 ± 0.02
    early stopping  78.1 ± 4.7   86.4 ± 1.0   90.5 ± 0.7        0.56 ± 0.19    0.32 ± 0.12    0.23 ± 0.12
    augmentation    78.3 ± 4.1   88.0 ± 1.3   92.0 ± 0.6        0.66 ± 0.20    0.32 ± 0.09    0.15 ± 0.06
    L2 + dropout    78.1 ± 4.5   86.7 ± 1.5   90.0 ± 1.5        0.70 ± 0.27    0.40 ± 0.05    0.23 ± 0.04
    all             78.5 ± 4.4   87.3 ± 3.2   90.8 ± 2.6        0.54 ± 0.24    0.25 ± 0.21    0.14 ± 0.06

More data closes the gap more than any of them. Of them augmentation does most: it has the best means at 300 and 1,000
pictures, and at 1,000 a loss that is separated from that of "none". Dropout was best at its lowest rate, and L2 and dropout
change nothing that three seeds can show.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import keras
import numpy as np

import zoo
from callbacks.early_stopping import IntervalEarlyStopping
from callbacks.optimizers import RATES
from recipes.console import say
from recipes.data import augment
from recipes.data.batches import Batches
from recipes.data.dataset import Dataset
from recipes.data.images import center
from recipes.errors import UserError, shown
from recipes.evaluation.verdict import verdict_over_seeds
from recipes.lecture.comparison import (
    PixelReader,
    RepeatedTraining,
    bands,
    center_crops,
    plus_minus,
    prepare_sample,
    stratified,
)
from recipes.runs.journal import Experiment
from recipes.settings.finetune import Recipe
from recipes.settings.lecture import CompareRegularizers
from recipes.transfer.backbone import backbone, framing
from recipes.transfer.combined import require_one
from zoo.progress import Progress

STRENGTHS = {
    "L2": (1e-4, 3e-4, 1e-3, 3e-3),
    "dropout": (0.2, 0.4, 0.6, 0.8),
    "early stopping": (1, 2, 5, 10),
    "augmentation": (1, 2, 3, 4),
}
METHODS = {
    "none": (),
    **{name: (name,) for name in STRENGTHS},
    "L2 + dropout": ("L2", "dropout"),
    "all": tuple(STRENGTHS),
}


def run(settings: CompareRegularizers) -> Path:
    """Choose the strengths, train everything, draw the gap; return the folder that holds it.

    Raises:
        UserError: data, model or output cannot be used.
    """
    require_one(settings.model, "zoo compare_regularizers trains a network, and")
    recipe, largest = Recipe(settings.data, model=settings.model, weights="none"), max(settings.sizes)
    # Twice as many as needed, so that the training sets of two seeds differ also at the largest size.
    data = prepare_sample(settings.data, framing(backbone(recipe)), settings.seed, 2 * largest, settings.held_out, test=True)
    there = len(data.part("train"))
    if there < largest:
        raise UserError(f"{shown(settings.data)} leaves {there:,} pictures to train on: give --sizes up to that.")
    with Experiment(settings) as experiment:
        compiled = cache(lambda l2, dropout: _compile(recipe, len(data.classes), settings.optimizer, l2, dropout))

        def result(method: str, strengths: dict[str, float], size: int, seed: int, part: str) -> dict:
            """Train once and measure the part; what is there is kept when other sizes and seeds are asked for."""
            values = ", ".join(f"{name} {value:g}" for name, value in strengths.items())
            return experiment.once(
                f"{method}: {values or '-'}; {size} images, seed {seed}, {part}",
                lambda: _work(settings, data, compiled, strengths, size, seed, part),
                but=("sizes", "seeds"),
                largest=largest,
            )

        work = sum(map(len, STRENGTHS.values())) + len(METHODS) * len(settings.sizes) * settings.seeds
        with Progress("training", work, "runs") as progress:
            chosen = _choose(settings, result, progress)
            found = _train(settings, chosen, result, progress)
        _report(experiment, settings, chosen, found)
        return experiment.folder


def _choose(settings: CompareRegularizers, result: Callable[..., dict], progress: Progress) -> dict[str, float]:
    """Choose of each method's strengths the one with the lowest validation loss at the middle size."""
    middle, chosen = sorted(settings.sizes)[len(settings.sizes) // 2], {}
    for method, values in STRENGTHS.items():
        losses = {}
        for value in values:
            losses[value] = result(method, {method: value}, middle, settings.seed, "validation")["loss"]
            progress.advance()
        chosen[method] = min(losses, key=losses.get)
        say(f"{method}: {chosen[method]:g}")
    return chosen


def _train(
    settings: CompareRegularizers, chosen: dict[str, float], result: Callable[..., dict], progress: Progress
) -> dict[tuple[str, int], list[dict]]:
    """Train every method at every size with every seed, and measure the test part."""
    found = {}
    for size in settings.sizes:
        for method, parts in METHODS.items():
            strengths = {part: chosen[part] for part in parts}
            for seed in range(settings.seed, settings.seed + settings.seeds):
                found.setdefault((method, size), []).append(result(method, strengths, size, seed, "test"))
                progress.advance()
    return found


def _compile(recipe: Recipe, classes: int, optimizer: str, l2: float, dropout: float) -> RepeatedTraining:
    """Compile the recipe's network with a new head, a penalty and dropout."""

    def build(l2: float = 0.0, dropout: float = 0.0) -> keras.Model:
        model = zoo.new_head(backbone(recipe), classes, dropout)
        zoo.regularize(model, l2)
        return model

    return RepeatedTraining(build, optimizer, l2=l2, dropout=dropout)


def _work(
    settings: CompareRegularizers,
    data: Dataset,
    compiled: Callable[[float, float], RepeatedTraining],
    strengths: dict[str, float],
    size: int,
    seed: int,
    part: str,
) -> dict:
    """Train once on so many pictures, and measure the training part and another."""
    training = compiled(strengths.get("L2", 0.0), strengths.get("dropout", 0.0))
    train, held_out = data.part("train"), data.part("validation")
    train = train[stratified(data.labels[train], np.random.default_rng(seed))[:size]]
    epochs = max(1, round(settings.epochs * math.sqrt(100 / size)))
    options = {}
    if interval := strengths.get("early stopping"):
        validation = Batches(center_crops(data, held_out), data.labels[held_out], 256, seed)
        options = dict(
            validation_data=validation,
            validation_freq=interval,
            callbacks=[IntervalEarlyStopping(interval, "val_log_loss", verbose=False)],
        )
    read = shifted(data, train, strengths.get("augmentation", 0))
    batches = Batches(read, data.labels[train], settings.batch_size, seed)
    history = training.train(batches, seed, RATES[settings.optimizer], epochs, **options)
    after = {f"training_{name}": value for name, value in training.score(data, train).items()}
    return training.score(data, data.part(part)) | after | {"epochs": len(history["loss"])}


def shifted(data: Dataset, images: np.ndarray, most: int) -> PixelReader:
    """Make a reader of pictures moved by up to `most` pixels in both directions; the border is drawn out."""

    def read(samples: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        pixels = center(data.pixels[images[samples]], data.framing)
        pixels = np.pad(pixels, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
        return augment.random_crop(pixels, generator, data.framing.size)

    return read


def _report(
    experiment: Experiment,
    settings: CompareRegularizers,
    chosen: dict[str, float],
    found: dict[tuple[str, int], list[dict]],
) -> None:
    """Write table, figure and verdict."""

    def values(method: str, size: int, what: str) -> list[float]:
        results = found[method, size]
        if what.endswith("gap"):  # positive where the test is worse
            name, sign = what.split()[0], -1 if what.startswith("loss") else 1
            return [sign * (result[f"training_{name}"] - result[name]) for result in results]
        return [result[what] for result in results]

    rows = [
        {"images": size, "regularizer": method, "epochs": float(np.mean(values(method, size, "epochs")))}
        | {
            k: v
            for what in ("accuracy", "accuracy gap", "loss", "loss gap")
            for k, v in plus_minus(what, values(method, size, what)).items()
        }
        for size in settings.sizes
        for method in METHODS
    ]
    sizes = sorted(settings.sizes)
    panels = {
        title: {m: np.transpose([values(m, size, what) for size in sizes]) for m in METHODS}
        for title, what in (
            ("training minus test accuracy", "accuracy gap"),
            ("test minus training loss", "loss gap"),
            ("test accuracy", "accuracy"),
        )
    }
    experiment.save_figure("gap", bands(sizes, "training images", panels, "log"))
    answers = [
        f"{size:,} images: " + verdict_over_seeds({m: values(m, size, what) for m in METHODS}, f"test {what}", best)
        for size in sizes
        for what, best in (("accuracy", max), ("loss", min))
    ]
    experiment.finish(rows, chosen=chosen, answers=answers)
    say("\nStrengths: " + ", ".join(f"{name} {value:g}" for name, value in chosen.items()))
    say("\n".join(answers))
