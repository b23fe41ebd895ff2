"""Where a built model comes from: what a recipe must know to feed it, and loading to read files for it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import keras

from zoo.weights.names import TorchNames


@dataclass(frozen=True)
class Origin:
    """Where a built model comes from, as its attribute `origin`.

    It is what a recipe must know to feed the model and to report it, and what loading must know to read files for it.
    """

    name: str
    variant: str
    weights: str | None  # path of the file
    size: int  # what its weights were trained on: pictures resized to `resize`, then `size` cut from the centre
    resize: int
    interpolation: str = "bilinear"
    trained_size: int | None = field(compare=False, default=None)  # `size`, where the weights say it; None: it is the usual one
    preprocessing: str = field(compare=False, default="none")  # what lies in the model: a mode of zoo.preprocessing, or numbers
    spare: tuple[str, ...] = field(repr=False, compare=False, default=())  # see builder.Family
    torch_names: TorchNames = field(repr=False, compare=False, default_factory=dict)
    bgr: bool = field(repr=False, compare=False, default=False)  # whether the first kernel of the weights sees BGR
    keras_names: Callable[[str], str] | None = field(repr=False, compare=False, default=None)  # see builder.Family
    variants: tuple[str, ...] = field(repr=False, compare=False, default=())  # all that there are of the model
    classes: tuple[str, ...] = field(repr=False, compare=False, default=())  # of the weights' classifier, where known
    license: str | None = field(compare=False, default=None)  # of the weights, where it is known
    citations: tuple[str, ...] = field(repr=False, compare=False, default=())  # papers, and who published the weights
    # Makes the origin of the model filled from a file; refuses one that says it is for another form or other preprocessing.
    refilled: Callable[[Path], Self] | None = field(repr=False, compare=False, default=None)


def of_part(model: keras.Model) -> Origin | None:
    """Return the origin for a model that shares layers with this one, and whose outputs are others; None if it has none."""
    origin = getattr(model, "origin", None)
    return origin and replace(origin, classes=())


def mark(model: keras.Model, origin: Origin) -> None:
    """Give a built model its origin, and keep it with its input, for models that `keras.Model(model.input, ...)` makes."""
    model.origin = origin
    model.layers[0].origin = of_part(model)


def find(model: keras.Model) -> Origin | None:
    """Find the origin of a model, or of the network whose input it shares; a copy by `clone_model` or a file has none."""
    return getattr(model, "origin", None) or getattr(next(iter(model.layers), None), "origin", None)
