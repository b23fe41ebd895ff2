"""Pictures with more than 8 bits a value: what they hold, and the range of values that becomes 8 bits.

No file says how many of its 16 or 32 bits are used. So one range is read off all such pictures of a folder: the smallest of
RANGES that holds their largest value; integers and floats are ranged apart. A picture alone is read in its own range.
"""

import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from recipes.errors import ImageError

# From 0 to one of these: a share, and values of 8, 10, 12, 14 and 16 bits.
RANGES = (1, 255, 1023, 4095, 16383, 65535)
# Resampling makes floats that go beyond 1 or 255, by less than this factor: they are clipped.
MAX_OVERSHOOT = 1.1
# A largest value below this share of every range is on none of these scales.
MIN_SHARE = 1 / 8
# A picture that stays below this share of its folder's range is noted.
MIN_UNNOTED_SHARE = 1 / 16
INTEGER, FLOAT = "integer", "float"
# TIFF's numbers of BitsPerSample and PlanarConfiguration.
BITS, PLANAR = 258, 284


@dataclass(frozen=True)
class Depth:
    """What a picture with more than 8 bits holds: the kind of its values, and the largest."""

    kind: str
    high: float


def is_deep(image: Image.Image) -> bool:
    """Whether a picture that is open, but not loaded yet, has more than 8 bits a value. Raises ImageError for one misread."""
    tags = getattr(image, "tag_v2", {})
    if tags.get(PLANAR) == 2 and max(tags.get(BITS, (8,))) > 8 and image.tile[0].codec_name == "raw":
        raise ImageError("is a TIFF of separate 16-bit planes, which Pillow misreads: convert it to 8 bits")
    return image.mode.startswith("I") or image.mode == "F" or any(";16" in str(tile) for tile in image.tile)


def smallest_range(depth: Depth) -> int:
    """Find the smallest range that holds a largest value. Raises ImageError if all would be nearly black in it."""
    found = next(top for top in RANGES if fits(depth, top))
    if 0 < depth.high < MIN_SHARE * found:
        raise ImageError(f"has values up to {depth.high:g} only, neither 0 to 1 nor 0 to 255: convert it to 8 bits")
    return found


def fits(depth: Depth, top: float) -> bool:
    """Whether a range from 0 to `top` holds a largest value."""
    return depth.high <= top * (MAX_OVERSHOOT if depth.kind == FLOAT else 1)


class Values:
    """The values of a loaded deep picture: `(height, width)`, or `(height, width, bands)` with the bands of colour alone.

    Of 16-bit colour Pillow keeps the upper bytes; the lower ones take another look at `data`, the same file.

    Raises:
        ImageError: there are values that are on no scale: negative, infinite, no number, or too large.
    """

    def __init__(self, image: Image.Image, data: bytes):
        self._image = image
        if image.mode.startswith("I") or image.mode == "F":
            self._values = np.asarray(image)
            low, high = self._values.min(), self._values.max()
            if not (low >= 0 and np.isfinite(high)):  # written so that NaN fails
                raise ImageError(f"has values from {low:g} to {high:g}, negative, infinite or no numbers: convert it to 8 bits")
        else:
            bands = 4 if image.mode == "CMYK" else 3
            upper, lower = np.asarray(image)[..., :bands].astype(np.uint16), _lower_bytes(data)
            # Where the lower bytes cannot be had, v stands for v * 257, as in 8 bits.
            self._values = upper * 256 + (upper if lower is None else lower[..., :bands])
        transparent = image.info.get("transparency")
        self._clear = None if transparent is None else np.atleast_3d(self._values == transparent).all(axis=2)
        seen = self._values if self._clear is None else self._values[~self._clear]
        kind = FLOAT if self._values.dtype.kind == "f" else INTEGER
        self.depth = Depth(kind, float(seen.max(initial=0)))
        if not fits(self.depth, RANGES[-1]):
            raise ImageError(f"has values up to {self.depth.high:g}, more than {RANGES[-1]}: convert it to 8 bits")

    def eight_bits(self, ranges: Mapping[str, int | None]) -> tuple[Image.Image, list[str]]:
        """Make a picture of 8 bits, and notes on what the user should know of it.

        Args:
            ranges: the largest value of each kind's range; None: the picture's own.

        Raises:
            ImageError: the picture goes beyond the range.
        """
        high, top, notes = self.depth.high, ranges[self.depth.kind], []
        if top is None:
            top = smallest_range(self.depth)
            notes = [f"more than 8 bits: read as 0 to {top}"]
        elif not fits(self.depth, top):
            raise ImageError(f"has values up to {high:g}, beyond 0 to {top}, as training pictures were read: convert it alike")
        if high > top:
            notes.append(f"values beyond 0 to {top} are clipped")
        if 0 < high < MIN_UNNOTED_SHARE * top:
            notes.append(f"values below 1/16 of 0 to {top}: appears nearly black")
        scaled = np.rint(self._values * np.float32(255 / top)).clip(0, 255).astype(np.uint8)
        if self._clear is not None:
            scaled[self._clear] = 255
        picture = Image.fromarray(scaled, self._image.mode if self._image.mode == "CMYK" else None)
        if self._image.mode in ("RGBA", "LA"):
            picture.putalpha(self._image.getchannel("A"))
        return picture, notes


def _lower_bytes(data: bytes) -> np.ndarray | None:
    """Read the lower bytes of 16-bit colour, by having Pillow take the bytes in the other order; None where it has no way."""
    other = {";16B": ";16L", ";16L": ";16B", ";16N": ";16L" if sys.byteorder == "big" else ";16B"}
    with Image.open(io.BytesIO(data)) as image:
        (arguments,) = {tile.args for tile in image.tile} if len(image.tile) else {""}
        rawmode, *more = (arguments,) if isinstance(arguments, str) else arguments
        if rawmode == "LA;16B":  # has no other order, but as many bytes as RGBA: grey, grey, alpha, alpha
            image._mode, image.tile = "RGBA", [tile._replace(args="RGBA") for tile in image.tile]
            image.load()
            return np.asarray(image)[..., [1, 1, 1]]
        layout, order = rawmode[:-4], rawmode[-4:]
        if layout not in ("RGB", "RGBA", "RGBX", "CMYK") or getattr(image, "tag_v2", {}).get(PLANAR) == 2:
            return None
        swapped = layout + other[order]
        image.tile = [tile._replace(args=(swapped, *more) if more else swapped) for tile in image.tile]
        image.load()
        return np.asarray(image)
