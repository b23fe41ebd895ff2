"""The decoder: bytes to pixels, the same way for checking, training, prediction and reports.

The rule, in the order in which it is applied; nothing else is done to a picture:

1. Formats are recognised by content, never by name. Those that need another program (EPS) are not read.
2. A picture of more than MAX_PIXELS pixels is refused on its header, before anything is decoded.
3. Of an animation or a file of several pages the first frame is used, with a note.
4. Truncated and damaged files are refused. A JPEG that is damaged inside, of which the decoder makes something, is used, with
   a note (`jpeg`).
5. More than 8 bits become 8 by one range for the whole folder, 0 to 1, 255, 1023, 4095, 16383 or 65535, for integers and for
   floats: the smallest that holds the largest value of all its pictures (`depth`). The range is a part of the Framing, which a
   saved model carries: a new picture is read in the same, and refused if it goes beyond; where there was no such picture to
   train on, it is read in its own range, with a note. Values that are negative, infinite or no numbers are refused.
6. EXIF orientation is applied.
7. Palettes are expanded. Colours with an ICC profile, of grey, RGB or CMYK, are converted to sRGB, with perceptual intent,
   unless that moves none by more than 2 of 255; a damaged profile is ignored, with a note (`profiles`). Nothing else
   says what colours mean: PNG's gamma and chromaticities, and EXIF's colour space, are ignored.
8. Transparency of any kind is composited on white; CMYK and YCbCr without a profile, and LAB, are converted.
9. A picture longer than MAX_ASPECT:1 is first cut to its middle part of that aspect, with a note.
10. The short side is resized to `resize`, antialiased, in 8 bits; the middle `resize` x `resize` is kept.

Changing any of this changes pixels: raise DECODER_VERSION.

`decode` runs in many threads at once. Pillow reports oddities of metadata through `warnings`, and
`warnings.catch_warnings` is not thread safe: who owns the thread pool wraps the whole of it, once.
"""

import contextlib
import io
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from recipes.data import depth, jpeg, libtiff
from recipes.data.appearance import Appearance, appearance_of
from recipes.data.profiles import to_srgb
from recipes.data.signatures import what_it_is
from recipes.errors import ImageError, LargeImageError, refuse_shortage

libtiff.silence()

DECODER_VERSION = 2
MAX_PIXELS = 50_000_000
# Why there is one: 10000x1 would be resized to 2,560,000 x 256.
MAX_ASPECT = 10
MAX_UNNOTED_ENLARGEMENT = 8
FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"),
    *("JPEG2000", "PPM", "ICO", "PCX", "SGI", "QOI", "TGA"),
)
# What undoes each EXIF orientation.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Framing:
    """How a picture becomes an input: its short side is resized to `resize`, then `size` x `size` cut from the centre.

    Args:
        integer_range: what becomes 255 in pictures of integers with more than 8 bits; None: each picture has its own range.
        float_range: the same for pictures of floats.

    Raises:
        ValueError: numbers that cannot be, or an unknown interpolation.
    """

    size: int
    resize: int
    channels: int
    interpolation: str = "bilinear"
    integer_range: int | None = None
    float_range: int | None = None

    def __post_init__(self):
        if not 1 <= self.size <= self.resize:
            raise ValueError(f"Framing needs 1 <= size <= resize; found {self.size} and {self.resize}.")
        if self.channels not in (1, 3):
            raise ValueError(f"Framing takes 1 or 3 channels; found {self.channels}.")
        if self.interpolation.upper() not in Image.Resampling.__members__:
            known = ", ".join(name.lower() for name in Image.Resampling.__members__)
            raise ValueError(f"Framing knows the interpolations {known}; found {self.interpolation!r}.")
        for top in self.ranges.values():
            if top not in (None, *depth.RANGES):
                raise ValueError(f"Framing knows the ranges {', '.join(map(str, depth.RANGES))}; found {top!r}.")

    @property
    def ranges(self) -> dict[str, int | None]:
        """The range of each kind of values with more than 8 bits."""
        return {depth.INTEGER: self.integer_range, depth.FLOAT: self.float_range}

    @classmethod
    def saved(cls, fields: Mapping) -> "Framing":
        """Read the fields that a saved model carries; one without ranges was trained on values from 0 to 65535."""
        return cls(**{"integer_range": 65535, "float_range": 65535} | dict(fields))


def read(path: str | os.PathLike, framing: Framing) -> tuple[np.ndarray, list[str]]:
    """Decode a file, as `decode` does its content. Raises ImageError."""
    return decode(read_bytes(path), framing)


def read_bytes(path: str | os.PathLike) -> bytes:
    """Read a regular file; nothing else is opened, for a pipe would block. Raises ImageError, or UserError for a shortage."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ImageError("is not a regular file")
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        refuse_shortage(error, path)
        raise ImageError(f"cannot be read ({error.strerror or error})") from error


@dataclass(frozen=True)
class Examined:
    """A picture as `decode` gives it, and what it looks like as a whole.

    Args:
        pixels: `(resize, resize, channels)`, uint8.
        notes: on what the user should know of it.
        appearance: of the whole picture.
        camera: its maker and model, as EXIF names them; "" if it does not.
    """

    pixels: np.ndarray
    notes: list[str]
    appearance: Appearance
    camera: str


def examine(data: bytes, framing: Framing) -> Examined:
    """Decode a picture, as `decode` does, and measure what it looks like. Raises ImageError."""
    picture, notes = whole(data, framing)
    pixels, more = framed(picture, framing)
    return Examined(pixels, notes + more, appearance_of(picture), camera(data))


def decode(data: bytes, framing: Framing) -> tuple[np.ndarray, list[str]]:
    """Decode a picture: pixels `(resize, resize, channels)`, uint8, and notes on what the user should know of it.

    `center` of the result is exactly the centre crop of the whole resized picture.

    Raises:
        ImageError: the bytes are no picture that can be used.
    """
    picture, notes = whole(data, framing)
    pixels, more = framed(picture, framing)
    return pixels, notes + more


def whole(data: bytes, framing: Framing) -> tuple[Image.Image, list[str]]:
    """Decode a picture of any size, upright, of mode L or RGB as the framing has channels; gives notes beside.

    Raises:
        ImageError: the bytes are no picture that can be used.
    """
    with _opened(data) as image:
        notes, is_deep = _frames(image), depth.is_deep(image)
        image.load()
        if image.format in ("JPEG", "MPO"):
            notes += jpeg.damage(data)
        picture, profile, more = image, image.info.get("icc_profile"), []
        if is_deep:
            picture, more = depth.Values(image, data).eight_bits(framing.ranges)
        upright, some_more = _turned_upright(picture, image)
        colored, much_more = _color(upright, framing.channels, profile)
        return colored.copy() if colored is image else colored, notes + more + some_more + much_more


def framed(picture: Image.Image, framing: Framing) -> tuple[np.ndarray, list[str]]:
    """Make what `decode` gives of what `whole` gives."""
    image, notes = _frame(picture, framing)
    pixels = np.array(image).reshape(framing.resize, framing.resize, framing.channels)
    if pixels.max() == 1:
        notes = [
            *notes,
            "is nearly black, with no value above 1: pixels are expected in 0..255, not as floats in 0..1 are saved",
        ]
    return pixels, notes


def camera(data: bytes) -> str:
    """Read the maker and model of the camera off a picture's EXIF; "" where they are not told. Raises ImageError."""
    with _opened(data) as image:
        try:
            tags = image.getexif()
            words = [str(tags.get(tag, "")).strip(" \0") for tag in (ExifTags.Base.Make, ExifTags.Base.Model)]
        except Exception:  # unreadable EXIF raises almost anything
            return ""
    return " ".join(word for word in words if word)


def measure(data: bytes) -> depth.Depth | None:
    """Read what a picture with more than 8 bits holds; None for others, of which the header alone is read.

    Raises:
        ImageError: the bytes are no picture that can be used.
    """
    with _opened(data) as image:
        if not depth.is_deep(image):
            return None
        image.load()
        return depth.Values(image, data).depth


def dimensions(data: bytes) -> tuple[int, int]:
    """Read width and height off a picture's header. Raises ImageError."""
    with _opened(data) as image:
        return image.size


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Open a picture; whatever goes wrong with it in the block becomes an ImageError."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(*image.size)
            yield image
    except (ImageError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(int(re.search(r"\d+", str(error)).group())) from error
    except UnidentifiedImageError as error:
        raise ImageError(what_it_is(data)) from error
    except Exception as error:  # damaged bytes make Pillow's plugins raise almost anything
        truncated = "truncated" in str(error).lower()
        reason = "is truncated" if truncated else f"is damaged or truncated (Pillow: {error})"
        raise ImageError(reason) from error


def center(pixels: np.ndarray, framing: Framing) -> np.ndarray:
    """Cut the central `(..., size, size, channels)` out of `(..., resize, resize, channels)`.

    Raises:
        ValueError: the pixels have another shape.
    """
    expected = (framing.resize, framing.resize, framing.channels)
    if pixels.shape[-3:] != expected:
        raise ValueError(f"centre expects pixels whose shape ends with {expected}; found {pixels.shape}.")
    start = (framing.resize - framing.size) // 2
    stop = start + framing.size
    return pixels[..., start:stop, start:stop, :]


def _check_size(width: int, height: int) -> None:
    """Refuse a picture that is too large, or empty, with an ImageError."""
    if width * height > MAX_PIXELS:
        raise _too_large(width * height)
    if width * height < 1:
        raise ImageError("has no pixels")


def _too_large(pixels: int) -> LargeImageError:
    """Make the error of a picture with too many pixels."""
    return LargeImageError(f"has {pixels:,} pixels, more than the limit of {MAX_PIXELS:,}")


def _frames(image: Image.Image) -> list[str]:
    """Note that only the first of several frames or pages is used."""
    frames = getattr(image, "n_frames", 1)
    if frames == 1 or image.format == "MPO":  # MPO: a camera's JPEG with a preview behind it, no animation
        return []
    kind = "several pages" if image.format == "TIFF" else "animated"
    return [f"{kind}: only the first of {frames} frames is used"]


def _turned_upright(picture: Image.Image, image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Turn a picture by the EXIF orientation of the image that it was made of; gives notes beside."""
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # unreadable EXIF, which raises almost anything, does not make the pixels worse
        return picture, ["EXIF data are damaged: orientation not applied"]
    return (picture if turn is None else picture.transpose(turn)), []


def _color(image: Image.Image, channels: int, profile: bytes | None) -> tuple[Image.Image, list[str]]:
    """Convert a picture to mode L or RGB, in sRGB; gives notes beside."""
    rgba = image.convert("RGBA") if image.has_transparency_data else None
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image, profile = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB"), None
    elif rgba:
        image = rgba.getchannel("R") if image.mode in ("1", "L", "LA") else rgba.convert("RGB")
    elif profile and image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    image, notes = to_srgb(image, profile)
    if rgba:
        image = image.convert("RGB")
        image.putalpha(rgba.getchannel("A"))
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    mode = "L" if channels == 1 else "RGB"
    return (image if image.mode == mode else image.convert(mode)), notes


def _frame(image: Image.Image, framing: Framing) -> tuple[Image.Image, list[str]]:
    """Resize a picture, and cut it to `resize` x `resize`; gives notes beside."""
    short, long = sorted(image.size)
    notes = []
    if long > MAX_ASPECT * short:
        x, y = (max(side - MAX_ASPECT * short, 0) // 2 for side in image.size)  # as much from either end
        image = image.crop((x, y, image.width - x, image.height - y))
        notes.append(f"aspect ratio {long // short}:1: only the middle is used")
    if short * MAX_UNNOTED_ENLARGEMENT < framing.resize:
        notes.append(f"short side of only {short} px: enlarged to {framing.resize}")
    width, height = (max(framing.resize, round(side * framing.resize / short)) for side in image.size)
    image = image.resize((width, height), Image.Resampling[framing.interpolation.upper()])
    # Not simply the middle: the centre crop of the square must start where that of the whole picture does.
    margin = (framing.resize - framing.size) // 2
    left, top = ((side - framing.size) // 2 - margin for side in image.size)
    return image.crop((left, top, left + framing.resize, top + framing.resize)), notes
