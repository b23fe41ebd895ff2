"""Pictures made worse by what happens to pictures, at fixed strengths: how a classifier bears it.

Hendrycks & Dietterich 2019, arXiv:1903.12261, whose severities 1, 3 and 5 are taken: Gaussian noise, Gaussian blur (one of the
paper's extra ones), brightness and JPEG as in ImageNet-C, on the crop that the network sees. The paper's crops have 224 pixels
a side, so that a blur is as wide in proportion on others. Turning by 90° is none of the paper's, and has one strength.
"""

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

PAPER_SIZE = 224
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Corruption:
    """A way to make a picture worse, at one strength.

    Args:
        kind: its name, as --corruptions has it.
        severity: the paper's, 1 to 5.
        strength: in words.
        apply: makes a picture `(size, size, channels)`, uint8, worse, with random numbers.
    """

    kind: str
    severity: int
    strength: str
    apply: Change


def noise(deviation: float, pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Add normal noise to each value, of a standard deviation in shares of white."""
    return _as_bytes(pixels / 255 + generator.normal(0, deviation, pixels.shape))


def blur(deviation: float, pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Blur by a Gaussian of a standard deviation in pixels of a picture with PAPER_SIZE a side; Pillow's, of three boxes."""
    radius = deviation * len(pixels) / PAPER_SIZE
    return _as_pixels(_as_image(pixels).filter(ImageFilter.GaussianBlur(radius)))


def brightness(more: float, pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Add to the value of each pixel in the HSV colour space, so that hue and saturation stay."""
    values = pixels / 255
    value = values.max(axis=-1, keepdims=True)
    lighter = np.minimum(value + more, 1)
    return _as_bytes(np.where(value > 0, values * lighter / np.maximum(value, 1e-9), lighter))


def jpeg(quality: int, pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Save as JPEG of a quality, and read that."""
    buffer = io.BytesIO()
    _as_image(pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return _as_pixels(image)


def rotate90(quarters: int, pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Turn by so many times 90°, to the left."""
    return np.ascontiguousarray(np.rot90(pixels, quarters))


def _as_image(pixels: np.ndarray) -> Image.Image:
    """Make an image of mode L or RGB."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _as_pixels(image: Image.Image) -> np.ndarray:
    """Make `(height, width, channels)` of an image of mode L or RGB."""
    pixels = np.array(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _as_bytes(values: np.ndarray) -> np.ndarray:
    """Round values in 0..1 to bytes, as the paper's code does, by cutting off."""
    return (np.clip(values, 0, 1) * 255).astype("uint8")


def _each(function: Callable, words: str, strengths: dict[int, float]) -> list[Corruption]:
    """List a kind's severities."""
    return [
        Corruption(function.__name__, severity, words.format(strength), functools.partial(function, strength))
        for severity, strength in strengths.items()
    ]


# As in the paper's code, github.com/hendrycks/robustness, ImageNet-C/create_c/make_imagenet_c.py.
CORRUPTIONS = {
    "noise": _each(noise, "standard deviation {} of white", {1: 0.08, 3: 0.18, 5: 0.38}),
    "blur": _each(blur, "standard deviation {} px at 224", {1: 1, 3: 3, 5: 6}),
    "brightness": _each(brightness, "value {} higher", {1: 0.1, 3: 0.3, 5: 0.5}),
    "jpeg": _each(jpeg, "quality {}", {1: 25, 3: 15, 5: 7}),
    "rotate90": [Corruption("rotate90", 1, "90° to the left", functools.partial(rotate90, 1))],
}


def generator_of(seed: int, digest: str) -> np.random.Generator:
    """Make the random numbers of a picture, which depend on its content and not on its place among others."""
    return np.random.default_rng((seed, int(digest[:16], 16)))
