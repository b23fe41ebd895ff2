"""From the argument `weights=` to filled variables, strictly: every variable filled, every tensor used, or an error."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from zoo.surgery import CLASSIFIER, adapt_stem
from zoo.weights import catalog
from zoo.weights.fetching import fetch
from zoo.weights.files import Tensors, WeightsError, is_torch, open_tensors, reading
from zoo.weights.names import KERAS_CLASSIFIERS, TORCH_VARIABLES

Rename = Callable[[str], str] | None


@dataclass(frozen=True)
class Source:
    """Where a model's weights come from, and what follows from that."""

    path: Path
    variant: str
    entry: catalog.Entry | None  # None for a file of the user's


def resolve(model: str, weights: str | os.PathLike, options: Mapping[str, object]) -> Source:
    """The file behind a catalog tag (fetched now) or a path, and the graph that its names ask for.

    Raises:
        WeightsError: neither a tag of this model nor an existing file.
    """
    entry = catalog.find(model, os.fspath(weights), options)
    if entry:
        return Source(fetch(entry), entry.variant, entry)
    if not os.path.exists(weights):
        tags = list(dict.fromkeys(entry.tag for entry in catalog.entries(model))) or ["none"]
        chosen = "".join(f" with {key}={value}" for key, value in options.items())
        raise WeightsError(
            f"{model}{chosen} has no weights {os.fspath(weights)!r}: it is no existing file and none of the "
            f"tags in the catalog ({', '.join(tags)})."
        )
    with open_tensors(weights) as tensors:
        return Source(Path(weights), "torch" if is_torch(tensors) else "keras", None)


def load(model: keras.Model, source: Source, torch_names: Rename, new_classes: bool, reverse_stem: bool) -> None:
    """Fill the model from the file; nothing is assigned unless all of it fits.

    Args:
        torch_names: layer name -> module name in PyTorch's file; None if the family has no such files.
        new_classes: the user chose the number of classes, so the file's classifier may be missing or of another size;
            then the model's stays as it was initialised. This is the only exception.
        reverse_stem: the file's first kernel sees BGR (matters only where the stem must be adapted).

    Raises:
        WeightsError: naming the variables not filled, the tensors not used, and the shapes that differ.
    """
    with open_tensors(source.path) as tensors:
        torch = is_torch(tensors)
        if torch and torch_names is None:
            raise WeightsError(f"{source.path} has PyTorch's names, and no PyTorch layout is known for {model.name}.")
        rename = torch_names if torch else None
        plan, missing, differing, unused = _match(model, tensors, rename, new_classes)
        if missing or differing or unused:
            raise WeightsError(_complaint(model, source.path, missing, differing, unused))
        stem = _stem(model)
        for variable, tensor, layer in plan:
            with reading(source.path):
                value = np.asarray(tensor)
            if torch:
                value = _from_torch(value, variable, layer)
            if layer is stem and variable is layer.kernel and value.shape != variable.shape:
                value = adapt_stem(value, variable.shape[2], reverse_stem)
            variable.assign(value.reshape(variable.shape))


def _match(model: keras.Model, tensors: Tensors, rename: Rename, new_classes: bool):
    """Pair every variable with a tensor: (pairs, names not found, shapes that differ, tensors left over)."""
    plan, missing, differing, used = [], [], [], set()
    stem, torch = _stem(model), rename is not None
    for layer in model.layers:
        names = [_name_in_file(layer, index, tensors, rename) for index in range(len(layer.weights))]
        pairs = list(zip(layer.weights, names, strict=True))
        fitting = all(name and _fits(tensors[name].shape, v, layer, layer is stem, torch) for v, name in pairs)
        if layer.name == CLASSIFIER and new_classes and not fitting:
            continue
        for variable, name in pairs:
            label = f"{layer.name}/{variable.name}"
            if name is None:
                missing.append(label)
            elif not _fits(tensors[name].shape, variable, layer, layer is stem, torch):
                differing.append(f"{label} is {_shape(variable)}, in the file {_shape(tensors[name])}")
            else:
                plan.append((variable, tensors[name], layer))
            used.add(name)
    unused = set(tensors) - used
    if new_classes:
        heads = {rename(CLASSIFIER)} if rename else KERAS_CLASSIFIERS
        unused = {name for name in unused if _owner(name) not in heads}
    return plan, missing, differing, sorted(unused)


def _name_in_file(layer, index: int, tensors: Tensors, rename: Rename) -> str | None:
    """What the file calls the layer's variable; None if it has nothing of that name."""
    variable = layer.weights[index].name
    if rename:
        names = [f"{rename(layer.name)}.{TORCH_VARIABLES[variable]}"]
    else:
        owners = KERAS_CLASSIFIERS if layer.name == CLASSIFIER else (layer.name,)
        names = [f"{owner}/{key}" for owner in owners for key in (variable, index)]
    return next((name for name in names if name in tensors), None)


def _owner(name: str) -> str:
    return name.rpartition("/")[0] or name.rpartition(".")[0]


def _fits(shape, variable, layer, is_stem: bool, torch: bool) -> bool:
    """Whether a tensor of this shape can fill the variable, judged before it is read."""
    own = tuple(variable.shape)
    if torch and variable.name == "kernel":
        depthwise = isinstance(layer, layers.DepthwiseConv2D)
        own = tuple(own[axis] for axis in {2: (1, 0), 4: (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)}[len(own)])
    if is_stem and variable is layer.kernel:  # any number of input channels will do
        axis = 1 if torch else 2
        return len(shape) == 4 and (*shape[:axis], *shape[axis + 1 :]) == (*own[:axis], *own[axis + 1 :])
    # Older Keras files hold some classifiers as a 1 × 1 convolution, which is the same matrix.
    return tuple(shape) == own or (isinstance(layer, layers.Dense) and tuple(shape) == (1, 1, *own))


def _from_torch(value: np.ndarray, variable, layer) -> np.ndarray:
    """Turn PyTorch's channels-first order into Keras' channels-last."""
    if variable.name != "kernel":
        return value
    if isinstance(layer, layers.DepthwiseConv2D):
        return value.transpose(2, 3, 0, 1)
    if value.ndim == 4:
        return value.transpose(2, 3, 1, 0)
    picture = _flattened(layer)
    if picture:  # the rows count (channel, y, x) there and (y, x, channel) here
        height, width, channels = picture
        return value.reshape(-1, channels, height, width).transpose(2, 3, 1, 0).reshape(variable.shape)
    return value.T


def _flattened(layer) -> tuple[int, int, int] | None:
    """The shape of the feature map that a dense layer sees flattened; None if it sees a vector."""
    operation = layer.input._keras_history.operation
    while isinstance(operation, layers.Dropout | layers.Identity):
        operation = operation.input._keras_history.operation
    return operation.input.shape[1:] if isinstance(operation, layers.Flatten) else None


def _stem(model: keras.Model):
    return next(layer for layer in model.layers if hasattr(layer, "kernel"))


def _shape(tensor) -> str:
    return " × ".join(map(str, tensor.shape))


def _complaint(model, path, missing, differing, unused) -> str:
    def listed(names):
        return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

    parts = []
    if missing:
        parts.append(f"it lacks {len(missing)} of the model's variables ({listed(missing)})")
    if differing:
        parts.append(f"{len(differing)} shapes differ ({listed(differing)})")
    if unused:
        parts.append(f"{len(unused)} of its tensors have no place in the model ({listed(unused)})")
    only_head = {name.partition("/")[0] for name in [*missing, *(d.split(" ")[0] for d in differing)]} == {CLASSIFIER}
    if only_head and not unused:
        advice = "pass num_classes to start with a new classifier"
    else:
        advice = "give the model that it was made for, with the same width and input size"
    return f"Weights file {path} does not fit {model.name}: {'; '.join(parts)}: {advice}."
