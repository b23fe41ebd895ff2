"""From the argument `weights=` to filled variables, strictly: every variable filled, every tensor used, or an error."""

import math
import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from zoo.keras_private import give_value, made_by
from zoo.layers import CLASS_TOKEN, CLASSIFIER, POSITIONS
from zoo.weights.adapting import adapt_positions, adapt_stem, has_positions
from zoo.weights.files import is_torch, open_tensors
from zoo.weights.formats.tensors import Tensor, Tensors, WeightsError, check_beside_kind, reading
from zoo.weights.names import KERAS_CLASSIFIERS, TORCH_VARIABLES, Rename, TorchNames

KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")
KINDS = dict.fromkeys(KERNELS, "kernel") | {"beta": "bias"}  # of variables whose sizes are alike

# The names that Keras gives layers without one, today and in its first version.
AUTOMATIC = (
    "conv2d",
    "batch_normalization",
    "dense",
    "depthwise_conv2d",
    "separable_conv2d",
    "convolution2d",
    "batchnormalization",
    "separableconvolution2d",
)

Pair = tuple[keras.Variable, Tensor, layers.Layer]  # a variable, the tensor that fills it, and its layer


# Makes the other networks of a family that have about so many parameters.
Relatives = Callable[[int], Iterable[keras.Model]]


def load(
    model: keras.Model,
    path: Path,
    new_classes: bool,
    head: Collection[str] = (),
    relatives: Relatives = lambda parameters: (),
) -> bool:
    """Fill the model from the file; nothing is assigned unless all of it fits. Tells whether its classifier is the file's.

    Args:
        new_classes: the user chose the number of classes, so the file's classifier may be missing or of another size;
            then the model's stays as it was initialised. This is the only exception.
        head: names of the layers of the file's classifier, where it has more than one.
        relatives: makes the networks that the file may be for, where it is not for this one.

    Raises:
        WeightsError: naming the variables not filled, the tensors not used, the shapes that differ, and the network that the
            file is for, if it is one of the relatives.
    """
    origin = getattr(model, "origin", None)
    with open_tensors(path) as tensors:
        names = origin.torch_names if origin else {}
        variant = torch_variant(tensors, names, path, model.name, lambda: model)
        rename = names[variant] if variant else None
        plan, missing, differing, unused = match(model, tensors, rename, new_classes)
        unused = [name for name in unused if not (origin and name.startswith(origin.spare))]
        unused = [name for name in unused if not (new_classes and _owner(name) in head)]
        if missing or differing or unused:
            meant = _meant(model, tensors, path, rename, relatives)
            raise WeightsError(_complaint(model, path, missing, differing, unused, meant))
        values = _values(plan, path)
    stem, tokens = _stem(model), _tokens_with_positions(model)
    if rename and tokens == 0:
        values = _without_class_position(plan, values)
    for (variable, _, layer), value in zip(plan, values, strict=True):
        if rename:
            value = _from_torch(value, variable, layer)
        if layer is stem and variable is layer.kernel and value.shape != variable.shape:
            value = adapt_stem(value, variable.shape[2], bool(origin and origin.bgr))
        if layer.name == POSITIONS and (rename or value.shape != variable.shape):
            value = adapt_positions(value.reshape(-1, variable.shape[1]), *stem.output.shape[1:3], tokens)
        give_value(variable, value.reshape(variable.shape))
    return any(layer.name == CLASSIFIER for _, _, layer in plan)


def check(bodies: Sequence[keras.Model], path: Path, torch_names: TorchNames, relatives: Relatives) -> None:
    """Refuse a file that fills none of these forms of a network without its classifier.

    Raises:
        WeightsError: as `load` does, of the first form.
    """
    with open_tensors(path) as tensors:
        variant = torch_variant(tensors, torch_names, path, bodies[0].name, lambda: bodies[0])
        rename = torch_names[variant] if variant else None
        found = [match(body, tensors, rename, new_classes=True)[1:] for body in bodies]
        if all(missing or differing for missing, differing, _ in found):
            meant = _meant(bodies[0], tensors, path, rename, relatives)
            raise WeightsError(_complaint(bodies[0], path, *found[0], meant))


def _values(plan: list[Pair], path: Path) -> list[np.ndarray]:
    """Read what fills the variables, all of it before anything is assigned, and refuse what no weights can be."""
    values = [np.asarray(tensor) for _, tensor, _ in plan]
    kinds = [KINDS.get(variable.name, variable.name) for variable, _, _ in plan]
    with reading(path):
        check_beside_kind([(tensor.name, kind, v) for (_, tensor, _), kind, v in zip(plan, kinds, values, strict=True)])
    return values


def _without_class_position(plan: list[Pair], values: list[np.ndarray]) -> list[np.ndarray]:
    """Add the class token's position, which a file may hold, to the token itself, where the model has none of it.

    So are the files of DINOv2's authors with registers; what the network computes is the same.
    """
    places = {layer.name: i for i, (_, _, layer) in enumerate(plan)}
    table = values[places[POSITIONS]]
    table = table.reshape(-1, table.shape[-1])
    if has_positions(len(table), 0):
        return values
    values = list(values)
    values[places[POSITIONS]] = table[1:]
    values[places[CLASS_TOKEN]] = values[places[CLASS_TOKEN]] + table[0]
    return values


def torch_variant(
    tensors: Tensors, torch_names: TorchNames, path: str | os.PathLike, name: str, make: Callable[[], keras.Model]
) -> str | None:
    """Tell whose PyTorch names these are: the variant whose map finds the classifier, or else the most layers.

    Args:
        make: makes the network `name`, or a part of it, where its layers must be looked for.
    """
    if not is_torch(tensors):
        return None
    if not torch_names:
        raise WeightsError(f"Weights file {path} has PyTorch's names, and no PyTorch layout is known for {name}.")
    with_classifier = [v for v, rename in torch_names.items() if f"{rename(CLASSIFIER)}.weight" in tensors]
    if with_classifier or len(torch_names) == 1:
        return next(iter(with_classifier or torch_names))
    filled = [layer for layer in make().layers if layer.weights]
    return max(
        torch_names, key=lambda v: sum(_name_in_file(layer, {}, 0, tensors, torch_names[v]) is not None for layer in filled)
    )


def match(
    model: keras.Model, tensors: Tensors, rename: Rename | None, new_classes: bool
) -> tuple[list[Pair], list[str], list[str], list[str]]:
    """Pair every variable with a tensor: (pairs, names not found, shapes that differ, tensors left over)."""
    plan, missing, differing, used = [], [], [], set()
    stem = _stem(model)
    own = {name: (counted,) for name, counted in _counted(layer.name for layer in model.layers if layer.weights).items()}
    own[CLASSIFIER] = KERAS_CLASSIFIERS
    if (origin := getattr(model, "origin", None)) and origin.keras_names:
        own = {name: (*owners, origin.keras_names(name)) for name, owners in own.items()}
    if not rename:
        counted = _counted(dict.fromkeys(map(_owner, tensors)))
        tensors = {f"{counted[_owner(name)]}/{name.rpartition('/')[2]}": value for name, value in tensors.items()}
    for layer in model.layers:
        names = [_name_in_file(layer, own, index, tensors, rename) for index in range(len(layer.weights))]
        pairs = list(zip(layer.weights, names, strict=True))
        fitting = all(name and _fits(tensors[name].shape, v, layer, stem, rename) for v, name in pairs)
        if layer.name.endswith(CLASSIFIER) and new_classes and not fitting:
            continue
        for variable, name in pairs:
            label = f"{layer.name}/{variable.name}"
            if name is None:
                missing.append(label)
            elif not _fits(tensors[name].shape, variable, layer, stem, rename):
                differing.append(f"{label} is {_shape(variable)}, in the file {_shape(tensors[name])}")
            else:
                plan.append((variable, tensors[name], layer))
            used.add(name)
    unused = set(tensors) - used
    if new_classes:
        ours = [layer.name for layer in model.layers if layer.name.endswith(CLASSIFIER)]
        heads = {rename(name) for name in [CLASSIFIER, *ours]} if rename else {*own[CLASSIFIER], *ours}
        unused = {name for name in unused if _owner(name) not in heads}
    return plan, missing, differing, sorted(unused)


def _counted(names: Iterable[str]) -> dict[str, str]:
    """Rank automatic names (`conv2d_7`) among their kind.

    A file's counter depends on what its writer built before, and starts at 0 or 1.
    """
    kinds: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        kind, _, number = name.rpartition("_") if re.search(r"_\d+$", name) else (name, "", "0")
        kinds.setdefault(kind if kind in AUTOMATIC else name, []).append((int(number), name))
    return {
        name: f"{kind}#{rank}" if kind in AUTOMATIC else name
        for kind, members in kinds.items()
        for rank, (_, name) in enumerate(sorted(members))
    }


def _name_in_file(
    layer: layers.Layer, own: dict[str, tuple[str, ...]], index: int, tensors: Tensors, rename: Rename | None
) -> str | None:
    """Find what the file calls the layer's variable; None if it has nothing of that name."""
    variable = layer.weights[index].name
    if rename:
        modules = rename(layer.name)
        if isinstance(modules, dict):
            known = modules.get(variable, ())
            names = [known] if isinstance(known, str) else known
        else:
            modules = modules if isinstance(modules, tuple) else (modules,)
            names = [f"{module}.{TORCH_VARIABLES[variable]}" for module in modules]
    else:
        # Files spell the kernel of a depthwise convolution in two ways, and `files` makes one of them.
        keys = (variable, "kernel", index) if variable == "depthwise_kernel" else (variable, index)
        names = [f"{owner}/{key}" for owner in own[layer.name] for key in keys]
        if len(layer.weights) == 1:  # then the file's only one is it, whatever its name ("gamma" of a layer scale)
            owned = [name for name in tensors if _owner(name) in own[layer.name]]
            names += owned if len(owned) == 1 else []
    return next((name for name in names if name in tensors), None)


def _owner(name: str) -> str:
    return name.rpartition("/")[0] or name.rpartition(".")[0]


def _fits(
    shape: Sequence[int], variable: keras.Variable, layer: layers.Layer, stem: layers.Layer, rename: Rename | None
) -> bool:
    """Tell whether a tensor of this shape can fill the variable, before it is read."""
    own = tuple(variable.shape)
    if layer.name == POSITIONS and len(shape) > 1:  # any square of patches will do
        counts = {_tokens(variable, stem), *([1] if rename else [])}  # see _without_class_position
        if any(has_positions(shape[-2], count) for count in counts):
            return _without_ones(shape) == (shape[-2], own[1])
    if rename and not _is_kernel(variable):  # PyTorch keeps axes of length 1 to broadcast over
        return _without_ones(shape) == _without_ones(own)
    if rename:
        own = tuple(own[axis] for axis in _torch_axes(variable, layer))
    if layer is stem and variable is layer.kernel:  # any number of input channels will do
        axis = 1 if rename else 2
        return len(shape) == 4 and (*shape[:axis], *shape[axis + 1 :]) == (*own[:axis], *own[axis + 1 :])
    forms = [own]
    if isinstance(layer, layers.Dense):  # older Keras files hold some as a 1 × 1 convolution, which is the same matrix
        forms += [(1, 1, *own), (*own, 1, 1)]
    if isinstance(layer, layers.DepthwiseConv2D):  # which others write as a convolution in groups of one channel
        forms += [(*own[:-2], *own[:-3:-1])]
    return tuple(shape) in forms


def _from_torch(value: np.ndarray, variable: keras.Variable, layer: layers.Layer) -> np.ndarray:
    """Turn PyTorch's channels-first order into Keras' channels-last."""
    if not _is_kernel(variable):
        return value
    picture = _flattened(layer) if isinstance(layer, layers.Dense) else None
    if picture:  # the rows count (channel, y, x) there and (y, x, channel) here
        height, width, channels = picture
        return value.reshape(-1, channels, height, width).transpose(2, 3, 1, 0).reshape(variable.shape)
    return value.reshape(value.shape[: len(variable.shape)]).transpose(np.argsort(_torch_axes(variable, layer)))


def _is_kernel(variable: keras.Variable) -> bool:
    return variable.name in KERNELS and len(variable.shape) > 1


def _torch_axes(variable: keras.Variable, layer: layers.Layer) -> tuple[int, ...]:
    """Order the axes of Keras' kernel as PyTorch does."""
    if len(variable.shape) == 2:
        return 1, 0
    depthwise = isinstance(layer, layers.DepthwiseConv2D) or variable.name == "depthwise_kernel"
    return (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)


def _without_ones(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _flattened(layer: layers.Dense) -> tuple[int, int, int] | None:
    """Find the shape of the feature map that a dense layer sees flattened; None if it sees a vector."""
    operation = made_by(layer.input)
    while isinstance(operation, layers.Dropout | layers.Identity):
        operation = made_by(operation.input)
    return operation.input.shape[1:] if isinstance(operation, layers.Flatten) else None


def _stem(model: keras.Model) -> layers.Layer:
    return next(layer for layer in model.layers if hasattr(layer, "kernel"))


def _tokens_with_positions(model: keras.Model) -> int | None:
    """Count the tokens in front of the patches that have a position embedding; None if nothing has."""
    table = next((layer for layer in model.layers if layer.name == POSITIONS), None)
    return table and _tokens(table.embeddings, _stem(model))


def _tokens(table: keras.Variable, stem: layers.Layer) -> int:
    return table.shape[0] - math.prod(stem.output.shape[1:3])


def _shape(tensor: Any) -> str:
    return " × ".join(map(str, tensor.shape))


def _meant(model: keras.Model, tensors: Tensors, path: Path, rename: Rename | None, relatives: Relatives) -> str | None:
    """Say what to do with a file that is for this network with a classifier, or for a relative; None if it is for none."""
    if _is_for(model, tensors, rename):
        return "pass num_classes, as many as its classifier has" if model.layers[-1].name == "pre_logits" else None
    for other in relatives(sum(math.prod(tensor.shape) for tensor in tensors.values())):
        names = other.origin.torch_names
        if rename and not names:
            continue
        variant = torch_variant(tensors, names, path, other.name, lambda other=other: other)
        if _is_for(other, tensors, names[variant] if variant else None):
            return f"it is for {other.name}, so give that model"
    return None


def _is_for(model: keras.Model, tensors: Tensors, rename: Rename | None) -> bool:
    """Whether a file fills the network, whatever its classifier."""
    _, missing, differing, unused = match(model, tensors, rename, new_classes=True)
    origin = getattr(model, "origin", None)
    return not (missing or differing or [name for name in unused if not (origin and name.startswith(origin.spare))])


def _complaint(
    model: keras.Model, path: Path, missing: list[str], differing: list[str], unused: list[str], meant: str | None
) -> str:
    def listed(names: list[str]) -> str:
        return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

    parts = []
    if missing:
        parts.append(f"it lacks {len(missing)} of the model's variables ({listed(missing)})")
    if differing:
        parts.append(f"{len(differing)} shapes differ ({listed(differing)})")
    if unused:
        parts.append(f"{len(unused)} of its tensors have no place in the model ({listed(unused)})")
    only_head = {name.partition("/")[0] for name in [*missing, *(d.split(" ")[0] for d in differing)]} == {CLASSIFIER}
    if meant:
        advice = meant
    elif only_head and not unused:
        advice = "pass num_classes to start with a new classifier"
    else:
        advice = "give the model that it was made for, with the same width and input size"
    return f"Weights file {path} does not fit {model.name}: {'; '.join(parts)}: {advice}."
