"""The decoder: bytes to pixels, the same way for checking, training, prediction and reports.

The rule, in the order in which it is applied:

1. Formats are recognised by content, never by name. Those that need another program (EPS) are not read.
2. A picture of more than MAX_PIXELS pixels is refused on its header, before anything is decoded.
3. Of an animation or a file of several pages the first frame is used, with a note.
4. Truncated and damaged files are refused.
5. EXIF orientation is applied.
6. 16-bit grey is divided by 257, so that 65535 becomes 255; 32-bit integer and float pictures are read on
   the same scale and refused when a value lies outside 0..65535. Of 16-bit colour the high byte is used.
7. Palettes are expanded, transparency of any kind is composited on white, CMYK, YCbCr and LAB are converted.
8. A picture longer than MAX_ASPECT:1 is first cut to its middle part of that aspect, with a note.
9. The short side is resized to `resize`, antialiased, in 8 bits; the middle `resize` x `resize` is kept.

Changing any of this changes pixels: raise DECODER_VERSION.

`decode` runs in many threads at once. Pillow reports oddities of metadata through `warnings`, and
`warnings.catch_warnings` is not thread safe: who owns the thread pool wraps the whole of it, once.
"""

import codecs
import io
import os
import re
import stat
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

DECODER_VERSION = 1
MAX_PIXELS = 50_000_000
# Why there is one: 10000x1 would be resized to 2,560,000 x 256.
MAX_ASPECT = 10
MAX_UNNOTED_ENLARGEMENT = 8
FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"),
    *("JPEG2000", "PPM", "ICO", "PCX", "SGI", "QOI", "TGA"),
)


@dataclass(frozen=True)
class Framing:
    """How a picture becomes an input: its short side is resized to `resize`, then `size` x `size` cut from the centre.

    Raises:
        ValueError: numbers that cannot be, or an unknown interpolation.
    """

    size: int
    resize: int
    channels: int
    interpolation: str = "bilinear"

    def __post_init__(self):
        if not 1 <= self.size <= self.resize:
            raise ValueError(f"Framing needs 1 <= size <= resize; found {self.size} and {self.resize}.")
        if self.channels not in (1, 3):
            raise ValueError(f"Framing takes 1 or 3 channels; found {self.channels}.")
        if self.interpolation.upper() not in Image.Resampling.__members__:
            known = ", ".join(name.lower() for name in Image.Resampling.__members__)
            raise ValueError(f"Framing knows the interpolations {known}; found {self.interpolation!r}.")


class ImageError(Exception):
    """Says why a file is no usable picture, in words that follow its path, such as "is truncated"."""


def read(path: str | os.PathLike, framing: Framing) -> tuple[np.ndarray, list[str]]:
    """Decode a file, as `decode` does its content. Raises ImageError."""
    return decode(read_bytes(path), framing)


def read_bytes(path: str | os.PathLike) -> bytes:
    """Read a regular file; nothing else is opened, for a pipe would block. Raises ImageError."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ImageError("is not a regular file")
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror or error})") from error


def decode(data: bytes, framing: Framing) -> tuple[np.ndarray, list[str]]:
    """Decode a picture: pixels `(resize, resize, channels)`, uint8, and notes on what the user should know of it.

    `center` of the result is exactly the centre crop of the whole resized picture.

    Raises:
        ImageError: the bytes are no picture that can be used.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(*image.size)
            notes = _frames(image)
            image.load()
            notes += _turn_upright(image)
            picture, more = _color(image, framing.channels)
    except (ImageError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(int(re.search(r"\d+", str(error)).group())) from error
    except UnidentifiedImageError as error:
        raise ImageError(_what_it_is(data)) from error
    except Exception as error:  # damaged bytes make Pillow's plugins raise almost anything
        truncated = "truncated" in str(error).lower()
        reason = "is truncated" if truncated else f"is damaged or truncated (Pillow: {error})"
        raise ImageError(reason) from error
    framed, much_more = _frame(picture, framing)
    pixels = np.array(framed).reshape(framing.resize, framing.resize, framing.channels)
    return pixels, notes + more + much_more


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


def _too_large(pixels: int) -> ImageError:
    """Make the error of a picture with too many pixels."""
    return ImageError(f"has {pixels:,} pixels, more than the limit of {MAX_PIXELS:,}")


def _frames(image: Image.Image) -> list[str]:
    """Note that only the first of several frames or pages is used."""
    frames = getattr(image, "n_frames", 1)
    if frames == 1 or image.format == "MPO":  # MPO: a camera's JPEG with a preview behind it, no animation
        return []
    kind = "several pages" if image.format == "TIFF" else "animated"
    return [f"{kind}: only the first of {frames} frames is used"]


def _turn_upright(image: Image.Image) -> list[str]:
    """Apply the EXIF orientation in place; gives a note if that cannot be read."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:  # unreadable EXIF, which raises almost anything, does not make the pixels worse
        return ["EXIF data are damaged: orientation not applied"]
    return []


def _color(image: Image.Image, channels: int) -> tuple[Image.Image, list[str]]:
    """Convert a loaded picture to mode L or RGB; gives notes beside."""
    notes = []
    if image.mode.startswith("I") or image.mode == "F":
        image, notes = _eight_bits(image)
    elif image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    elif image.mode == "LAB":
        from PIL import ImageCms

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    mode = "L" if channels == 1 else "RGB"
    return (image if image.mode == mode else image.convert(mode)), notes


def _eight_bits(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Convert 16-bit or 32-bit grey to mode L; gives notes beside. Raises ImageError for values outside 0..65535."""
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 65535):  # written so that NaN fails
        raise ImageError(f"has values from {low:g} to {high:g}, not 0 to 65535: convert it to 8 bits")
    notes = []
    if 0 < high < 4096:
        notes = ["values below 4096 on a 16-bit scale: looks like 12-bit data, will appear nearly black"]
    if "transparency" in image.info:
        values = np.where(values == image.info["transparency"], 65535, values)
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8)), notes


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


HEADLESS = "is damaged or truncated: it begins like an image, but its header cannot be read"
JPEG_XL = "is a JPEG XL picture, which Pillow cannot read: convert it to JPEG or PNG"
HEIC = "is a HEIC picture, which Pillow cannot read: convert it to JPEG"
# What is found under the names of pictures: position, bytes, reason.
SIGNATURES = (
    (0, b"version https://git-lfs", "is a Git-LFS pointer, not an image: run `git lfs pull`"),
    (0, b"\x00\x05\x16\x07", "is an AppleDouble file of macOS, not an image: delete it"),
    (0, b"%PDF", "is a PDF document, not an image"),
    (0, b"%!PS", "is a PostScript document, not an image"),
    (0, b"PK\x03\x04", "is a zip archive, not an image: unpack it"),
    (0, b"\x1f\x8b", "is a gzip archive, not an image: unpack it"),
    (0, b"\xff\x0a", JPEG_XL),
    (4, b"JXL ", JPEG_XL),
    *((4, b"ftyp" + brand, HEIC) for brand in (b"hei", b"hev", b"mif1", b"msf1")),
    (4, b"ftypavi", HEADLESS),
    (4, b"ftyp", "is a video, not an image"),
    *((0, magic, HEADLESS) for magic in (b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*", b"MM\0*")),
)


def _what_it_is(data: bytes) -> str:
    """Say what bytes are in which Pillow recognises no picture, as the words of an ImageError."""
    if not data:
        return "is empty (0 bytes)"
    if not data.strip(b"\0"):
        return "holds nothing but zero bytes"
    for position, signature, reason in SIGNATURES:
        if data.startswith(signature, position):
            return reason
    if not _is_text(data[:4096]):
        return "is not an image that Pillow can read"
    head = data[:1024].lower()
    if b"<svg" in head:
        return "is an SVG drawing, not a picture of pixels: convert it to PNG"
    return "is an HTML page" if b"<html" in head or b"<!doctype html" in head else "is a text file"


def _is_text(sample: bytes) -> bool:
    """Whether the beginning of a file is text in UTF-8."""
    try:  # incremental: the sample may end within a character
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(sample)
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c.isspace() for c in text)
