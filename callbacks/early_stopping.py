"""Early stopping by the lecture's rule: look every few epochs, and if it has got worse, take the model of the time before."""

import math

import numpy as np

from callbacks.state import Stateful, Validations, direction, monitored, require_weights, snapshot, validations


class IntervalEarlyStopping(Stateful):
    """Compares every `interval` epochs with the last check; if it is worse, stops and goes back to the model of that check.

    Keras' own `EarlyStopping` looks at every epoch, where one bad batch can end a run. Where fit validates in some epochs
    only, a check of a metric of validation waits for the next of these.

    Args:
        interval: epochs between two checks.
        monitor: name of a metric in the logs.
        mode: "min", "max", or "auto": by the metric's name.
        patience: checks in a row, each worse than the last good one, after which to stop.
        min_delta: by how much a check must be better to be good; 0: it must not be worse.
        start_from_epoch: no check before so many epochs are over.
        restore_best_weights: at the end of the run, stopped or not, take the model of its best check instead.
        verbose: whether to say that and why the run was stopped.

    Raises:
        ValueError: a number is out of its range, or `mode` is "auto" and the metric's name does not tell; at the start of
            fit: it will not validate, and the metric is one of validation.
    """

    STATE = ("last", "best", "last_epoch", "best_epoch", "worse", "stopped_epoch", "last_weights", "best_weights")

    def __init__(
        self,
        interval: int = 10,
        monitor: str = "val_loss",
        mode: str = "auto",
        patience: int = 1,
        min_delta: float = 0.0,
        start_from_epoch: int = 0,
        restore_best_weights: bool = False,
        verbose: bool = True,
    ):
        super().__init__()
        if interval < 1 or patience < 1 or min_delta < 0:
            raise ValueError(
                f"interval and patience must be 1 or more, min_delta 0 or more, found {interval}, {patience} and {min_delta}."
            )
        self.interval, self.monitor, self.patience, self.min_delta = interval, monitor, patience, min_delta
        self.start_from_epoch, self.restore_best_weights = start_from_epoch, restore_best_weights
        self.verbose = verbose
        self._sign, self._validations = direction(monitor, mode), Validations()
        self._forget()

    def _forget(self) -> None:
        """Begin with no check; `last` is the last good one's value, `best` the best one's."""
        self.last = self.best = None
        self.last_epoch = self.best_epoch = self.stopped_epoch = None
        self.last_weights = self.best_weights = None
        self.worse = 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._forget()
        require_weights(self.model, type(self).__name__)
        self._validations = validations(self.model, self.monitor, type(self).__name__, self.interval)
        # Kept as objects: another callback may add to the model's weights, or take away, before the end.
        self._variables = list(self.model.weights)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs, done = logs or {}, epoch + 1
        if done not in self._validations:
            return
        last_multiple = done - done % self.interval
        check = last_multiple > self._validations.before(done) and last_multiple >= self.start_from_epoch
        is_validated = not self.monitor.startswith("val_") or any(name.startswith("val_") for name in logs)
        if not check and not is_validated:
            return  # a loop of one's own may validate at the checks only
        value = monitored(logs, self.monitor, type(self).__name__)
        if not check:
            return
        value *= self._sign
        # A NaN compares as worse than anything.
        good = value <= (math.inf if self.last is None else self.last - self.min_delta)
        if good:
            self.sync()
            weights = [snapshot(v) for v in self._variables]
            self.last, self.last_epoch, self.last_weights, self.worse = value, epoch, weights, 0
            if self.restore_best_weights and (self.best is None or value < self.best):
                self.best, self.best_epoch, self.best_weights = value, epoch, weights
            return
        self.worse += 1
        if self.worse >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            if self.verbose:
                before = "" if self.last is None else f" after {self.last * self._sign:.6g} in epoch {self.last_epoch + 1}"
                print(f"Epoch {done}: stopped, {self.monitor} is {value * self._sign:.6g}{before}.")

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.restore_best_weights:
            self._restore(self.best_weights)
        elif self.stopped_epoch is not None:
            self._restore(self.last_weights)

    def _restore(self, weights: list[np.ndarray] | None) -> None:
        """Give the model weights that were kept, if there are any."""
        if weights is not None:
            self.sync()
            for variable, value in zip(self._variables, weights, strict=True):
                variable.assign(value)
