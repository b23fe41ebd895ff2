"""What each layer of a model is, costs and sees: output shape, parameters, multiply-adds and receptive field.

>>> from zoo import analysis, lenet5
>>> print(*analysis.table(lenet5()), sep="\n")

Multiply-adds are those of convolutions, dense layers and attention, for one picture. Biases, norms, activations and pooling
count nothing, as in the numbers that torchvision and timm publish.

The receptive field of a unit is the box of input pixels that can change it (Araujo, Norris, Sim 2019, "Computing Receptive
Fields of Convolutional Neural Networks", Distill, https://distill.pub/2019/computing-receptive-fields). It reaches into the
padding and may be larger than the picture. Where branches meet, in a sum or a concatenation, it is the smallest box around
theirs. Global pooling, `Flatten` and attention see the whole picture, and so does everything after them: with squeeze and
excitation, that is all but the first layers. Attention within windows sees its window, which lies otherwise around each place:
from there on the stride alone is said.

Operations that are not known here cost nothing and act on each place by itself.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import layers

from zoo.keras_private import calls
from zoo.tables import align

Node = Any  # of Keras' graph, whose class is not public: one call of an operation
Size = int | None
Shape = tuple[Size, ...]

# Operations of `keras.ops` have no public class: they are known by its name, and layers with them.
MIXING = {"MultiHeadAttention", "DotProductAttention", "GroupNormalization"}  # each place sees all places
CONSTANT = {"ZerosLike", "OnesLike"}  # sees nothing
ENLARGING = {"Conv2DTranspose", "ConvTranspose", "UpSampling2D", "Resizing", "Resize"}  # neighbours see alike: not said
KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")  # applied once at each place of the output
REARRANGING = {"Reshape", "Transpose", "Permute", "ExpandDims", "Squeeze", "Swapaxes", "Moveaxis"}


@dataclass(frozen=True)
class Field:
    """The receptive field along one axis: unit i sees the pixels from `first + i stride` to `last + i stride`.

    Pixels are counted from 0. A unit that sees the whole picture has an infinite field, and stride 0 if it is the only one;
    NaN stands where it is not the same for all units.
    """

    first: float
    last: float
    stride: int

    @property
    def size(self) -> float:
        """How many pixels unit 0 sees."""
        return self.last - self.first + 1

    @property
    def center(self) -> float | None:
        """The middle of what unit 0 sees; None where that is the whole picture, nothing, or not said."""
        return None if not math.isfinite(self.size) else (self.first + self.last) / 2

    def through(self, window: int, stride: int = 1, before: int = 0, dilation: int = 1) -> "Field":
        """Compute the field behind a window that slides over these units, with `before` units of padding in front."""
        after = dilation * (window - 1) - before
        return Field(self.first - before * self.stride, self.last + after * self.stride, self.stride * stride)

    def everywhere(self) -> "Field":
        """Widen the field to the whole picture."""
        return replace(self, first=-math.inf, last=math.inf)

    def unsaid(self) -> "Field":
        """Keep the stride alone: places see differently large parts around them."""
        return replace(self, first=math.nan, last=math.nan)


WHOLE = Field(-math.inf, math.inf, 0)
NOTHING = Field(math.inf, -math.inf, 0)
Fields = tuple[Field, Field]  # along rows and along columns


@dataclass(frozen=True)
class LayerFacts:
    """One layer, or one operation of `keras.ops`, at one place of the graph."""

    name: str
    kind: str  # the class of the layer or operation
    output_shape: tuple[int | None, ...]
    parameters: int  # moving statistics included; those of a shared layer count where it comes first
    multiply_adds: int | None  # for one picture; None if they depend on an open input size
    receptive_field: Fields | None  # None: it cannot be said, behind an operation that changes rows or columns unknown to us


def analyze(model: keras.Model) -> list[LayerFacts]:
    """Measure every layer and operation, from input to outputs.

    With an open height or width (None), `padding="same"` is taken to divide evenly; only the centre depends on that.

    Raises:
        ValueError: the model is no flat functional graph from one input, with channels last.
    """
    facts, fields, counted = [], {}, set()
    for node in _nodes(model):
        operation, output = node.operation, node.outputs[0]
        if isinstance(operation, layers.InputLayer):
            field = (Field(0, 0, 1),) * 2 if len(output.shape) == 4 else None
        else:
            field = _field(node, [fields[id(x)] for x in node.input_tensors])
        fields |= {id(x): field for x in node.outputs}
        first = isinstance(operation, layers.Layer) and operation not in counted
        counted.add(operation)
        parameters = operation.count_params() if first else 0
        kind, shape = type(operation).__name__, tuple(output.shape)
        facts.append(LayerFacts(operation.name, kind, shape, parameters, _multiply_adds(node), field))
    return facts


def total(facts: Sequence[LayerFacts]) -> tuple[int, int | None]:
    """Sum the parameters and the multiply-adds of the whole model."""
    return sum(fact.parameters for fact in facts), _sum([fact.multiply_adds for fact in facts])


def table(model: keras.Model) -> list[str]:
    """Write the facts as lines for the terminal, with their sum."""
    facts = analyze(model)
    parameters, multiply_adds = total(facts)
    return align([*rows(facts), ("total", "", "", f"{parameters:,}", _count(multiply_adds), "", "", "")], "<<>>>>>>")


def rows(facts: Sequence[LayerFacts]) -> list[tuple[str, ...]]:
    """Write a header, and the cells of each layer."""
    header = ("layer", "kind", "output", "parameters", "multiply-adds", "sees", "stride", "centre")
    return [header] + [
        (
            fact.name,
            fact.kind,
            " × ".join("?" if n is None else str(n) for n in fact.output_shape[1:]),
            _count(fact.parameters),
            _count(fact.multiply_adds),
            *(_axes(fact.receptive_field, text) for text in (_size, _stride, _center)),
        )
        for fact in facts
    ]


def blueprint(builder: Callable[..., keras.Model], **options) -> keras.Model:
    """Build a model without values: it can be analysed, costs next to nothing, and can do nothing else.

    Resets Keras' global state, since that would give the variables their values later.
    """
    try:
        with keras.StatelessScope(initialize_variables=False):
            return builder(**options)
    finally:
        keras.utils.clear_session(free_memory=False)  # a full collection may take seconds


# ---------------------------------------------------------------------------------------------- the graph
def _nodes(model: keras.Model) -> list[Node]:
    """List every call of a layer or operation, parents first."""
    try:
        graph = keras.Model(model.inputs, model.outputs)  # a Sequential model becomes functional
    except (AttributeError, ValueError, TypeError) as error:
        raise ValueError(f"{model.name} cannot be analysed: it is no functional model with known layers.") from error
    if len(graph.inputs) > 1:
        raise ValueError(f"{model.name} cannot be analysed: it has {len(graph.inputs)} inputs, and one is expected.")
    nodes = calls(graph)
    for operation in graph.operations:
        if isinstance(operation, keras.Model):
            raise ValueError(f"{model.name} cannot be analysed: it contains the model {operation.name}; analyse that alone.")
        if getattr(operation, "data_format", None) == "channels_first":
            raise ValueError(f"{model.name} cannot be analysed: {operation.name} has its channels first.")
    return nodes


# ---------------------------------------------------------------------------------------------- multiply-adds
def _multiply_adds(node: Node) -> int | None:
    operation, kind, output = node.operation, type(node.operation).__name__, node.outputs[0].shape
    shapes = [x.shape for x in (*node.arguments.args, *node.arguments.kwargs.values()) if hasattr(x, "shape")]
    if kind == "EinsumDense":
        return _einsum(operation.equation, [*shapes, operation.kernel.shape], output)
    if kind == "Einsum":
        return _einsum(operation.subscripts, shapes, output)
    if kind == "Matmul":
        return _product([*output[1:], shapes[0][-1]])
    if kind == "DotProductAttention":
        (_, queries, heads, width), keys, values = shapes[:3]
        return _attention(queries, keys[1], heads, width, values[-1])
    if kind == "MultiHeadAttention":
        config = operation.get_config()
        query, value, key = (*shapes, shapes[1])[:3]  # the order of its arguments; the key is the value if not given
        heads, width = config["num_heads"], config["key_dim"]
        value_width = config["value_dim"] or width
        projections = [
            query[1:] + (heads, width),
            key[1:] + (heads, width),
            value[1:] + (heads, value_width),
            output[1:] + (heads, value_width),
        ]
        return _sum([*map(_product, projections), _attention(query[1], key[1], heads, width, value_width)])
    kernels = [getattr(operation, name, None) for name in KERNELS] if isinstance(operation, layers.Layer) else []
    weights = sum(math.prod(kernel.shape) for kernel in kernels if kernel is not None and len(kernel.shape) > 1)
    places = shapes[0] if "Transpose" in kind else output  # a transposed convolution works once for each input
    return _product([weights, *places[1:-1]]) if weights else 0


def _attention(queries: Size, keys: Size, heads: int, width: int, value_width: int) -> int | None:
    """Count attention: every query meets every key, and its weights every value."""
    return _product([queries, keys, heads, width + value_width])


def _einsum(equation: str, shapes: Sequence[Shape], output: Shape) -> int | None:
    """Count an equation: every value of the output is a sum over the letters that it does not have."""
    terms, result = equation.replace(" ", "").split("->")
    sizes = {}
    for term, shape in zip(terms.split(","), shapes, strict=True):
        sizes |= dict(zip(reversed(term), reversed(shape), strict=False))  # from the end: "..." stands in front
    return _product([*output[1:], *(size for letter, size in sizes.items() if letter not in result)])


def _product(sizes: Sequence[Size]) -> int | None:
    return None if None in sizes else math.prod(sizes)


def _sum(counts: Sequence[int | None]) -> int | None:
    return None if None in counts else sum(counts)


# ---------------------------------------------------------------------------------------------- receptive field
def _field(node: Node, inputs: Sequence[Fields | None]) -> Fields | None:
    """Compute the field of the node's output from its inputs'; what is not named here acts on each place by itself."""
    kind, output = type(node.operation).__name__, node.outputs[0].shape
    shapes = [x.shape for x in node.input_tensors]
    field = _union(inputs)
    if kind in CONSTANT:
        return (NOTHING, NOTHING)
    if len(output) == 2 < max(map(len, shapes)) or kind.startswith("Global"):  # no rows and columns are left
        return (WHOLE, WHOLE)
    if kind == "Einsum" and len(output) > 4 and output[1] != 1:  # of windows, which are the second axis
        return field and tuple(axis.unsaid() for axis in field)
    if kind in MIXING or kind in ("Matmul", "Einsum") and len(inputs) > 1:
        return tuple(axis.everywhere() for axis in field or (WHOLE, WHOLE))
    if field is None or kind in ENLARGING:
        return None
    if kind in REARRANGING:  # patches as a row of tokens keep their fields
        return field
    windows = _windows(node, shapes[0], output)
    if windows:
        return tuple(axis.through(*window) for axis, window in zip(field, windows, strict=True))
    if all(len(shape) == 4 for shape in (*shapes, output)) and output[1:3] not in [shape[1:3] for shape in shapes]:
        return (WHOLE, WHOLE) if output[1:3] == (1, 1) else None  # a mean over all places, or what is not known here
    return field


def _union(inputs: Sequence[Fields | None]) -> Fields | None:
    """Find the smallest box around the fields of all branches; None if one is unknown, or if they move differently."""
    if None in inputs:
        return None
    merged = []
    for axes in zip(*inputs, strict=True):
        strides = {axis.stride for axis in axes} - {0}  # 0: one unit, that is met by all
        if len(strides) > 1:
            return None
        first, last = min(axis.first for axis in axes), max(axis.last for axis in axes)
        box = Field(first, last, max(strides, default=0))
        merged.append(box.unsaid() if any(math.isnan(axis.size) for axis in axes) else box)
    return tuple(merged)


def _windows(node: Node, shape: Shape, output: Shape) -> list[tuple[int, ...]] | None:
    """Find (window, stride, padding in front, dilation) of rows and columns, if the operation slides over them."""
    operation, kind = node.operation, type(node.operation).__name__
    if kind == "ZeroPadding2D":
        return [(1, 1, before) for before, _ in operation.padding]
    if kind == "Cropping2D":
        return [(1, 1, -before) for before, _ in operation.cropping]
    if kind == "Pad" and len(operation.pad_width) == len(shape):
        return [(1, 1, before) for before, _ in operation.pad_width[1:3]]
    if kind == "GetItem":  # every so many rows and columns
        return _steps(node.arguments.args[1], shape, output)
    if kind.startswith("Adaptive"):  # windows of one size, if it divides
        even = all(places and places % units == 0 for places, units in zip(shape[1:3], output[1:3], strict=True))
        return [(n // m, n // m) for n, m in zip(shape[1:3], output[1:3], strict=True)] if even else None
    size = getattr(operation, "kernel_size", None) or getattr(operation, "pool_size", None)
    if kind in ("Conv", "DepthwiseConv", "SeparableConv"):  # of keras.ops
        size = [x.shape for x in (*node.arguments.args, *node.arguments.kwargs.values())][1]
    if size is None:
        return None
    windows = []
    strides, dilations = operation.strides or size, getattr(operation, "dilation_rate", 1)
    for n, window, stride, dilation in zip(shape[1:3], *map(_pair, (size, strides, dilations)), strict=True):
        padding = 0
        if operation.padding == "same":
            n = n or stride
            padding = max((math.ceil(n / stride) - 1) * stride + dilation * (window - 1) + 1 - n, 0)
        windows.append((window, stride, padding // 2, dilation))
    return windows


def _steps(key: object, shape: Shape, output: Shape) -> list[tuple[int, ...]] | None:
    """Find the windows of one place of `x[:, first::step, first::step]`; None of any other part of a map."""
    if len(shape) != 4 or len(output) != 4 or not isinstance(key, tuple) or len(key) < 3:
        return None
    if not all(isinstance(axis, slice) and (axis.start or 0) >= 0 for axis in key[1:3]):
        return None
    return [(1, axis.step or 1, -(axis.start or 0), 1) for axis in key[1:3]]


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value[:2])


# ---------------------------------------------------------------------------------------------- text
def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}" if number else ""


def _axes(fields: Fields | None, text: Callable[[Field], str]) -> str:
    """Write rows and columns, once if they are the same."""
    return "?" if fields is None else " × ".join(dict.fromkeys(map(text, fields)))


def _size(axis: Field) -> str:
    return "?" if math.isnan(axis.size) else {WHOLE.size: "all", NOTHING.size: "nothing"}.get(axis.size) or str(axis.size)


def _stride(axis: Field) -> str:
    return str(axis.stride or "")


def _center(axis: Field) -> str:
    return "" if axis.center is None else f"{axis.center:g}"
