"""What the comparisons share: some pictures of a folder, one compiled model trained many times, means and bands."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from callbacks.optimizers import get_optimizer
from callbacks.state import snapshot
from recipes.compute.compiling import jit
from recipes.console import say
from recipes.data import augment
from recipes.data.batches import Batches
from recipes.data.dataset import Dataset, prepare
from recipes.data.images import Framing, center
from recipes.data.sources.folder import scan_folder
from recipes.data.sources.listing import Listing
from recipes.errors import UserError, shown
from recipes.evaluation.intervals import mean_interval
from recipes.evaluation.metrics import metrics
from recipes.report.charts import panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PixelReader = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def prepare_sample(data: Path, framing: Framing, seed: int, images: int, held_out: int, test: bool) -> Dataset:
    """Prepare some pictures of a folder, the classes in proportion.

    Parts that the folder does not give are split off train/; its val/ is the test if it has no test/.

    Args:
        images: how many to train on, at most.
        held_out: how many for validation, at most; and as many for the test.
        test: whether a test part is wanted.

    Raises:
        UserError: the pictures are too few, or see `scan_folder` and `prepare`.
    """
    folder = scan_folder(data)
    given = {file.split for file in folder.files}
    files = folder.files
    if test and "validation" in given and "test" not in given:
        files = [dataclasses.replace(f, split="test") if f.split == "validation" else f for f in files]
        given = (given - {"validation"}) | {"test"}
    wanted = ["validation", "test"] if test else ["validation"]
    missing = [part for part in wanted if part not in given]
    most = {"train": images + held_out * len(missing), **dict.fromkeys(wanted, held_out)}
    if images < 2 * len(folder.classes):
        raise UserError(f"{images} training images are too few for {len(folder.classes)} classes: two of each are the least.")
    share = dict.fromkeys(("validation", "test"), 0.0) | dict.fromkeys(missing, held_out / most["train"])
    data = prepare(_few(dataclasses.replace(folder, files=tuple(files)), most, seed), framing, seed=seed, **share)
    for finding in data.findings:
        say(shown(finding))
    return data


def _few(folder: Listing, most: Mapping[str, int], seed: int) -> Listing:
    """Keep at most so many files of each split."""
    kept = []
    for split, limit in most.items():
        files = [file for file in folder.files if (file.split or "train") == split]
        order = stratified([file.label for file in files], np.random.default_rng(seed))
        kept += [files[i] for i in sorted(order[:limit])]
    return dataclasses.replace(folder, files=tuple(kept))


def stratified(labels: Sequence, generator: np.random.Generator) -> np.ndarray:
    """Order the samples at random such that every beginning has the classes in proportion."""
    labels = np.asarray(labels)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        place[members] = (np.arange(len(members)) + generator.random()) / len(members)
    return np.argsort(place, kind="stable")


def center_crops(data: Dataset, images: np.ndarray) -> PixelReader:
    """Make a reader of pictures as evaluation sees them."""
    return augment.pipeline("none", data, images, mirror=False)[0]


class RepeatedTraining:
    """One model, compiled once and trained many times from the start: to trace its step takes longer than a short run.

    Args:
        build: makes a model; the same seed gives the same start.
        optimizer: a name of `callbacks.optimizers`.
        change: arguments of `build` for what this model has more, such as a penalty; the weights must stay the same.
    """

    def __init__(self, build: Callable[..., keras.Model], optimizer: str, **change: float):
        self._build, self.model = build, build(**change)
        self._optimizer = get_optimizer(optimizer, 1.0)
        self.model.compile(
            self._optimizer,
            keras.losses.SparseCategoricalCrossentropy(),
            jit_compile=jit(),
            metrics=["accuracy", keras.metrics.SparseCategoricalCrossentropy(name="log_loss")],  # the loss without penalties
        )
        self._optimizer.build(self.model.trainable_variables)
        self._slots = [snapshot(variable) for variable in self._optimizer.variables]
        shape = self.model.input_shape[1:]
        nothing = Batches(lambda samples, _: np.zeros((len(samples), *shape), "uint8"), np.zeros(2, int), 1, 0)
        self.model.fit(nothing, validation_data=nothing, verbose=0)  # traced now, so that no run is timed with it

    def train(self, batches: Batches, seed: int, rate: float, epochs: int, **fit: object) -> dict[str, list[float]]:
        """Train from the start that the seed gives, at a constant rate, and return the history of `fit`."""
        keras.utils.set_random_seed(seed)
        weights = self.model.weights
        for variable, start in zip(weights, self._build().weights, strict=True):
            variable.assign(start)
        for variable in self.model.variables:
            if not any(variable is weight for weight in weights):  # the state of a dropout's generator
                variable.assign(np.array([seed, 0], "uint32"))
        for variable, value in zip(self._optimizer.variables, self._slots, strict=True):
            variable.assign(value)
        self._optimizer.learning_rate = rate
        return self.model.fit(batches, epochs=epochs, verbose=0, shuffle=False, **fit).history

    def score(self, data: Dataset, images: np.ndarray) -> dict[str, float]:
        """Measure the loss without penalties, and the accuracy."""
        chunks = [images[start : start + 256] for start in range(0, len(images), 256)]
        # Called, not `predict`: that would be traced for every one of many models, of which TensorFlow warns.
        guesses = [keras.ops.convert_to_numpy(self.model(center(data.pixels[c], data.framing))) for c in chunks]
        found = metrics(data.labels[images], np.concatenate(guesses), data.classes)
        return {"loss": found["loss"], "accuracy": found["accuracy"]}


def plus_minus(name: str, values: Sequence[float | None]) -> dict[str, float | None]:
    """Make two columns: the mean, and half of its 95 % interval; None where a run has diverged, or is the only one."""
    if None in values:
        return {name: None, f"{name} ±": None}
    mean, _, high = mean_interval(values)
    return {name: mean, f"{name} ±": None if math.isnan(high) else high - mean}


def bands(x: Sequence[float], label: str, charts: Mapping[str, Mapping[str, np.ndarray]], scale: str = "linear") -> "Figure":
    """Draw a panel for each label of a y axis: of each name's values (seeds, points), the mean and its 95 % interval.

    Losses have a logarithmic axis.
    """
    figure, plots = panels(len(charts), 5.6, 4.4)
    for plot, (title, lines) in zip(plots, charts.items(), strict=True):
        for i, (name, values) in enumerate(lines.items()):
            mean, low, high = np.transpose([mean_interval(point) for point in np.transpose(values)])
            style = "-" if i % 2 else "--"  # of two that coincide both are seen
            plot.plot(x, mean, style, marker="o", markersize=3, linewidth=1.4, label=name)
            plot.fill_between(x, low, high, alpha=0.15, linewidth=0)
        plot.set(xlabel=label, ylabel=title, xscale=scale, yscale="log" if title.endswith("loss") else "linear")
        if scale == "log":
            plot.set_xticks(x, [f"{value:,}" for value in x])
            plot.minorticks_off()
    plots[-1].legend(fontsize="small", frameon=False)
    return figure
