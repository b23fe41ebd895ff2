"""Resizing and cropping inside a network's graph, to the pixels that `recipes.data.images` gives.

Pillow resizes the rows of a picture, rounds to whole numbers, resizes the columns, and rounds again; of tall pictures the
columns come first. Either is a product with a matrix of weights, which depend on the picture's size alone. Other programs'
bilinear resizing differs by dozens of grey levels where a picture shrinks, since it looks at four pixels only.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import PIL

from recipes.data.images import MAX_ASPECT, Framing
from recipes.errors import UserError

if TYPE_CHECKING:
    import keras

# Pillow's pull request 9549; which pass comes first moves bicubic pictures of noise by twenty grey levels.
COLUMNS_MAY_COME_FIRST = int(PIL.__version__.split(".")[0]) >= 13


def framed(pixels: "keras.KerasTensor", framing: Framing) -> "keras.KerasTensor":
    """Frame pictures of one size as `zoo predict` does, after its rules for EXIF orientation and colours.

    Args:
        pixels: `(batch, height, width, channels)`, uint8, of any height and width.

    Returns:
        `(batch, size, size, channels)`, whole numbers from 0 to 255, float32.
    """
    from keras import ops

    shape, size, channels = ops.shape(pixels), framing.size, framing.channels
    height, width = shape[1], shape[2]
    short = ops.minimum(height, width)
    is_tall = _is_tall(height, width, framing)
    # A tall picture is turned over its diagonal, so that its columns come first.
    rows, columns = ops.where(is_tall, width, height), ops.where(is_tall, height, width)
    place = ops.arange(height * width, dtype="int32")
    place = ops.where(is_tall, place % columns * width + place // columns, place)
    planes = ops.reshape(ops.transpose(ops.cast(pixels, "float32"), (0, 3, 1, 2)), (-1, channels, height * width))
    lines = ops.reshape(ops.take(planes, place, axis=2), (-1, columns))
    lines = _rounded(ops.matmul(lines, ops.transpose(_weights(columns, short, framing))))
    lines = ops.reshape(lines, (-1, channels, rows, size))
    found = ops.transpose(_rounded(ops.matmul(_weights(rows, short, framing), lines)), (0, 2, 3, 1))
    found = ops.where(is_tall, ops.transpose(found, (0, 2, 1, 3)), found)
    return ops.reshape(found, (-1, size, size, channels))


def _is_tall(height: "keras.KerasTensor", width: "keras.KerasTensor", framing: Framing) -> "keras.KerasTensor":
    """Say whether Pillow begins with the columns: it does since version 13, where that loses the most pixels."""
    from keras import ops

    if not COLUMNS_MAY_COME_FIRST:
        return ops.equal(height, -1)
    short = ops.minimum(height, width)
    (kept_height, new_height), (kept_width, new_width) = (_lengths(side, short, framing) for side in (height, width))
    lost = kept_height - new_height
    return ops.logical_and(lost > 0, lost > 2 * (kept_width - new_width))


def _rounded(values: "keras.KerasTensor") -> "keras.KerasTensor":
    """Round as Pillow does: halves up, nothing beyond 0 and 255."""
    from keras import ops

    return ops.floor(ops.clip(values, 0.0, 255.0) + 0.5)


def _weights(length: "keras.KerasTensor", short: "keras.KerasTensor", framing: Framing) -> "keras.KerasTensor":
    """Compute what each pixel of a line gives to each pixel of the centre of the resized line: `(size, length)`.

    Everything up to the last division is whole numbers, so that large pictures are resized as precisely as small ones.

    Args:
        length: pixels of the line.
        short: pixels of the picture's short side.
    """
    from keras import ops

    kept, resized = _lengths(length, short, framing)
    cut = (length - kept) // 2
    first = (resized - framing.size) // 2
    new, old = (first + ops.arange(framing.size, dtype="int32"))[:, None], (ops.arange(length, dtype="int32") - cut)[None, :]
    distance = (2 * new + 1) * kept - (2 * old + 1) * resized  # of the pixels' centres, in units of 1 / (2 · resized)
    scaled = ops.cast(distance, "float32") / ops.cast(2 * ops.maximum(kept, resized), "float32")
    inside = ops.cast(ops.logical_and(old >= 0, old < kept), "float32")
    weights = FILTERS[framing.interpolation](scaled) * inside
    return weights / ops.sum(weights, axis=1, keepdims=True)


def _lengths(
    length: "keras.KerasTensor", short: "keras.KerasTensor", framing: Framing
) -> tuple["keras.KerasTensor", "keras.KerasTensor"]:
    """Count the pixels of a line that are used, for one that is too long loses as much at either end, and those it becomes."""
    from keras import ops

    kept = length - ops.maximum(length - MAX_ASPECT * short, 0) // 2 * 2
    return kept, ops.maximum(_divided(kept * framing.resize, short), framing.resize)


def _divided(dividend: "keras.KerasTensor", divisor: "keras.KerasTensor") -> "keras.KerasTensor":
    """Divide whole numbers as Python's `round` does: halves to the even one."""
    from keras import ops

    quotient = dividend // divisor
    twice = 2 * (dividend - quotient * divisor)
    is_up = ops.logical_or(twice > divisor, ops.logical_and(ops.equal(twice, divisor), ops.equal(quotient % 2, 1)))
    return quotient + ops.cast(is_up, "int32")


def _triangle(x: "keras.KerasTensor") -> "keras.KerasTensor":
    from keras import ops

    return ops.maximum(1.0 - ops.abs(x), 0.0)


def _cubic(x: "keras.KerasTensor") -> "keras.KerasTensor":
    from keras import ops

    x, a = ops.abs(x), -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return ops.where(x < 1, near, ops.where(x < 2, far, ops.zeros_like(x)))


def _lanczos(x: "keras.KerasTensor") -> "keras.KerasTensor":
    from keras import ops

    return ops.where(ops.abs(x) < 3, _sinc(x) * _sinc(x / 3), ops.zeros_like(x))


def _sinc(x: "keras.KerasTensor") -> "keras.KerasTensor":
    from keras import ops

    safe = math.pi * ops.where(ops.equal(x, 0.0), ops.ones_like(x), x)
    return ops.where(ops.equal(x, 0.0), ops.ones_like(x), ops.sin(safe) / safe)


# Weights by the distance of two pixels, as Pillow's resampling filters of these names have them.
FILTERS: dict[str, Callable] = {"bilinear": _triangle, "bicubic": _cubic, "lanczos": _lanczos}


def check(framing: Framing) -> None:
    """Refuse a framing whose interpolation cannot be done in a graph. Raises UserError."""
    if framing.interpolation not in FILTERS:
        raise UserError(
            f"--any-size knows the interpolations {', '.join(FILTERS)}, and this run's is {framing.interpolation}: leave "
            "--any-size out, and resize pictures as framing.json says."
        )
