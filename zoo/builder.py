"""Every builder in one function: input → preprocessing → body → classifier → weights → penalty."""

import functools
import inspect
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypedDict, TypeVar, cast

import keras
from keras import layers

from zoo import origin as origins
from zoo import pixels, surgery
from zoo.arguments import annotated, check_activation, integer, penalty, rate, read_shape, shown
from zoo.classes import names_of
from zoo.keras_private import draw_values, values_later, without_values
from zoo.layers import CLASSIFIER, classifier
from zoo.migrating import unknown_options
from zoo.origin import Origin
from zoo.preprocessing import Mode, Preprocessing, preprocess
from zoo.weights import catalog, loading
from zoo.weights.catalog import citations
from zoo.weights.choosing import Undecided, preprocessing_of, variant_of
from zoo.weights.forms import Network
from zoo.weights.names import TorchNames
from zoo.weights.source import Source, of_file, resolve

# "pre_logits", or a tuple of it and of what auxiliary classifiers see
BodyOutput = keras.KerasTensor | tuple[keras.KerasTensor, ...]
# (preprocessed pixels, variant) -> what the classifiers see
Body = Callable[[keras.KerasTensor, str], BodyOutput]
# (what the body gives, number of classes, dropout, activation, name=...) -> the model's output; 0 classes: "pre_logits".
# Only the heads of families with auxiliary classifiers are given a name.
Head = Callable[..., keras.KerasTensor]
Builder = Callable[..., keras.Model]
# A builder as it is written, with its own options: type checkers see these.
Written = TypeVar("Written", bound=Builder)


# Every builder by its name: what finds the origin of a copied model again.
BUILDERS: dict[str, Builder] = {}

# How much the parameters of two files for one network may differ, as a share: by positions, and by classifiers, which are
# four tenths of the smallest.
MAX_DIFFERENCE = 0.5


RAISES = """Raises:
    ValueError: an option is out of its range.
    WeightsError: the weights cannot be had, or do not fit."""


class Options(TypedDict, total=False):
    """Options that every builder takes, by name.

    A model takes pixels `(batch, height, width, channels)`, RGB in 0..255, whatever its weights expect, and gives
    `(batch, num_classes)`. Its values are random unless weights are named.

    Attributes:
        num_classes: 0 builds no classifier, and the model ends at "pre_logits". Default: the weights', else the paper's (1000;
            10 for LeNet-5; 0 for what was trained without labels).
        input_shape: `(height, width, channels)`; None for height and width of any size. Default: the weights', else the
            paper's.
        weights: None for random values, a tag of the catalog, which `zoo models` lists, "default" for the tag of the highest
            published top-1 accuracy, or a file.
        variant: "keras", "torch", ...: whose form of the graph. Default: the weights', else the first.
        preprocessing: a name of `zoo.preprocessing.MODES`, or (mean, deviation) of pixels in 0..1. Default: the weights', else
            the variant's.
        l2: penalty on every kernel.
        dropout: rate before the classifier, in [0, 1).
        activation: what the classifier ends with, such as "softmax"; None for logits.
    """

    num_classes: int | None
    input_shape: tuple[int | None, int | None, int] | None
    weights: str | os.PathLike | None
    variant: str | None
    preprocessing: Preprocessing | None
    l2: float
    dropout: float
    activation: str | None


class AllOptions(Options, total=False):
    """The options of every builder, and those that only some of them take; `zoo.get_model` takes a builder's."""

    alpha: float
    aux: bool
    aux_dropout: float
    drop_path_rate: float
    lrn: bool
    modern: bool
    pooling: Literal["token", "average", "both"]


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
    # Variant → further modes that files outside the catalog need, and variant of a PyTorch layout → variants whose graphs
    # files of its names are for, where that is not its own alone.
    other_modes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ports: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    any_size: bool = True  # whether height and width may be None
    # Prefixes of tensors that official files hold beyond the model: auxiliary classifiers, preprocessing.
    spare: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)  # variant → input shape, where it is another
    head: Head = classifier
    notes: str = ""  # what `help` adds on options that mean something of their own here: the paper's rates
    keras_names: Callable[[str], str] | None = None  # what the official file calls the layers, if an older Keras wrote it


def documented(family: Family) -> Callable[[Written], Written]:
    """Complete a builder: its docstring and its signature by all that `help` shows, its own options' values by a check.

    It takes options by name alone, and refuses those it does not have by a sentence that says what is meant.
    """

    def complete(builder: Written) -> Written:
        name, signature = builder.__name__, _signature(builder)
        own = {key: kind for key, kind in inspect.get_annotations(builder).items() if key in signature.parameters}
        builder.__doc__ = _described(builder, family)

        @functools.wraps(builder)
        def by_name(*unnamed: object, **options: Any) -> keras.Model:
            if unnamed:  # or the first option of each would be another: a width here, an auxiliary classifier there
                raise TypeError(f"{name} takes its options by name, such as num_classes=10, found {shown(unnamed[0])} without.")
            if unknown := [option for option in options if option not in signature.parameters]:
                raise TypeError(unknown_options(name, unknown, list(signature.parameters)))
            return builder(**annotated(name, own, options))

        BUILDERS[name] = by_name
        by_name.__signature__ = signature
        return cast(Written, by_name)

    return complete


def _signature(builder: Builder) -> inspect.Signature:
    """List the options of every builder, as `build` has them, and this one's own: each by name, with type and default."""
    every, written = inspect.signature(build).parameters, inspect.signature(builder)
    own = [parameter for parameter in written.parameters.values() if parameter.kind is parameter.KEYWORD_ONLY]
    return written.replace(parameters=[*(every[name] for name in Options.__annotations__), *own])


def _described(builder: Builder, family: Family) -> str:
    """Write what `help` tells of a builder: its own docstring, its input, variants and weights, and every option."""
    tags = dict.fromkeys(f'"{entry.tag}"' for entry in catalog.entries(builder.__name__))
    facts = (
        f"Input {_inputs(family)}, {'grey' if family.input_shape[2] == 1 else 'RGB'} in 0..255.",
        "Output `(batch, num_classes)`, or the features of each picture, `(batch, channels)`, where num_classes is 0.",
        f"Variants: {', '.join(family.preprocessing)}. Weights: {', '.join(tags) or 'none are public'}.",
        *([family.notes] if family.notes else []),
    )
    options = (inspect.getdoc(Options) or "").partition("Attributes:\n")[2]
    return "\n".join(
        [
            f"{inspect.getdoc(builder)}\n",
            *(textwrap.fill(fact, 120) for fact in facts),
            f"\nOptions of every builder, see `zoo.builder.Options`:\n{options}",
            f"\n{RAISES}",
        ]
    )


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
    preprocessing: Preprocessing | None = None,
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
    _require_channels_last(name)
    make = _maker(name, body, family)
    network = Network(name, family.preprocessing, family.other_modes, family.ports, make, family.input_shape)
    if num_classes is not None:
        num_classes = integer(num_classes, f"{name}: num_classes must be 0 or a positive integer")
    legal = partial(_legal_shape, name, family)
    input_shape = None if input_shape is None else legal(input_shape)
    l2, dropout = penalty(l2, f"{name}: l2"), rate(dropout, f"{name}: dropout")
    check_activation(activation, name)
    source = None if weights is None else resolve(network, weights, arguments, torch_names, variant)
    variant, mode = _form(network, torch_names, source, variant, preprocessing)
    input_shape = input_shape or legal(_input_shape(family, variant, source))
    inputs = layers.Input(input_shape, name="image")
    x = preprocess(inputs, mode)
    classes = _num_classes(family, source) if num_classes is None else num_classes
    # What a file fills is not drawn before: JAX compiles every initialiser, which took longer than all else.
    with values_later() if source else nullcontext():
        model = keras.Model(inputs, _outputs(body(x, variant), family.head, classes, dropout, activation), name=name)

    origin_of = _origins(network, family, torch_names, arguments, variant, mode, model.outputs[0].shape[-1])
    origins.mark(model, origin_of(source))
    if source:
        head = source.saved.head if source.saved else ()
        whole = loading.load(model, source.path, num_classes is not None, head, partial(_relatives, name))
        draw_values(model)
        model.origin = model.origin if whole else origins.of_part(model)
    pixels.watch(model)
    if l2:
        surgery.regularize(model, l2)
    return model


def _form(
    network: Network, torch_names: TorchNames, source: Source | None, variant: str | None, preprocessing: Preprocessing | None
) -> tuple[str, Mode | None]:
    """Choose the variant and the preprocessing; of a file that fits no form of the network, neither is asked."""
    try:
        chosen = variant_of(network, source, variant)
        return chosen, preprocessing_of(network, source, chosen, preprocessing)
    except Undecided:
        assert source, "without a file nothing is undecided"
        with without_values():
            bodies = [network.make(fitting, network.size) for fitting in source.variants]
        loading.check(bodies, source.path, torch_names, partial(_relatives, network.name))
        raise


def _relatives(name: str, parameters: int) -> Iterator[keras.Model]:
    """Make the other networks of the family, without values, of which there are weights of about so many parameters."""
    for other, builder in BUILDERS.items():
        sizes = [entry.parameters for entry in catalog.entries(other)]
        is_near = any(abs(size - parameters) < MAX_DIFFERENCE * size for size in sizes)
        if is_near and other != name and name in BUILDERS and builder.__module__ == BUILDERS[name].__module__:
            with without_values():
                model = builder(num_classes=0)
            yield model


def _require_channels_last(name: str) -> None:
    """Refuse to build under another order of the axes than that of this zoo. Raises ValueError."""
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            f"{name} takes pixels (height, width, channels), and Keras is set to channels_first, in keras.json or by the "
            'program: call keras.config.set_image_data_format("channels_last").'
        )


def _maker(name: str, body: Body, family: Family) -> Callable[[str, tuple[int | None, int | None, int]], keras.Model]:
    """Make a function that builds the network alone, to compare it with what a file holds."""

    def make(variant: str, shape: tuple[int | None, int | None, int]) -> keras.Model:
        inputs = layers.Input(shape, name="image")
        x = body(inputs, variant)
        model = keras.Model(inputs, x[0] if isinstance(x, tuple) else x, name=name)
        model.origin = Origin(name, variant, None, shape[0], family.resize, keras_names=family.keras_names)
        return model

    return make


def _origins(
    network: Network,
    family: Family,
    torch_names: TorchNames,
    arguments: Mapping[str, object],
    variant: str,
    mode: Mode | None,
    num_classes: int,
) -> Callable[[Source | None], Origin]:
    """Make the function that says where this form of the network comes from, whatever fills it."""

    def of_source(source: Source | None) -> Origin:
        origin = _origin(network, family, torch_names, variant, mode, source, num_classes)
        return replace(origin, refilled=refilled)

    def refilled(path: Path) -> Origin:
        """Refuse a file that says it is for another form of the network, or for other preprocessing."""
        source = of_file(network, path, arguments, torch_names)
        _form(network, torch_names, source, variant, mode)
        return of_source(source)

    return of_source


def _origin(
    network: Network,
    family: Family,
    torch_names: TorchNames,
    variant: str,
    mode: Mode | None,
    source: Source | None,
    num_classes: int,
) -> Origin:
    usual = _usual_shape(family, variant)[0]
    size, resize, interpolation = usual, family.resize, family.interpolation
    entry, told = (source.entry, source.card or (source.saved and source.saved.framing)) if source else (None, None)
    if entry:
        size, resize, interpolation = entry.input_shape[0], entry.resize, entry.interpolation
    elif told:
        size, resize, interpolation = told.size, told.resize, told.interpolation
    known = entry or (source and source.saved and source.saved.terms)
    return Origin(
        network.name,
        variant,
        weights=str(source.path) if source else None,
        size=size,
        resize=resize,
        interpolation=interpolation,
        trained_size=size if entry or told else None,
        preprocessing="none" if mode is None else str(mode),
        spare=family.spare,
        torch_names=torch_names,
        bgr=bool(mode and mode.bgr),
        keras_names=family.keras_names,
        variants=tuple(family.preprocessing),
        classes=names_of(source.entry, source.saved, num_classes) if source else (),
        license=known.license if known else None,
        citations=known.citations if known else tuple(filter(None, [citations.of_model(network.name)])),
    )


def _num_classes(family: Family, source: Source | None) -> int:
    """Choose how many classes there are: those of published weights, which may have none, else the paper's."""
    return source.entry.num_classes if source and source.entry else family.num_classes


def _usual_shape(family: Family, variant: str) -> tuple[int, int, int]:
    return family.shapes.get(variant, family.input_shape)


def _input_shape(family: Family, variant: str, source: Source | None) -> tuple[int, int, int]:
    """Choose the input's shape: that of the weights, where they say it, else the variant's."""
    usual = _usual_shape(family, variant)
    if source is None:
        return usual
    if source.entry:
        return source.entry.input_shape
    if source.card:
        return source.card.size, source.card.size, usual[2]
    shape = source.saved.input_shape if source.saved else None
    return shape if shape and None not in shape else usual


def _legal_shape(name: str, family: Family, shape: object) -> tuple[int | None, int | None, int]:
    """Read a shape of the input; ValueError for one that the family does not take."""
    return read_shape(shape, name, family.input_shape, family.min_size, family.multiple, family.any_size)


def _outputs(
    x: BodyOutput, head: Head, num_classes: int, dropout: float, activation: str | None
) -> keras.KerasTensor | list[keras.KerasTensor]:
    """Classify what the body gives; auxiliary classifiers stand behind the first, in a list with it."""
    x, *auxiliary = x if isinstance(x, tuple) else (x,)
    outputs = head(x, num_classes, dropout, activation)
    if not (auxiliary and num_classes):
        return outputs
    return [outputs] + [
        head(branch, num_classes, 0, activation, name=f"aux{i}_{CLASSIFIER}") for i, branch in enumerate(auxiliary, start=1)
    ]
