"""Attention within the windows of a map, of stock layers and operations: Liu et al. 2021, arXiv:2103.14030, section 3.2.

A map `(batch, height, width, channels)` is cut into windows, `(batch, windows, tokens, channels)`. The tokens of one window
attend to each other; what they know of their places is a number for each offset between two of them, which is added to
their score and comes out of a table of trained numbers. A map that the windows do not divide is padded at its end.
"""

import keras
import numpy as np
from keras import layers, ops

Size = tuple[int, int]


def padding(size: Size, window: Size) -> Size:
    """Count the rows and columns that a map lacks to be cut into whole windows."""
    return -size[0] % window[0], -size[1] % window[1]


def pad(x: keras.KerasTensor, by: Size, name: str) -> keras.KerasTensor:
    """Add rows and columns of zeros at the end, if any."""
    return layers.ZeroPadding2D(((0, by[0]), (0, by[1])), name=name)(x) if any(by) else x


def crop(x: keras.KerasTensor, by: Size, name: str) -> keras.KerasTensor:
    """Take off rows and columns at the end, if any."""
    return layers.Cropping2D(((0, by[0]), (0, by[1])), name=name)(x) if any(by) else x


def partition(x: keras.KerasTensor, window: Size, name: str) -> keras.KerasTensor:
    """Cut a map into windows, `(batch, windows, tokens, channels)`, row by row."""
    (rows, columns, channels), (height, width) = x.shape[1:], window
    x = layers.Reshape((rows // height, height, columns // width, width, channels), name=f"{name}_cut")(x)
    x = layers.Permute((1, 3, 2, 4, 5), name=f"{name}_sort")(x)
    return layers.Reshape((-1, height * width, channels), name=name)(x)


def merge(x: keras.KerasTensor, window: Size, size: Size, name: str) -> keras.KerasTensor:
    """Put windows together to a map of this height and width."""
    (rows, columns), (height, width) = size, window
    x = layers.Reshape((rows // height, columns // width, height, width, x.shape[-1]), name=f"{name}_cut")(x)
    x = layers.Permute((1, 3, 2, 4, 5), name=f"{name}_sort")(x)
    return layers.Reshape((rows, columns, x.shape[-1]), name=name)(x)


def zero(x: keras.KerasTensor) -> keras.KerasTensor:
    """Make the whole number 0 out of a map: stock layers look up what is constant as something of their input."""
    return ops.zeros_like(ops.sum(x[:1, 0, 0, 0]), dtype="int32")


def attend(
    queries: keras.KerasTensor,
    keys: keras.KerasTensor,
    values: keras.KerasTensor,
    bias: keras.KerasTensor,
    mask: keras.KerasTensor | None,
    name: str,
) -> keras.KerasTensor:
    """Attend within windows; queries, keys and values are `(batch, windows, tokens, heads, width)`.

    Args:
        bias: `(heads, tokens, tokens)`, added to the scores.
        mask: `(windows, 1, tokens, tokens)`, added to them, too.

    Returns:
        `(batch, windows, tokens, heads · width)`.
    """
    windows, tokens, heads, width = queries.shape[1:]
    scores = ops.einsum("bnqhd,bnkhd->bnhqk", queries * width**-0.5, keys) + bias
    scores = scores if mask is None else scores + mask
    x = ops.einsum("bnhqk,bnkhd->bnqhd", ops.softmax(scores, axis=-1), values)
    return layers.Reshape((windows, tokens, heads * width), name=name)(x)


def regions(size: Size, window: Size, shift: Size) -> np.ndarray:
    """Give tokens that lay apart before a map was rolled by `shift` different numbers, `(windows, tokens)`."""

    def parts(length: int, side: int, by: int) -> np.ndarray:
        places = np.arange(length)
        return (places >= length - side).astype("int32") + (places >= length - by) if by else np.zeros(length, "int32")

    rows, columns = (parts(*axis) for axis in zip(size, window, shift, strict=True))
    numbers = 3 * rows[:, None] + columns
    (height, width), (along, across) = window, (size[0] // window[0], size[1] // window[1])
    numbers = numbers.reshape(along, height, across, width).transpose(0, 2, 1, 3)
    return numbers.reshape(along * across, height * width).astype("int32")
