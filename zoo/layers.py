"""Building blocks that several families share: a convolution with its batch norm, the cut between stages, and the like."""

import keras
import numpy as np
from keras import layers, ops

from zoo.initializers import GLOROT, Initializer


def stage(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Name a place where the network can be cut in two: "stage1", "stage2", … or "pre_logits".

    An `Identity` has no weights and costs nothing, so official weight files still fit, the cut survives saving,
    and `model.get_layer(name).output` is the same expression for every architecture.
    """
    return layers.Identity(name=name)(x)


def pad_like_torch(x: keras.KerasTensor, kernel_size: int, name: str) -> keras.KerasTensor:
    """Zero-pad `kernel_size // 2` on every side, as PyTorch does; `padding="same"` pads right and bottom first."""
    return layers.ZeroPadding2D(kernel_size // 2, name=name)(x)


def max_pool_ceil(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Pool the maxima of 3 × 3 at stride 2, with a last window that may stick out, as Caffe and PyTorch's `ceil_mode` do.

    For maps without negative values, such as a ReLU's: the zeros that fill the window must not win.
    """
    odd = [size is not None and size % 2 for size in x.shape[1:3]]
    if not all(odd):  # at odd sizes no window reaches the padding
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
    return layers.MaxPooling2D(3, 2, name=name)(x)


def local_response_norm(
    x: keras.KerasTensor, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0, *, name: str
) -> keras.KerasTensor:
    """Divide by (k + alpha · sum of the squares of `size` neighbouring channels) ** beta: section 3.3 of the AlexNet paper.

    Caffe and `torch.nn.LocalResponseNorm` divide their alpha by `size` and start with k = 1; here alpha is the paper's.
    """
    channels, radius = x.shape[-1], size // 2
    squares = ops.square(x * alpha**0.5)  # scaled first: float16 would overflow
    squares = ops.pad(squares, ((0, 0), (0, 0), (0, 0), (radius, radius)))
    total = sum((squares[..., i : i + channels] for i in range(size)), start=k)
    return layers.Multiply(name=name)([x, ops.power(total, -beta)])


def conv_bn(
    x: keras.KerasTensor,
    filters: int | None,
    kernel_size: int | tuple[int, int],
    strides: int = 1,
    *,
    names: tuple[str, str, str],
    padding: str = "same",
    activation: str | None = "relu",
    use_bias: bool = False,
    scale: bool = True,
    groups: int = 1,
    epsilon: float = 1e-3,
    momentum: float = 0.99,
    kernel_initializer: Initializer = GLOROT,
    depthwise_initializer: Initializer = GLOROT,
) -> keras.KerasTensor:
    """Apply a convolution, batch norm and activation, named `names`; `filters=None` makes the convolution depthwise.

    `padding` is Keras' "same" or "valid", or "torch": `kernel_size // 2` on every side.
    """
    if padding == "torch":
        if strides > 1:
            x = pad_like_torch(x, kernel_size, name=f"{names[0]}_pad")
        padding = "valid" if strides > 1 else "same"  # which agree where nothing is skipped
    options = dict(strides=strides, padding=padding, use_bias=use_bias, name=names[0])
    if filters is None:
        x = layers.DepthwiseConv2D(kernel_size, depthwise_initializer=depthwise_initializer, **options)(x)
    else:
        x = layers.Conv2D(filters, kernel_size, groups=groups, kernel_initializer=kernel_initializer, **options)(x)
    return norm(x, names=names[1:], activation=activation, scale=scale, epsilon=epsilon, momentum=momentum)


def norm(
    x: keras.KerasTensor,
    *,
    names: tuple[str, str],
    activation: str | None = "relu",
    scale: bool = True,
    epsilon: float = 1e-3,
    momentum: float = 0.99,
) -> keras.KerasTensor:
    """Apply batch norm and activation, named `names`."""
    x = layers.BatchNormalization(scale=scale, epsilon=epsilon, momentum=momentum, name=names[0])(x)
    return layers.Activation(activation, name=names[1])(x) if activation else x


def squeeze_excite(
    x: keras.KerasTensor,
    filters: int,
    *,
    names: tuple[str, str, str, str],
    activation: str = "relu",
    gate: str = "sigmoid",
    kernel_initializer: Initializer = GLOROT,
) -> keras.KerasTensor:
    """Scale each channel by what two 1 × 1 convolutions make of all channels' means: Hu et al. 2017, arXiv:1709.01507."""
    y = layers.GlobalAveragePooling2D(keepdims=True, name=names[0])(x)
    options = dict(kernel_size=1, kernel_initializer=kernel_initializer)
    y = layers.Conv2D(filters, activation=activation, name=names[1], **options)(y)
    y = layers.Conv2D(x.shape[-1], activation=gate, name=names[2], **options)(y)
    return layers.Multiply(name=names[3])([x, y])


def drop(x: keras.KerasTensor, rate: float, name: str) -> keras.KerasTensor:
    """Apply dropout, if any."""
    return layers.Dropout(rate, name=name)(x) if rate else x


def drop_path(x: keras.KerasTensor, rate: float, name: str) -> keras.KerasTensor:
    """Drop a picture's whole branch with probability `rate` in training: Huang et al. 2016, arXiv:1603.09382."""
    if not rate:
        return x
    return layers.Dropout(rate, noise_shape=(None, *[1] * (len(x.shape) - 1)), name=name)(x)


def divisible(filters: float, share: float = 0.9) -> int:
    """Round `filters` to the nearest multiple of 8 that is not less than `share` of it."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < share * filters else rounded


def adaptive_average(x: keras.KerasTensor, size: int) -> keras.KerasTensor:
    """Average a feature map of any size to `size` × `size`, as PyTorch's `AdaptiveAvgPool2d` does.

    Compiled, Keras' own layer refuses a height or width that is open, or that is a single pixel.
    """
    row = np.arange(size)[:, None]

    def shares(line: keras.KerasTensor):  # (size, length): what each pixel of the line gives to each average
        ones = ops.cast(ops.ones_like(line), "int32")
        position, length = ops.cumsum(ones) - 1, ops.sum(ones)
        first, end = length * row // size, (length * (row + 1) + size - 1) // size
        inside = ops.cast(ops.logical_and(position >= first, position < end), x.dtype)
        return inside / ops.sum(inside, axis=1, keepdims=True)

    x = ops.einsum("nhwc,ih->niwc", x, shares(x[0, :, 0, 0]))
    return ops.einsum("niwc,jw->nijc", x, shares(x[0, 0, :, 0]))


def token_and_mean(token: keras.KerasTensor, patches: keras.KerasTensor) -> keras.KerasTensor:
    """Put a token `(batch, channels)` beside the mean of patches `(batch, patches, channels)`."""
    mean = layers.GlobalAveragePooling1D(name="avg_pool")(patches)
    return layers.Concatenate(name="token_and_mean")([token, mean])


# The name of the last layer with weights.
CLASSIFIER = "predictions"

# The names in a transformer of its patches, of its class token, of its table of positions (the class token's, if it has one,
# then the patches', row by row), and of its last norm, behind which the patches come last.
PATCHES = "patches"
CLASS_TOKEN = "class_token"
POSITIONS = "position_embedding"
LAST_NORM = "norm"


def classifier(
    x: keras.KerasTensor,
    num_classes: int,
    dropout: float,
    activation: str | None,
    name: str = CLASSIFIER,
    kernel_initializer: Initializer = GLOROT,
    bias_initializer: Initializer = "zeros",
) -> keras.KerasTensor:
    """Classify a vector by dropout, if any, and a dense layer; 0 classes leave it as it is."""
    if not num_classes:
        return x
    x = drop(x, dropout, name="dropout")
    # Probabilities and losses stay float32 under mixed precision, as Keras' guide asks.
    options = dict(activation=activation, kernel_initializer=kernel_initializer, bias_initializer=bias_initializer)
    return layers.Dense(num_classes, dtype="float32", name=name, **options)(x)


def convolutional_classifier(
    x: keras.KerasTensor,
    num_classes: int,
    dropout: float,
    activation: str | None,
    kernel_initializer: Initializer = GLOROT,
) -> keras.KerasTensor:
    """Classify every place of a feature map, its "pre_logits", then average; 0 classes average the map itself."""
    average = layers.GlobalAveragePooling2D(name="avg_pool")
    if not num_classes:
        return stage(average(x), "pre_logits")
    x = stage(x, "pre_logits")
    x = drop(x, dropout, name="dropout")
    options = dict(activation="relu", kernel_initializer=kernel_initializer)
    x = layers.Conv2D(num_classes, 1, name=CLASSIFIER, **options)(x)
    return layers.Activation(activation, dtype="float32", name="scores")(average(x))
