"""What is odd about single pictures, by their `Appearance`: blank, dark, blurred, odd-shaped, of an extreme size.

Odd is what differs from the other pictures of the folder: a folder of digits on black is dark, and one of small pictures that
were enlarged is blurred, and no picture of either is a mistake for that.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Grey levels.
MAX_BLANK_CONTRAST = 2.0
MAX_DARK = 20
MIN_BRIGHT = 240
# Of the folder's median.
DARK_SHARE = 1 / 3
BLURRED_SHARE = 0.75
# Of 699 photographs (short side 256) none lies below 0.30 as it is; blurred by a Gaussian of 1.5 pixels, 95 % do.
MAX_BLURRED_SHARPNESS = 0.3
# Long side by short side.
MIN_ODD_ASPECT = 3.0
ASPECT_RATIO = 2.0
# Between a picture's side and the folder's median, of the square roots of their areas.
SIZE_RATIO = 4.0


@dataclass(frozen=True)
class Remark:
    """What is odd about a picture, by its place in the list; `kind` is the same for all that are odd in the same way."""

    picture: int
    kind: str
    reason: str
    remedy: str


def remarks(numbers: np.ndarray) -> list[Remark]:
    """Find what is odd, by kind and place, from `(pictures, 5)`, the `Appearance.numbers` of each."""
    if not len(numbers):
        return []
    sizes, (brightness, contrast, sharpness) = numbers[:, :2], numbers[:, 2:].T
    blank = contrast < MAX_BLANK_CONTRAST
    found = [*_blank(np.flatnonzero(blank), brightness), *_lit(blank, brightness), *_blurred(blank, sharpness)]
    return found + [*_shaped(sizes), *_sized(sizes)]


def _blank(pictures: np.ndarray, brightness: np.ndarray) -> Iterator[Remark]:
    """Name the pictures of one colour."""
    for index in pictures:
        reason = f"shows nothing: one grey all over, {brightness[index]:.0f} of 255"
        yield Remark(int(index), "blank", reason, "leave it out, or fetch it again")


def _lit(blank: np.ndarray, brightness: np.ndarray) -> Iterator[Remark]:
    """Name the pictures that are much darker, or brighter, than the others."""
    median = float(np.median(brightness))
    dark = (brightness < MAX_DARK) & (brightness < DARK_SHARE * median)
    bright = (brightness > MIN_BRIGHT) & (255 - brightness < DARK_SHARE * (255 - median))
    for kind, odd in (("dark", dark), ("bright", bright)):
        for index in np.flatnonzero(odd & ~blank):
            reason = f"is {kind}: a mean of {brightness[index]:.0f} of 255, where the folder's median is {median:.0f}"
            yield Remark(int(index), kind, reason, "look whether it shows its class, and leave it out if not")


def _blurred(blank: np.ndarray, sharpness: np.ndarray) -> Iterator[Remark]:
    """Name the pictures that are blurred where most others are not."""
    median = float(np.median(sharpness))
    for index in np.flatnonzero((sharpness < MAX_BLURRED_SHARPNESS) & (sharpness < BLURRED_SHARE * median) & ~blank):
        reason = f"is blurred, or was enlarged: sharpness {sharpness[index]:.2f}, where the folder's median is {median:.2f}"
        yield Remark(int(index), "blurred", reason, "look whether it shows its class, and leave it out if not")


def _shaped(sizes: np.ndarray) -> Iterator[Remark]:
    """Name the pictures that are much longer than the others."""
    aspects = sizes.max(axis=1) / sizes.min(axis=1)
    median = float(np.median(aspects))
    for index in np.flatnonzero((aspects >= MIN_ODD_ASPECT) & (aspects >= ASPECT_RATIO * median)):
        reason = f"is {_written(sizes[index])}: {aspects[index]:.1f} times as long as wide, of which only the middle is seen"
        yield Remark(int(index), "odd-shaped", reason, "cut out what shows its class")


def _sized(sizes: np.ndarray) -> Iterator[Remark]:
    """Name the pictures that are much smaller, or larger, than the others."""
    sides = np.sqrt(sizes.prod(axis=1))
    median = float(np.median(sides))
    for kind, odd in (("small", sides * SIZE_RATIO <= median), ("large", sides >= SIZE_RATIO * median)):
        for index in np.flatnonzero(odd):
            reason = f"is {kind}: {_written(sizes[index])}, where the folder's median is {median:.0f} px a side"
            remedy = "fetch it in its full size" if kind == "small" else "look whether it shows the same as the others"
            yield Remark(int(index), kind, reason, remedy)


def _written(size: np.ndarray) -> str:
    """Write width and height."""
    return f"{size[0]:.0f} x {size[1]:.0f} px"
