"""Batch norms folded into the convolutions before them, where they use their moving statistics.

Such a norm multiplies and shifts each channel by numbers that no batch changes: conv(x, W) · s + b = conv(x, W · s) + b. By
itself it reads and writes the whole map, in training three times a step; in the kernel it costs as much as that is large, and
what computes the convolution adds the shift. Answers and gradients are the same up to rounding.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from zoo.keras_private import calls

if TYPE_CHECKING:
    from keras import Model, Operation
    from keras.layers import BatchNormalization, Layer

# A convolution, and the norm behind it.
Pair = tuple["Layer", "BatchNormalization"]


def foldable(model: "Model", in_training: bool) -> list[Pair]:
    """List the convolutions of a functional model whose output a norm with moving statistics takes, and nothing else does.

    Args:
        in_training: whether norms that are trained use the statistics of their batches.
    """
    nodes = calls(model)
    taken = [id(tensor) for node in nodes for tensor in node.input_tensors] + [id(tensor) for tensor in model.outputs]
    called = [id(node.operation) for node in nodes]
    makers = {id(node.outputs[0]): node.operation for node in nodes if _is_plain(node.operation)}
    pairs = []
    for node in nodes:
        if not _is_norm(node.operation) or (in_training and node.operation.trainable):
            continue
        tensor = id(node.input_tensors[0])
        pair = makers.get(tensor), node.operation
        if pair[0] is not None and taken.count(tensor) == called.count(id(pair[0])) == called.count(id(pair[1])) == 1:
            pairs.append(pair)
    return pairs


@contextlib.contextmanager
def folded(pairs: list[Pair], is_frozen: bool = False) -> Iterator[None]:
    """Let convolutions do what the norms behind them do, in whatever is traced inside the block.

    Args:
        pairs: what `foldable` gives.
        is_frozen: compute the kernels at once, for weights that will not change.
    """
    for convolution, norm in pairs:  # of these layers alone, in this thread alone, and for now
        convolution.call = _here(convolution, _convolving(convolution, norm, is_frozen))
        norm.call = _here(norm, lambda inputs, **_: inputs)  # the convolution has done it
    try:
        yield
    finally:
        for layer in (layer for pair in pairs for layer in pair):
            del layer.call


def _here(layer: "Layer", call: Callable) -> Callable:
    """Make a `call` of a layer that is another one in the thread that makes it."""
    own, thread = layer.call, threading.get_ident()

    def chosen(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return (call if threading.get_ident() == thread else own)(inputs, *args, **kwargs)

    return chosen


def _is_plain(operation: "Operation") -> bool:
    """Whether this is a convolution and nothing besides, with its channels last."""
    from keras import activations, layers

    return (
        type(operation) in (layers.Conv2D, layers.DepthwiseConv2D)
        and operation.activation in (None, activations.linear)
        and operation.data_format == "channels_last"
        and not getattr(operation, "lora_enabled", False)
        and "call" not in vars(operation)  # somebody else's, such as the look at a network's first pixels
    )


def _is_norm(operation: "Operation") -> bool:
    """Whether this is a batch norm of the last of four axes."""
    from keras import layers

    return type(operation) is layers.BatchNormalization and operation.axis in (-1, 3) and not operation.renorm


def _convolving(convolution: "Layer", norm: "BatchNormalization", is_frozen: bool) -> Callable[[Any], Any]:
    """Make the `call` of a convolution that does what the norm does as well."""
    from keras import layers, ops

    frozen = [ops.convert_to_numpy(part) for part in _merged(convolution, norm)] if is_frozen else None

    def call(inputs: Any) -> Any:
        kernel, offset = frozen or _merged(convolution, norm)
        kernel = ops.cast(kernel, convolution.compute_dtype)
        if isinstance(convolution, layers.DepthwiseConv2D):
            how = {name: getattr(convolution, name) for name in ("strides", "padding", "dilation_rate", "data_format")}
            outputs = ops.depthwise_conv(inputs, kernel, **how)
        else:
            outputs = convolution.convolution_op(inputs, kernel)
        return ops.add(outputs, ops.cast(offset, convolution.compute_dtype))

    return call


def _merged(convolution: "Layer", norm: "BatchNormalization") -> tuple[Any, Any]:
    """Compute the kernel that contains the norm's factors, and what is added, `(channels,)`."""
    from keras import layers, ops

    scale = ops.rsqrt(norm.moving_variance + norm.epsilon)
    scale = scale if norm.gamma is None else scale * norm.gamma
    offset = -norm.moving_mean * scale
    offset = offset if norm.beta is None else offset + norm.beta
    if convolution.use_bias:
        offset = offset + convolution.bias * scale
    is_depthwise = isinstance(convolution, layers.DepthwiseConv2D)
    return convolution.kernel * (ops.reshape(scale, convolution.kernel.shape[2:]) if is_depthwise else scale), offset
