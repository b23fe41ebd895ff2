"""Every builder in one function: input → preprocessing → body → classifier → weights → penalty."""

import inspect
import os
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypedDict

import keras
from keras import layers

from zoo import surgery
from zoo.layers import CLASSIFIER, classifier
from zoo.origin import Origin
from zoo.preprocessing import MODES, preprocess
from zoo.weights import catalog, loading
from zoo.weights.names import TorchNames

# "pre_logits", or a tuple of it and of what auxiliary classifiers see
BodyOutput = keras.KerasTensor | tuple[keras.KerasTensor, ...]
# (preprocessed pixels, variant) -> what the classifiers see
Body = Callable[[keras.KerasTensor, str], BodyOutput]
# (what the body gives, number of classes, dropout, activation) -> the model's output; 0 classes: "pre_logits"
Head = Callable[[keras.KerasTensor, int, float, str | None], keras.KerasTensor]
Builder = Callable[..., keras.Model]


class Options(TypedDict, total=False):
    """Options that every builder takes.

    A model takes pixels `(batch, height, width, channels)`, RGB in 0..255, whatever its weights expect, and gives
    `(batch, num_classes)`.
    """

    num_classes: int  # default: the paper's (1000; 10 for LeNet-5); 0: no classifier, the model ends at "pre_logits"
    input_shape: tuple[int | None, int | None, int]  # default: the weights', else the paper's
    weights: str | os.PathLike | None  # None, a tag of the catalog ("imagenet", "imagenet_torchvision"), or a file
    variant: str  # "keras", "torch", ...: whose form of the graph and preprocessing; default: the weights'
    l2: float  # penalty on every kernel
    dropout: float  # rate before the classifier
    activation: str | None  # what the classifier ends with: "softmax", or None for logits


@dataclass(frozen=True)
class Family:
    """What the members of a family share."""

    preprocessing: Mapping[str, str | None]  # variant → mode of zoo.preprocessing; the first variant is the default
    input_shape: tuple[int, int, int] = (224, 224, 3)
    num_classes: int = 1000
    min_size: int = 32
    multiple: int = 1  # what height and width must be multiples of
    resize: int = 256  # short side that pictures have before the centre crop of input_shape
    interpolation: str = "bilinear"  # how pictures are resized
    any_size: bool = True  # whether height and width may be None
    # Prefixes of tensors that official files hold beyond the model: auxiliary classifiers, preprocessing.
    spare: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)  # variant → input shape, where it is another
    head: Head = classifier
    keras_names: Callable[[str], str] | None = None  # what the official file calls the layers, if an older Keras wrote it


def documented(family: Family) -> Callable[[Builder], Builder]:
    """Complete a builder's docstring, a sentence about the network, by what `help` tells of its input, weights and options."""

    def complete(builder: Builder) -> Builder:
        tags = dict.fromkeys(f'"{entry.tag}"' for entry in catalog.entries(builder.__name__))
        facts = (
            f"Input {_inputs(family)}, {'grey' if family.input_shape[2] == 1 else 'RGB'} in 0..255.",
            f"Variants: {', '.join(family.preprocessing)}. Weights: {', '.join(tags) or 'none are public'}.",
            f"Options: {', '.join(Options.__annotations__)}; see `zoo.builder.Options`.",
        )
        builder.__doc__ = "\n".join([f"{inspect.getdoc(builder)}\n", *(textwrap.fill(fact, 120) for fact in facts)])
        return builder

    return complete


def _inputs(family: Family) -> str:
    shapes = [f"`(batch, {', '.join(map(str, shape))})`" for shape in (family.input_shape, *family.shapes.values())]
    usual = ", ".join([shapes[0], *(f'for "{v}" {shape}' for v, shape in zip(family.shapes, shapes[1:], strict=True))])
    if family.multiple > 1:
        return f"{usual}, or any fixed multiples of {family.multiple}"
    return f"{usual}, or any {'size' if family.any_size else 'fixed size'} from {family.min_size} up"


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
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            f"{name} takes pixels (height, width, channels), and Keras is set to channels_first, in keras.json or by the "
            'program: call keras.config.set_image_data_format("channels_last").'
        )
    source = None if weights is None else loading.resolve(name, weights, arguments, torch_names)
    origin = _origin(name, family, torch_names, variant, source)
    usual_shape = source.entry.input_shape if source and source.entry else _usual_shape(family, origin.variant)
    input_shape = tuple(usual_shape if input_shape is None else input_shape)
    _check(name, family, input_shape, num_classes, l2, dropout)
    inputs = layers.Input(input_shape, name="image")
    x = body(preprocess(inputs, _mode(family, origin.variant, source)), origin.variant)
    classes = family.num_classes if num_classes is None else num_classes
    model = keras.Model(inputs, _outputs(x, family.head, classes, dropout, activation), name=name)
    model.origin = origin
    if source:
        loading.load(model, source.path, new_classes=num_classes is not None)
    if l2:
        surgery.regularize(model, l2)
    return model


def _origin(name: str, family: Family, torch_names: TorchNames, variant: str | None, source: loading.Source | None) -> Origin:
    entry = source.entry if source else None
    variant = variant or (source and source.variant) or next(iter(family.preprocessing))
    if variant not in family.preprocessing:
        raise ValueError(f"{name} has the variants {', '.join(family.preprocessing)}, found {variant!r}.")
    if entry and variant != entry.variant:
        raise ValueError(f"{name} weights {entry.tag!r} are for variant {entry.variant!r}, found {variant!r}.")
    mode = _mode(family, variant, source)
    return Origin(
        name,
        variant,
        weights=str(source.path) if source else None,
        size=(entry.input_shape if entry else _usual_shape(family, variant))[0],
        resize=entry.resize if entry else family.resize,
        interpolation=entry.interpolation if entry else family.interpolation,
        spare=family.spare,
        torch_names=torch_names,
        bgr=bool(mode and MODES[mode].bgr),
        keras_names=family.keras_names,
        variants=tuple(family.preprocessing),
    )


def _usual_shape(family: Family, variant: str) -> tuple[int, int, int]:
    return family.shapes.get(variant, family.input_shape)


def _mode(family: Family, variant: str, source: loading.Source | None) -> str | None:
    """Choose the preprocessing: the weights', where the catalog knows it, else the variant's."""
    return (source and source.entry and source.entry.preprocessing) or family.preprocessing[variant]


def _outputs(
    x: BodyOutput, head: Head, num_classes: int, dropout: float, activation: str | None
) -> keras.KerasTensor | list[keras.KerasTensor]:
    """Classify what the body gives; auxiliary classifiers stand behind the first, in a list with it."""
    x, *auxiliary = x if isinstance(x, tuple) else (x,)
    outputs = head(x, num_classes, dropout, activation)
    if not (auxiliary and num_classes):
        return outputs
    return [outputs] + [
        classifier(branch, num_classes, 0, activation, name=f"aux{i}_{CLASSIFIER}")
        for i, branch in enumerate(auxiliary, start=1)
    ]


def _check(
    name: str, family: Family, input_shape: tuple[int | None, ...], num_classes: int | None, l2: float, dropout: float
) -> None:
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
