"""Finding a learning rate, and letting it rise and fall."""

import math
import os

import keras
import numpy as np

from callbacks.state import Stateful, require_weights, snapshot
from zoo.files import replace, write_csv

# The finder's rule: how many bells fit beside each other, how much of the fall is most of it, and how many standard deviations
# of the losses around their mean are more than noise, whose own mean wanders by one.
SMOOTHING = 25
MOST = 0.85
NOISE = 1.5


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

    The fit is an experiment: at its end model and optimiser have the values that they began with, and the losses in its
    history are those of single steps. The optimiser needs a number as its learning rate, not a schedule.

    Args:
        lowest: rate of the first step.
        highest: rate of the last step; there are equal factors between.
        steps: number of rates.
        verbose: whether to print the suggestion.

    Raises:
        ValueError: a number is out of its range; at the start of fit: the learning rate is a schedule, or fit is too short.
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
        """The mean of the losses around each rate, weighted by a bell as wide as a 25th of the rates: it lags behind none."""
        position = np.arange(len(self.losses)) * SMOOTHING / max(1, len(self.losses))
        weights = np.exp(-np.square(position[:, None] - position) / 2)
        return list(weights @ np.array(self.losses) / weights.sum(axis=1))

    @property
    def suggestion(self) -> float | None:
        """The rate at which most of the smoothed loss's fall to its lowest is over; None if it falls by no more than noise.

        On the way there every rate was good, at the lowest it is almost too high: docs/decisions.md compares rules.
        """
        if not self.losses:
            return None
        means = np.array(self.smoothed)
        lowest = int(means.argmin())
        way = means[: lowest + 1]
        fall, noise = way.max() - way[-1], np.std(np.array(self.losses[: lowest + 1]) - way)
        if fall <= NOISE * noise:
            return None
        return self.rates[int(np.argmax(way <= way.max() - MOST * fall))]

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
        require_weights(model, "LearningRateFinder")
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        try:
            model.optimizer.learning_rate = float(model.optimizer.learning_rate)
        except (AttributeError, TypeError) as error:
            raise ValueError(
                "LearningRateFinder sets the rate of each step: compile the model with a number in place of a schedule."
            ) from error
        steps, epochs = (self.params or {}).get("steps"), (self.params or {}).get("epochs")
        if steps and epochs and steps * epochs < self.steps:
            raise ValueError(
                f"LearningRateFinder tries {self.steps} rates, a step each, and fit has {epochs} epochs of {steps} steps: give "
                f"fit epochs={math.ceil(self.steps / steps)}, or LearningRateFinder(steps={steps * epochs})."
            )
        self.rates, self.losses, self._mean, self._lowest = [], [], 0.0, math.inf
        self._before = [(v, snapshot(v)) for v in [*model.variables, *model.optimizer.variables]]

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self._rate = self.lowest * (self.highest / self.lowest) ** (len(self.rates) / (self.steps - 1))
        self.sync().optimizer.learning_rate = self._rate
        self.model.reset_metrics()  # so that what is logged next is the loss of this step alone

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        loss = float(logs["loss"])
        if math.isfinite(loss):
            self.rates.append(self._rate)
            self.losses.append(loss)
        # The running mean with decay 0.9, corrected for its start at 0: of what is known so far.
        self._mean = 0.9 * self._mean + 0.1 * loss
        mean = self._mean / (1 - 0.9 ** len(self.losses)) if self.losses else math.inf
        self._lowest = min(self._lowest, mean)
        if not math.isfinite(loss) or mean > 4 * self._lowest or len(self.rates) >= self.steps:
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        self.sync()
        for variable, value in self._before:
            variable.assign(value)
        if self.verbose:
            found = self.suggestion
            print("The loss falls at no learning rate." if found is None else f"Suggested learning rate: {found:.2g}")
