"""Means of weights, often better than each of them: of a run's best epochs, and of a network before and after fine-tuning."""

import contextlib
import math
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from callbacks.state import Stateful, Validations, direction, monitored, require_weights, snapshot, validations


def interpolate(model: keras.Model, start: Sequence[np.ndarray], end: Sequence[np.ndarray], share: float) -> None:
    """Give the model the weights start + share · (end - start), each in the order of `model.weights`.

    Between a pretrained network with a linear probe and what fine-tuning made of it lie networks that are better than both
    (WiSE-FT: Wortsman et al. 2021, arXiv:2109.01903, section 3; `share` is their α), and cost nothing more to run. What
    fine-tuning did not change stays bit for bit.

    Raises:
        ValueError: the share is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be between 0 and 1, found {share}.")
    for variable, before, after in zip(model.weights, start, end, strict=True):
        _assign(variable, before + share * (after - before))


class WeightAveraging(Stateful):
    """Gives the model, at the end of the fit, the mean of its weights at the `best` epochs.

    That is a uniform soup (Wortsman et al. 2022, arXiv:2203.05482) within one run.

    Where fit validates in some epochs only, a metric of validation chooses among these.
    Batch norm's moving statistics are averaged as well, which is an approximation. Where another callback also puts weights
    back at the end, the later one in fit's list has the last word.

    Args:
        best: how many epochs to average; their weights are kept in memory.
        monitor: name of a metric in the logs.
        mode: "min", "max", or "auto": by the metric's name.

    Raises:
        ValueError: `best` is below 1, or `mode` is "auto" and the metric's name does not tell; at the start of fit: it will
            not validate, and the metric is one of validation.
    """

    STATE = ("values", "weights")

    def __init__(self, best: int = 3, monitor: str = "val_loss", mode: str = "auto"):
        super().__init__()
        if best < 1:
            raise ValueError(f"best must be 1 or more, found {best}.")
        self.best, self.monitor = best, monitor
        self._sign, self._validations = direction(monitor, mode), Validations()
        self._forget()

    def _forget(self) -> None:
        """Begin with no epoch; `values` and `weights` are those of the best so far, the best first."""
        self.values, self.weights = [], []

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._forget()
        require_weights(self.model, type(self).__name__)
        self._validations = validations(self.model, self.monitor, type(self).__name__)
        self._variables = list(self.model.weights)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if epoch + 1 not in self._validations:
            return
        value = self._sign * monitored(logs, self.monitor, type(self).__name__)
        place = sum(better <= value for better in self.values)
        if place < self.best and not math.isnan(value):
            self.sync()
            self.values.insert(place, value)
            self.weights.insert(place, [snapshot(v) for v in self._variables])
            del self.values[self.best :], self.weights[self.best :]

    def on_train_end(self, logs: dict | None = None) -> None:
        self.sync()
        self._give_mean()

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the model, for the block, the weights that it would have if the fit ended here."""
        self.sync()
        before = [snapshot(variable) for variable in self._variables]
        self._give_mean()
        try:
            yield
        finally:
            for variable, value in zip(self._variables, before, strict=True):
                variable.assign(value)

    def _give_mean(self) -> None:
        """Assign the mean of the best epochs' weights, if there has been an epoch."""
        for variable, values in zip(self._variables, zip(*self.weights, strict=True), strict=bool(self.weights)):
            _assign(variable, sum(value / len(values) for value in values))


def _assign(variable: keras.Variable, mean: np.ndarray) -> None:
    """Set a variable to a mean, brought back to its constraint: between two points of length 1 lies none of that length."""
    variable.assign(mean if variable.constraint is None else variable.constraint(keras.ops.convert_to_tensor(mean)))
