"""Curves: pure functions from an epoch, or a step, to a value.

>>> Linear(0.0, 0.5, over=10)(5)
0.25

Each is a frozen dataclass that is called like a function; `keras.saving.serialize_keras_object` writes it. They fit
wherever a number changes with time: `L2Scheduler`, `DropoutScheduler`, `keras.callbacks.LearningRateScheduler`.
"""

import bisect
import math
from dataclasses import asdict, dataclass

import keras


class Curve:
    """Base of the curves: what is called with a time, and what Keras asks of an object that it saves."""

    def __call__(self, time: float) -> float:
        raise NotImplementedError

    def get_config(self) -> dict:
        """Return the fields, for Keras to write."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict) -> "Curve":
        """Make the curve from what `get_config` returned."""
        return cls(**config)


@keras.saving.register_keras_serializable("callbacks")
@dataclass(frozen=True)
class Constant(Curve):
    """Gives the same value always."""

    value: float

    def __call__(self, time: float) -> float:
        return self.value


@keras.saving.register_keras_serializable("callbacks")
@dataclass(frozen=True)
class Linear(Curve):
    """Goes from `start` to `end` in a straight line, and stays at `end` from time `over` on."""

    start: float
    end: float
    over: float

    def __post_init__(self):
        _refuse_below(0, self.over, f"over of {self}")

    def __call__(self, time: float) -> float:
        return self.start + (self.end - self.start) * _share(time, self.over)


@keras.saving.register_keras_serializable("callbacks")
@dataclass(frozen=True)
class Cosine(Curve):
    """Goes from `start` to `end` along half a period of the cosine, and stays at `end` from time `over` on."""

    start: float
    end: float
    over: float

    def __post_init__(self):
        _refuse_below(0, self.over, f"over of {self}")

    def __call__(self, time: float) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * _share(time, self.over))) / 2


@keras.saving.register_keras_serializable("callbacks")
@dataclass(frozen=True)
class Step(Curve):
    """Starts at `start`, and is multiplied by `factor` after every `every` epochs or steps."""

    start: float
    factor: float
    every: int

    def __post_init__(self):
        _refuse_below(1, self.every, f"every of {self}")

    def __call__(self, time: float) -> float:
        return self.start * self.factor ** (time // self.every)


@keras.saving.register_keras_serializable("callbacks")
@dataclass(frozen=True)
class Piecewise(Curve):
    """Gives `values[0]` before `boundaries[0]`, `values[1]` from there on, and so forth."""

    boundaries: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self):
        if len(self.values) != len(self.boundaries) + 1 or list(self.boundaries) != sorted(self.boundaries):
            raise ValueError(f"Piecewise needs rising boundaries and one value more than boundaries, found {self}.")

    def __call__(self, time: float) -> float:
        return self.values[bisect.bisect_right(self.boundaries, time)]


def _share(time: float, over: float) -> float:
    """Return how much of a way is gone; all of it, where it takes no time."""
    return min(time / over, 1.0) if over else 1.0


def _refuse_below(least: float, value: float, name: str) -> None:
    """Raise ValueError for a number that is too low, or none."""
    if not value >= least:
        raise ValueError(f"{name} must be {least} or more, found {value}.")
