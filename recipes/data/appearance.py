"""What a picture looks like, in a few numbers and two thumbnails: enough to find its copies, and what is odd about it.

It is taken from the whole picture, upright and in its final colours, once it is decoded: the price is a small share of that
(docs/results.md). Nothing here depends on a network or its framing, so a row may be kept by the file's content alone.

`sharpness` compares the differences of neighbouring pixels with those of pixels two apart: where a picture is smooth down to
its pixels, these are twice as large, and the ratio of their squares is 0.25; where each pixel is new, it is 1. It knows
neither contrast nor brightness. The sharpest tiles count, for a background may be out of focus.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

APPEARANCE_VERSION = 2
# Of a thumbnail, which is stretched to a square.
SIDE = 32
# Short side, about, of the picture whose sharpness is measured, and of the one for everything else.
SHARP_SIDE = 256
MEASURED_SIDE = 128
# Tiles of a side, and which are measured: every third, on slanted lines.
TILES = 5
EVERY = 3
# The sharpest fifth of them counts.
SHARP_TILES = 0.8
# Grey levels by which the pixels of a line may differ from a border's colour, on average.
MAX_BORDER_DIFFERENCE = 6
# The part of a side that may be border, at either end.
MAX_BORDER_SHARE = 0.25
# Squared grey levels below which a tile's differences are noise.
MIN_ENERGY = 4.0


@dataclass(frozen=True)
class Appearance:
    """What is kept of a picture.

    Args:
        width: of the whole picture, upright.
        height: the same.
        brightness: the mean grey, 0 to 255.
        contrast: the standard deviation of the grey values.
        sharpness: of the sharpest fifth of the tiles, 0.25 to 1, as above; 1 where there is nothing to see.
        thumbnails: `(2, SIDE, SIDE)`, uint8, grey: the whole picture, and what lies inside a border of one colour, which is
            the same again without one.
    """

    width: int
    height: int
    brightness: float
    contrast: float
    sharpness: float
    thumbnails: np.ndarray

    @property
    def numbers(self) -> np.ndarray:
        """The five numbers as a row for a store, `(5,)`."""
        return np.array([self.width, self.height, self.brightness, self.contrast, self.sharpness])


def appearance_of(picture: Image.Image) -> Appearance:
    """Measure a picture of mode L or RGB, upright."""
    large = reduced(picture, SHARP_SIDE).convert("L")
    small = reduced(large, MEASURED_SIDE)
    grey = np.asarray(small)
    levels, counts = np.arange(256), np.array(small.histogram())
    brightness = float(counts @ levels / grey.size)
    return Appearance(
        *picture.size,
        brightness=brightness,
        contrast=float(np.sqrt(counts @ (levels - brightness) ** 2 / grey.size)),
        sharpness=_sharpness(np.asarray(large)),
        thumbnails=thumbnails_of(small),
    )


def reduced(picture: Image.Image, side: int) -> Image.Image:
    """Average blocks of pixels, until the short side is not much longer than `side`."""
    factor = max(1, min(picture.size) // side)
    return picture.reduce(factor) if factor > 1 else picture


def thumbnails_of(grey: Image.Image) -> np.ndarray:
    """Shrink a grey image, and what lies inside a border of it, to `(2, SIDE, SIDE)`."""
    whole, box = _thumbnail(grey), _inside(np.asarray(grey))
    return np.stack([whole, whole if box == (0, 0, *grey.size) else _thumbnail(grey.crop(box))])


def _thumbnail(image: Image.Image) -> np.ndarray:
    """Shrink a grey image to `(SIDE, SIDE)`."""
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))


def _inside(grey: np.ndarray) -> tuple[int, int, int, int]:
    """Find the box (left, upper, right, lower) inside a border: lines of one colour at two opposite sides, or all four."""
    height, width = grey.shape
    upper, lower = _borders(grey)
    left, right = _borders(grey[upper : height - lower].T)
    return left, upper, width - right, height - lower


def _borders(lines: np.ndarray) -> tuple[int, int]:
    """Count the lines `(lines, pixels)` of one and the same colour at the beginning and at the end; (0, 0) unless at both."""
    first, last = (float(np.sort(line)[len(line) // 2]) for line in (lines[0], lines[-1]))
    if abs(first - last) > MAX_BORDER_DIFFERENCE:
        return 0, 0
    start = _border(lines, first)
    stop = _border(lines[::-1], last) if start else 0
    return (start, stop) if stop else (0, 0)


def _border(lines: np.ndarray, color: float) -> int:
    """Count the lines from the first on that have a colour, but for noise; 0 if there is no end to them."""
    outer = lines[: int(MAX_BORDER_SHARE * len(lines)) + 1].astype(np.float32)
    plain = np.abs(outer - np.float32(color)).mean(axis=1) <= MAX_BORDER_DIFFERENCE
    return 0 if plain.all() else int(plain.argmin())


def _sharpness(grey: np.ndarray) -> float:
    """Compare neighbours with pixels two apart, tile by tile; gives the ratio of the sharpest where there is something."""
    height, width = (side // TILES for side in grey.shape)
    if min(height, width) < 3:
        return 1.0
    corners = [(place // TILES * height, place % TILES * width) for place in range(0, TILES * TILES, EVERY)]
    tiles = np.stack([grey[y : y + height, x : x + width] for y, x in corners]).astype(np.float32)
    near, far = _energy(tiles, 1), _energy(tiles, 2)
    ratios = np.sort(near[far > MIN_ENERGY] / far[far > MIN_ENERGY])
    # The quantile, which NumPy's own function takes longer for than all else here.
    return float(np.interp(SHARP_TILES * (len(ratios) - 1), np.arange(len(ratios)), ratios)) if len(ratios) else 1.0


def _energy(tiles: np.ndarray, step: int) -> np.ndarray:
    """Average the squared differences of pixels so far apart, in rows and in columns, of each tile `(tiles, ...)`."""
    parts = (tiles[:, step:] - tiles[:, :-step], tiles[:, :, step:] - tiles[:, :, :-step])
    flat = (part.reshape(len(part), -1) for part in parts)
    return sum(np.einsum("ni,ni->n", part, part) / part.shape[1] for part in flat)
