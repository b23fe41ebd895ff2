"""Building blocks that several families share: a convolution with its batch norm, and the cut between stages."""

import keras
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
