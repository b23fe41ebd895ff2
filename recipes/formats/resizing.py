"""Resizing and cropping inside a network's graph, to the pixels that `recipes.data.images` gives.

Pillow resizes the rows of a picture, rounds to whole numbers, resizes the columns, and rounds again. Either is a product with a
matrix of weights, which depend on the picture's size alone. Other programs' bilinear resizing differs by dozens of grey levels
where a picture shrinks, since it looks at four pixels only.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from recipes.data.images import MAX_ASPECT, Framing
from recipes.errors import UserError

if TYPE_CHECKING:
    import keras


def framed(pixels: "keras.KerasTensor", framing: Framing) -> "keras.KerasTensor":
    """Frame pictures of one size as `zoo predict` does, after its rules for EXIF orientation and colours.

    Args:
        pixels: `(batch, height, width, channels)`, uint8, of any height and width.

    Returns:
        `(batch, size, size, channels)`, whole numbers from 0 to 255, float32.
    """
    from keras import ops

    shape = ops.shape(pixels)
    height, width, channels = shape[1], shape[2], framing.channels
    short = ops.minimum(height, width)
    across, down = (_weights(length, short, framing) for length in (width, height))
    planes = ops.transpose(ops.cast(pixels, "float32"), (0, 3, 1, 2))
    rows = ops.matmul(ops.reshape(planes, (-1, width)), ops.transpose(across))
    rows = ops.reshape(_rounded(rows), (-1, channels, height, framing.size))
    columns = _rounded(ops.matmul(down, rows))
    return ops.reshape(ops.transpose(columns, (0, 2, 3, 1)), (-1, framing.size, framing.size, channels))


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

    cut = ops.maximum(length - MAX_ASPECT * short, 0) // 2  # what is too long loses as much at either end
    kept = length - 2 * cut
    resized = ops.maximum(_divided(kept * framing.resize, short), framing.resize)
    first = (resized - framing.size) // 2
    new, old = (first + ops.arange(framing.size, dtype="int32"))[:, None], (ops.arange(length, dtype="int32") - cut)[None, :]
    distance = (2 * new + 1) * kept - (2 * old + 1) * resized  # of the pixels' centres, in units of 1 / (2 · resized)
    scaled = ops.cast(distance, "float32") / ops.cast(2 * ops.maximum(kept, resized), "float32")
    inside = ops.cast(ops.logical_and(old >= 0, old < kept), "float32")
    weights = FILTERS[framing.interpolation](scaled) * inside
    return weights / ops.sum(weights, axis=1, keepdims=True)


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
