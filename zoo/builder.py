"""Every builder in one function: input → preprocessing → body → classifier → weights → penalty."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypedDict

import keras
from keras import layers

from zoo import surgery
from zoo.layers import CLASSIFIER, classifier
from zoo.origin import Origin
from zoo.preprocessing import MODES, preprocess
from zoo.weights import loading
from zoo.weights.names import TorchNames

# (preprocessed pixels, variant) -> "pre_logits", or a tuple of it and of what auxiliary classifiers see
Body = Callable[[keras.KerasTensor, str], keras.KerasTensor | tuple[keras.KerasTensor, ...]]
# (what the body gives, number of classes, dropout, activation) -> the model's output; 0 classes: "pre_logits"
Head = Callable[[keras.KerasTensor, int, float, str | None], keras.KerasTensor]


class Options(TypedDict, total=False):
    """What every builder takes.

    A model takes pixels `(batch, height, width, channels)`, RGB in 0..255, whatever its weights expect, and gives
    `(batch, num_classes)`.
    """

    num_classes: int  # default: the paper's (1000; 10 for LeNet-5); 0: no classifier, the model ends at "pre_logits"
    input_shape: tuple[int | None, int | None, int]  # default: the weights', else the paper's
    weights: str | os.PathLike | None  # None, a tag of the catalog ("imagenet", "imagenet_torchvision"), or a file
    variant: str  # "keras", "torch", ...: whose form of the graph and preprocessing; default: the weights'
    l2: float  # penalty on every kernel
    dropout: float  # rate before the classifier
    activation: str | None  # of the classifier: "softmax", or None for logits


@dataclass(frozen=True)
class Family:
    """What the members of a family share."""

    preprocessing: Mapping[str, str | None]  # variant → mode of zoo.preprocessing; the first variant is the default
    input_shape: tuple[int, int, int] = (224, 224, 3)
    num_classes: int = 1000
    min_size: int = 32
    multiple: int = 1  # height and width must be multiples of it
    resize: int = 256  # short side that pictures have before the centre crop of input_shape
    interpolation: str = "bilinear"  # of that resizing
    any_size: bool = True  # whether height and width may be None
    # Prefixes of tensors that official files hold beyond the model: auxiliary classifiers, preprocessing.
    spare: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)  # variant → its input shape, where that differs
    head: Head = classifier
    keras_names: Callable[[str], str] | None = None  # what the official file calls the layers, if an older Keras wrote it


def build(
    name: str,
    body: Body,
    family: Family,
    *,
    torch_names: TorchNames = MappingProxyType({}),
    arguments: Mapping[str, object] = MappingProxyType({}),
    num_classes: int | None = None,
    input_shape: tuple[int | None, int | None, int] | None = None,
    weights: str | os.PathLike | None = None,
    variant: str | None = None,
    l2: float = 0.0,
    dropout: float = 0.0,
    activation: str | None = "softmax",
) -> keras.Model:
    """Build `body` into a model of the zoo; see `Options`.

    Args:
        torch_names: how PyTorch files name the layers, for each variant that has such files.
        arguments: those of the builder's own, such as a width, that decide which weights fit.

    Raises:
        ValueError: an argument out of range, in one sentence.
        WeightsError: the weights cannot be had or do not fit.
    """
    source = None if weights is None else loading.resolve(name, weights, arguments, torch_names)
    variant = variant or (source and source.variant) or next(iter(family.preprocessing))
    if variant not in family.preprocessing:
        raise ValueError(f"{name} has the variants {', '.join(family.preprocessing)}, found {variant!r}.")
    entry = source.entry if source else None
    if entry and variant != entry.variant:
        raise ValueError(f"{name} weights {weights!r} are for variant {entry.variant!r}, found {variant!r}.")
    trained_on = entry or replace(family, input_shape=family.shapes.get(variant, family.input_shape))
    input_shape = tuple(trained_on.input_shape if input_shape is None else input_shape)
    _check(name, family, input_shape, num_classes, l2, dropout)

    mode = entry.preprocessing if entry and entry.preprocessing else family.preprocessing[variant]
    inputs = layers.Input(input_shape, name="image")
    x = body(preprocess(inputs, mode), variant)
    x, *auxiliary = x if isinstance(x, tuple) else (x,)
    classes = family.num_classes if num_classes is None else num_classes
    outputs = family.head(x, classes, dropout, activation)
    if auxiliary and classes:
        outputs = [outputs]
        for i, branch in enumerate(auxiliary, start=1):
            outputs.append(classifier(branch, classes, 0, activation, name=f"aux{i}_{CLASSIFIER}"))
    model = keras.Model(inputs, outputs, name=name)
    model.origin = Origin(
        name,
        variant,
        str(source.path) if source else None,
        trained_on.input_shape[0],
        trained_on.resize,
        trained_on.interpolation,
        family.spare,
        torch_names,
        bgr=bool(mode and MODES[mode].bgr),
        keras_names=family.keras_names,
        variants=tuple(family.preprocessing),
    )
    if source:
        loading.load(model, source.path, new_classes=num_classes is not None)
    if l2:
        surgery.regularize(model, l2)
    return model


def _check(name: str, family: Family, input_shape, num_classes, l2: float, dropout: float) -> None:
    sizes = input_shape[:2]
    if len(input_shape) != 3 or not isinstance(input_shape[2], int) or input_shape[2] < 1:
        raise ValueError(f"{name}: input_shape must be (height, width, channels), found {input_shape}.")
    if None in sizes and not family.any_size:
        raise ValueError(f"{name} needs a fixed height and width, found {input_shape}.")
    if any(size is not None and not (isinstance(size, int) and size >= family.min_size) for size in sizes):
        raise ValueError(f"{name}: height and width must be {family.min_size} or more, found {input_shape}.")
    if any(size is not None and size % family.multiple for size in sizes):
        raise ValueError(f"{name}: height and width must be multiples of {family.multiple}, found {input_shape}.")
    if num_classes is not None and (not isinstance(num_classes, int) or num_classes < 0):
        raise ValueError(f"{name}: num_classes must be 0 or a positive integer, found {num_classes!r}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"{name}: dropout must be in [0, 1), found {dropout!r}.")
    if not l2 >= 0:
        raise ValueError(f"{name}: l2 must be 0 or positive, found {l2!r}.")
