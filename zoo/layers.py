"""Building blocks that several families share: a convolution with its batch norm, and the cut between stages."""

import keras
import numpy as np
from keras import layers


def stage(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Name a place where the network can be cut in two.

    An `Identity` has no weights and costs nothing, so official weight files still fit, the cut survives saving,
    and `model.get_layer(name).output` is the same expression for every architecture.
    """
    return layers.Identity(name=name)(x)


def pad_like_torch(x: keras.KerasTensor, kernel_size: int, name: str) -> keras.KerasTensor:
    """Zero-pad `kernel_size // 2` on every side, as PyTorch does; `padding="same"` pads right and bottom first."""
    return layers.ZeroPadding2D(kernel_size // 2, name=name)(x)


def conv_bn(
    x: keras.KerasTensor,
    filters: int | None,
    kernel_size: int,
    strides: int = 1,
    *,
    names: tuple[str, str, str],
    padding: str = "same",
    activation: str | None = "relu",
    use_bias: bool = False,
    epsilon: float = 1e-3,
    momentum: float = 0.99,
) -> keras.KerasTensor:
    """Convolution, batch norm and activation, named `names`; `filters=None` makes the convolution depthwise."""
    options = dict(strides=strides, padding=padding, use_bias=use_bias, name=names[0])
    if filters is None:
        x = layers.DepthwiseConv2D(kernel_size, **options)(x)
    else:
        x = layers.Conv2D(filters, kernel_size, **options)(x)
    return norm(x, names=names[1:], activation=activation, epsilon=epsilon, momentum=momentum)


def norm(
    x: keras.KerasTensor,
    *,
    names: tuple[str, str],
    activation: str | None = "relu",
    epsilon: float = 1e-3,
    momentum: float = 0.99,
) -> keras.KerasTensor:
    """Batch norm and activation, named `names`."""
    x = layers.BatchNormalization(epsilon=epsilon, momentum=momentum, name=names[0])(x)
    return layers.Activation(activation, name=names[1])(x) if activation else x


def adaptive_average(x: keras.KerasTensor, size: int) -> keras.KerasTensor:
    """Average a feature map of any size to `size` × `size`, as PyTorch's `AdaptiveAvgPool2d` does.

    Compiled, Keras' own layer refuses a height or width that is open, or that is a single pixel.
    """
    ops, row = keras.ops, np.arange(size)[:, None]

    def shares(line):  # (size, length): what each pixel of the line gives to each average
        ones = ops.cast(ops.ones_like(line), "int32")
        position, length = ops.cumsum(ones) - 1, ops.sum(ones)
        first, end = length * row // size, (length * (row + 1) + size - 1) // size
        inside = ops.cast(ops.logical_and(position >= first, position < end), x.dtype)
        return inside / ops.sum(inside, axis=1, keepdims=True)

    x = ops.einsum("nhwc,ih->niwc", x, shares(x[0, :, 0, 0]))
    return ops.einsum("niwc,jw->nijc", x, shares(x[0, 0, :, 0]))
