"""Finding a learning rate, and letting it rise and fall."""

import math
import os

import keras
import numpy as np

from callbacks.state import Stateful, snapshot
from zoo.files import replace, write_csv


def warmup_cosine(peak: float, steps: int) -> keras.optimizers.schedules.CosineDecay:
    """Make Keras' schedule that rises from 0 to `peak` in the first tenth of `steps`, then falls along a cosine to 0."""
    warm_up = max(1, steps // 10)
    return keras.optimizers.schedules.CosineDecay(0.0, max(1, steps - warm_up), warmup_target=peak, warmup_steps=warm_up)


def warmup_cosine_rates(peak: float, steps: int) -> np.ndarray:
    """Compute the learning rate of every step under `warmup_cosine`, `(steps,)`."""
    rise, step = max(1, steps // 10), np.arange(steps)
    fall = peak * (1 + np.cos(np.pi * (step - rise) / max(1, steps - rise))) / 2
    return np.where(step < rise, peak * step / rise, fall)


class LearningRateFinder(Stateful):
    """Raises the learning rate from step to step and watches the loss: Smith 2015, arXiv:1506.01186, section 3.3.

    >>> finder = LearningRateFinder(steps=100)
    >>> model.fit(batches, epochs=100, callbacks=[finder])   # ends by itself after 100 steps, or when the loss explodes
    >>> finder.suggestion
    >>> finder.save("rates.csv", "rates.png")

    The fit is an experiment: at its end model and optimiser have the values that they began with. The optimiser needs a
    number as its learning rate, not a schedule.

    Args:
        lowest: rate of the first step.
        highest: rate of the last step; there are equal factors between.
        steps: number of rates.
        verbose: whether to print the suggestion.
    """

    STATE = ("rates", "losses")

    def __init__(self, lowest: float = 1e-6, highest: float = 1.0, steps: int = 100, verbose: bool = True):
        super().__init__()
        if not 0 < lowest < highest or steps < 2:
            raise ValueError(f"Needs 0 < lowest < highest and 2 steps or more, found {lowest}, {highest} and {steps}.")
        self.lowest, self.highest, self.steps, self.verbose = lowest, highest, steps, verbose
        self.rates: list[float] = []
        self.losses: list[float] = []

    @property
    def smoothed(self) -> list[float]:
        """The running mean of the losses with decay 0.9, corrected for its start at 0."""
        mean, means = 0.0, []
        for i, loss in enumerate(self.losses, 1):
            mean = 0.9 * mean + 0.1 * loss
            means.append(mean / (1 - 0.9**i))
        return means

    @property
    def suggestion(self) -> float | None:
        """The rate at which the smoothed loss falls fastest; None if it never falls."""
        means = self.smoothed
        slopes = [(means[i + 1] - means[i - 1], self.rates[i]) for i in range(1, len(means) - 1)]
        slope, rate = min(slopes, default=(0.0, None))
        return rate if slope < 0 else None

    def save(self, data: str | os.PathLike, picture: str | os.PathLike | None = None) -> None:
        """Write the curve as CSV, and, where a `picture` is named, as a PNG."""
        names = ("learning_rate", "loss", "smoothed")
        rows = zip(self.rates, self.losses, self.smoothed, strict=True)
        write_csv(data, (dict(zip(names, row, strict=True)) for row in rows))
        if picture is not None:
            from matplotlib.figure import Figure

            figure = Figure(figsize=(6, 4), layout="constrained")
            axes = figure.add_subplot(xscale="log", xlabel="learning rate", ylabel="loss")
            axes.plot(self.rates, self.losses, alpha=0.3)
            axes.plot(self.rates, self.smoothed)
            if self.suggestion is not None:
                axes.axvline(self.suggestion, linestyle=":", label=f"{self.suggestion:.2g}")
                axes.legend()
            replace(picture, figure.savefig)

    def on_train_begin(self, logs: dict | None = None) -> None:
        model = self.model
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self.rates, self.losses = [], []
        self._before = [(v, snapshot(v)) for v in [*model.variables, *model.optimizer.variables]]

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self._rate = self.lowest * (self.highest / self.lowest) ** (len(self.rates) / (self.steps - 1))
        self.sync().optimizer.learning_rate = self._rate
        if batch == 0:
            self._sum = 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        # Keras logs the epoch's mean so far: its last term is this batch's loss, where batches are equally large.
        loss = logs["loss"] * (batch + 1) - self._sum
        self._sum += loss
        if math.isfinite(loss):
            self.rates.append(self._rate)
            self.losses.append(loss)
        exploded = not math.isfinite(loss) or self.smoothed[-1] > 4 * min(self.smoothed)
        if exploded or len(self.rates) >= self.steps:
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        self.sync()
        for variable, value in self._before:
            variable.assign(value)
        if self.verbose:
            found = self.suggestion
            print("The loss falls at no learning rate." if found is None else f"Suggested learning rate: {found:.2g}")
