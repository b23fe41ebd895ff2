"""Distorted digits, by planar affine maps and by elastic fields.

The maps: LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition", section III-C. The fields: Simard,
Steinkraus & Platt 2003, "Best Practices for Convolutional Neural Networks Applied to Visual Document Analysis", section 2.
"""

import functools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Distortion:
    """How far a picture may be distorted; of each kind an even amount up to it is drawn."""

    rotation: float = 0.0
    """Degrees to either side."""
    scale: float = 0.0
    """Change of the logarithm of height and, apart, of width: 0.1 is from 10 % smaller to 10 % larger."""
    shear: float = 0.0
    """Pixels to the side a pixel downwards."""
    shift: float = 0.0
    """Pixels down, and across."""
    elastic: float = 0.0
    """Root of the mean squared displacement of the field, in pixels."""
    smoothness: float = 4.0
    """Standard deviation of the Gaussian that smooths the field, in pixels."""


def distort(pictures: np.ndarray, distortion: Distortion, generator: np.random.Generator) -> np.ndarray:
    """Distort each picture by a draw of its own: `(batch, size, size, 1)` of any kind → float32 of the same shape.

    A pixel is read, bilinearly, from where the map sends its place; beyond the border lies the border's own value.
    """
    count, size = pictures.shape[:2]
    where = _affine(count, distortion, generator) @ _places(size)  # (batch, 2, size · size), down and across
    if distortion.elastic:
        where += elastic_field(count, size, distortion, generator)
    where += (size - 1) / 2
    return _bilinear(pictures[..., 0], where).reshape(pictures.shape)


def _affine(count: int, distortion: Distortion, generator: np.random.Generator) -> np.ndarray:
    """Draw matrices `(batch, 2, 3)`: rotation · shear · scale, and the shift, about the centre."""

    def draw(limit: float) -> np.ndarray:
        return generator.uniform(-limit, limit, count)

    angle, shear = np.deg2rad(draw(distortion.rotation)), draw(distortion.shear)
    down, across = np.exp(draw(distortion.scale)), np.exp(draw(distortion.scale))
    sine, cosine = np.sin(angle), np.cos(angle)
    return np.array(
        [
            [cosine * down - sine * shear * down, -sine * across, draw(distortion.shift)],
            [sine * down + cosine * shear * down, cosine * across, draw(distortion.shift)],
        ],
        "float32",
    ).transpose(2, 0, 1)


def elastic_field(count: int, size: int, distortion: Distortion, generator: np.random.Generator) -> np.ndarray:
    """Draw displacements `(batch, 2, size · size)`: even noise, smoothed."""
    smooth, spread = _gaussian(size, distortion.smoothness)
    noise = generator.random((count, 2, size, size), "float32") * 2 - 1
    return (distortion.elastic / spread * (smooth @ noise @ smooth.T)).reshape(count, 2, -1)


@functools.cache
def _gaussian(size: int, deviation: float) -> tuple[np.ndarray, float]:
    """Compute the matrix that smooths along one side, and the deviation in the middle of even noise smoothed along both."""
    places = np.arange(size)
    matrix = np.exp(-0.5 * ((places[:, None] - places) / deviation) ** 2)
    matrix /= matrix.sum(axis=1, keepdims=True)
    return matrix.astype("float32"), float((matrix[size // 2] ** 2).sum() / np.sqrt(3))


@functools.cache
def _places(size: int) -> np.ndarray:
    """List down, across and 1 of every pixel, counted from the centre: `(3, size · size)`."""
    line = np.arange(size, dtype="float32") - (size - 1) / 2
    down, across = np.meshgrid(line, line, indexing="ij")
    return np.stack([down.ravel(), across.ravel(), np.ones(size * size, "float32")])


def _bilinear(pictures: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Read `(batch, size, size)` at `where` `(batch, 2, points)` → `(batch, points)`."""
    count, size = pictures.shape[:2]
    where = np.clip(where, 0, np.nextafter(np.float32(size - 1), np.float32(0)))
    corner = where.astype("int32")
    down, across = np.moveaxis(np.subtract(where, corner, dtype="float32"), 1, 0)
    start = (corner[:, 0] * size + corner[:, 1]) + np.arange(count, dtype="int32")[:, None] * (size * size)
    values = pictures.ravel()

    def at(offset: int) -> np.ndarray:
        return values.take(start + offset).astype("float32")

    upper, lower = at(0), at(size)
    upper += (at(1) - upper) * across
    lower += (at(size + 1) - lower) * across
    return upper + (lower - upper) * down
