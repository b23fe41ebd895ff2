"""From probabilities to the names of the likeliest classes."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from zoo.arguments import check_model, integer
from zoo.classes import DATASETS, of_dataset
from zoo.keras_private import has_graph, made_by

# How far the probabilities of a picture may be from 1 together: half precision is off by less.
MAX_DIFFERENCE = 0.01


class Guess(NamedTuple):
    """A class, and how probable it is."""

    name: str
    probability: float


def decode(
    probabilities: object, model: keras.Model, top: int = 5, classes: str | Sequence[str] | None = None
) -> list[list[Guess]]:
    """Name the `top` likeliest classes of each picture, the likeliest first; equal ones in the order of the outputs.

    >>> model = zoo.mobilenet_v2(weights="imagenet")
    >>> for name, probability in zoo.decode(model.predict(pixels), model)[0]: ...

    Args:
        probabilities: what the model gave, `(batch, classes)`, an array or a tensor; each row adds up to 1.
        model: it says what its classes are: ImageNet's, CIFAR-10's or MNIST's, where its builder filled all of it with
            weights of the catalog, and a run's, where it did with the run's model.keras. So does a model whose last layer is
            such a network. Any other does not, a copy by `clone_model` or `keras.models.load_model` among them.
        top: at most so many.
        classes: the names for a model that does not say them, in the order of its outputs; or "imagenet", "cifar10", "mnist".

    Raises:
        ValueError: the model does not say its classes and `classes` is not given; or the values are no probabilities of
            these classes.
    """
    check_model(model, "decode")
    top = integer(top, "top must be a whole number from 1 up", 1)
    rows = _rows(probabilities)
    names = _names(model, classes, rows.shape[-1])
    if rows.shape[-1] != len(names):
        raise ValueError(
            f"probabilities must have a column for each of the {len(names):,} classes of {model.name}, found the shape "
            f"{rows.shape}: give the output of the model with its whole classifier."
        )
    _check(rows)
    order = np.argsort(-rows, axis=1, kind="stable")[:, :top]
    return [[Guess(names[i], float(row[i])) for i in best] for row, best in zip(rows, order, strict=True)]


def _rows(probabilities: object) -> np.ndarray:
    """Make a row of numbers for each picture an array."""
    if isinstance(probabilities, list | tuple) and any(hasattr(part, "shape") for part in probabilities):
        raise ValueError(
            "probabilities must be one array or tensor (batch, classes), found a list: give the first of several outputs."
        )
    if not keras.ops.is_tensor(probabilities) and hasattr(probabilities, "detach"):  # PyTorch's, under another backend
        probabilities = probabilities.detach().cpu()
    values = keras.ops.convert_to_numpy(probabilities) if keras.ops.is_tensor(probabilities) else np.asarray(probabilities)
    if values.ndim != 2:
        raise ValueError(
            f"probabilities must have the shape (batch, classes), found {values.shape}: give that of one picture as "
            "probabilities[None]."
        )
    return values.astype("float64")


def _check(values: np.ndarray) -> None:
    """Refuse what are no probabilities of one class out of several. Raises ValueError."""
    if not np.isfinite(values).all():
        raise ValueError("probabilities must be finite, found NaN or infinity: look for it in the pixels and in the weights.")
    sums = values.sum(axis=1)
    if (values < 0).any() or (np.abs(sums - 1) > MAX_DIFFERENCE).any():
        worst = int(np.argmax(np.abs(sums - 1)))
        raise ValueError(
            f"probabilities must be 0 or more and add up to 1 in each row, found {values.min():.4g} as the lowest and "
            f"{sums[worst]:.4g} as the sum of row {worst}: of logits give keras.ops.softmax(logits), or build the model with "
            'activation="softmax".'
        )


def _names(model: keras.Model, classes: str | Sequence[str] | None, count: int) -> Sequence[str]:
    """Find the names that were given, or those that the model says."""
    if isinstance(classes, str):
        if classes not in DATASETS:
            raise ValueError(f"classes must be a list of names, or one of {', '.join(DATASETS)}, found {classes!r}.")
        return of_dataset(classes)
    names = list(classes) if classes is not None else _own_names(model)
    if not names:
        raise ValueError(
            f"{model.name} does not say what its {count:,} classes are: give classes=, one of {', '.join(DATASETS)} or a list "
            "of names (a run's is classes.json inside its model.keras). A builder's model says it where its whole classifier "
            "is one of the catalog or of a run's model.keras."
        )
    return names


def _own_names(model: keras.Model) -> tuple[str, ...]:
    """Return what a model, or the model that is its last layer, says of its classes."""
    if origin := getattr(model, "origin", None):
        return origin.classes
    if isinstance(model, keras.Sequential):
        last = next(iter(model.layers[::-1]), None)
    else:
        last = made_by(model.outputs[0]) if has_graph(model) else None
    return _own_names(last) if isinstance(last, keras.Model) else ()
