"""Resizing and cropping inside a network's graph, to the pixels that `recipes.data.images` gives.

Pillow resizes the rows of a picture, rounds to whole numbers, resizes the columns, and rounds again; of tall pictures the
columns come first. Either is a product with a matrix of weights, which depend on the picture's size alone. Bilinear pixels are
Pillow's to the bit; of the others, whose weights are no fractions, one in thousands differs by a level. Other programs'
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

# Weights of a pixel sum to this, as in Pillow: so ties of rounding, which are common, fall the same way.
ONE = 1 << 22
STEPS = (1 << 8, 1 << 7, 1 << 7)  # whose product it is; no step leaves 32 bits
LOW = 1 << 7
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
    lines = _rounded(*(ops.matmul(lines, ops.transpose(part)) for part in _weights(columns, short, framing)))
    lines = ops.reshape(lines, (-1, channels, rows, size))
    lines = _rounded(*(ops.matmul(part, lines) for part in _weights(rows, short, framing)))
    found = ops.transpose(lines, (0, 2, 3, 1))
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


def _rounded(high: "keras.KerasTensor", low: "keras.KerasTensor") -> "keras.KerasTensor":
    """Make grey levels of two sums, of the weights' high and low digits, as Pillow does: halves up, none beyond 0 and 255."""
    from keras import ops

    total = ops.cast(high, "int32") * LOW + ops.cast(low, "int32") + ONE // 2
    return ops.cast(ops.minimum(ops.maximum(total, 0) // ONE, 255), "float32")


def _weights(
    length: "keras.KerasTensor", short: "keras.KerasTensor", framing: Framing
) -> tuple["keras.KerasTensor", "keras.KerasTensor"]:
    """Compute what each pixel of a line gives to each pixel of the centre of the resized line, `(size, length)`.

    As in Pillow weights are whole numbers, of which `ONE` make one. They come as two digits, so that a product with grey levels
    is exact in float32.

    Args:
        length: pixels of the line.
        short: pixels of the picture's short side.
    """
    from keras import ops

    kept, resized = _lengths(length, short, framing)
    cut, first = (length - kept) // 2, (resized - framing.size) // 2
    new, old = (first + ops.arange(framing.size, dtype="int32"))[:, None], (ops.arange(length, dtype="int32") - cut)[None, :]
    distance = (2 * new + 1) * kept - (2 * old + 1) * resized  # of the pixels' centres, in units of 1 / (2 · resized)
    inside = ops.cast(ops.logical_and(old >= 0, old < kept), "int32")
    reach = 2 * ops.maximum(kept, resized)
    if framing.interpolation == "bilinear":
        return _exactly(ops.maximum(reach - ops.abs(distance), 0) * inside)
    weights = FILTERS[framing.interpolation](ops.cast(distance, "float32") / ops.cast(reach, "float32"))
    weights = weights * ops.cast(inside, "float32")
    return _digits(ops.floor(weights / ops.sum(weights, axis=1, keepdims=True) * float(ONE) + 0.5))


def _exactly(weights: "keras.KerasTensor") -> tuple["keras.KerasTensor", "keras.KerasTensor"]:
    """Bring whole weights to the sum `ONE` in each row, by long division, and give their digits."""
    from keras import ops

    total = ops.sum(weights, axis=1, keepdims=True)
    found, rest = ops.zeros_like(weights), weights
    for base in STEPS:
        rest = rest * base
        digit = rest // total
        found, rest = found * base + digit, rest - digit * total
    return _digits(ops.cast(found + ops.cast(2 * rest >= total, "int32"), "float32"))


def _digits(weights: "keras.KerasTensor") -> tuple["keras.KerasTensor", "keras.KerasTensor"]:
    """Divide whole numbers into multiples of `LOW`, and what is left."""
    from keras import ops

    high = ops.floor(weights / float(LOW))
    return high, weights - high * float(LOW)


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
FILTERS: dict[str, Callable] = {"bicubic": _cubic, "lanczos": _lanczos}
INTERPOLATIONS = ("bilinear", *FILTERS)


def check(framing: Framing, asked: str) -> None:
    """Refuse a framing whose interpolation `asked`, a flag, cannot do outside of Pillow. Raises UserError."""
    if framing.interpolation not in INTERPOLATIONS:
        raise UserError(
            f"{asked} knows the interpolations {', '.join(INTERPOLATIONS)}, and this run's is {framing.interpolation}: "
            f"leave {asked} out, and resize pictures as framing.json says."
        )
