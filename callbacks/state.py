"""What a callback remembers between epochs, so that an interrupted run can go on as if nothing had happened."""

from collections.abc import Container
from dataclasses import dataclass

import keras
import numpy as np

from zoo.keras_private import fit_arguments


class Stateful(keras.callbacks.Callback):
    """Base of the callbacks whose attributes named in `STATE` are all that they remember.

    They hold numbers, strings, None, NumPy arrays, and lists or dictionaries of these.
    """

    STATE: tuple[str, ...] = ()

    def sync(self) -> keras.Model:
        """Bring the model's variables up to date, and return the model.

        JAX keeps them elsewhere during an epoch until someone asks for the model. Afterwards the step reads them again, so
        that what is assigned counts.
        """
        return self.model

    def get_state(self) -> dict:
        """Return what the callback remembers, by the names in `STATE`."""
        return {name: getattr(self, name) for name in self.STATE}

    def set_state(self, state: dict) -> None:
        """Remember what `get_state` returned.

        Raises:
            ValueError: the state has other names than `STATE`.
        """
        if set(state) != set(self.STATE):
            raise ValueError(f"{type(self).__name__} remembers {sorted(self.STATE)}, the saved state has {sorted(state)}.")
        for name, value in state.items():
            setattr(self, name, value)


def snapshot(variable: keras.Variable) -> np.ndarray:
    """Copy a variable's value as it is now; an array of PyTorch's would share the variable's memory."""
    return np.array(keras.ops.convert_to_numpy(variable))


def monitored(logs: dict, monitor: str, callback: str) -> float:
    """Find the metric that a callback monitors in the logs of an epoch.

    Raises:
        ValueError: it is missing; the message lists the metrics there are.
    """
    if monitor not in logs:
        there = ", ".join(sorted(logs)) or "none"
        hint = " Was validation_data given to fit?" if monitor.startswith("val_") else ""
        raise ValueError(f"{callback} monitors {monitor!r}, which is not among the metrics: {there}.{hint}")
    return float(logs[monitor])


def require_weights(model: keras.Model, callback: str) -> None:
    """Refuse a model that will have its weights at the first step only, as with TensorFlow one without a size of input.

    Raises:
        ValueError: the model is not built.
    """
    if not model.built:
        raise ValueError(
            f"{callback} needs the weights of {model.name} when fit begins, and it has none yet: begin a Sequential model with "
            "keras.Input, or call the model on a batch before fit."
        )


@dataclass(frozen=True)
class Validations:
    """The epochs, counted from 1, at whose end a fit validates: all multiples of a number, or those listed."""

    frequency: int | Container[int] = 1

    def __contains__(self, done: int) -> bool:
        return done % self.frequency == 0 if isinstance(self.frequency, int) else done in self.frequency

    def before(self, done: int) -> int:
        """Return the last one before an epoch; 0 if there is none."""
        return next((epoch for epoch in range(done - 1, 0, -1) if epoch in self), 0)


def validations(model: keras.Model, monitor: str, callback: str, needed_by: int = 1) -> Validations:
    """Find the epochs at whose end a fit that begins will know the metric that a callback monitors.

    Args:
        needed_by: the number of epochs from which on the callback must have seen it.

    Raises:
        ValueError: it is one of validation, and there is none in any epoch.
    """
    given = fit_arguments(model)
    if given is None or not monitor.startswith("val_"):
        return Validations()
    others = [one for one in given["callbacks"].callbacks if _may_add_metrics(one)]
    if given["validation_data"] is None:
        if not others:
            raise ValueError(f"{callback} monitors {monitor!r}: give fit validation_data, or monitor a metric of training.")
        return Validations()
    found = Validations(given["validation_freq"])
    if given["epochs"] >= needed_by and not others and not found.before(given["epochs"] + 1):
        raise ValueError(
            f"{callback} monitors {monitor!r}, and validation_freq={given['validation_freq']} validates in none of the "
            f"{given['epochs']} epochs."
        )
    return found


def _may_add_metrics(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback may be a user's own, which can compute metrics itself and put them into the logs."""
    package = type(callback).__module__.partition(".")[0]
    return isinstance(callback, keras.callbacks.LambdaCallback) or package not in ("keras", "callbacks")


def direction(monitor: str, mode: str) -> int:
    """Return 1 where lower is better, -1 where higher is: multiplied by it, lower is always better.

    Raises:
        ValueError: `mode` is "auto" and the metric's name does not tell.
    """
    if mode == "auto":
        if monitor.endswith(("loss", "error")):
            mode = "min"
        elif monitor.endswith(("accuracy", "acc", "auc", "precision", "recall")):
            mode = "max"
    if mode not in ("min", "max"):
        raise ValueError(f'Is {monitor!r} better lower or higher? Give mode="min" or mode="max", found {mode!r}.')
    return 1 if mode == "min" else -1
