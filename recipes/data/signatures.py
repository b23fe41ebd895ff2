"""What lies under the names of pictures and is none, by its first bytes."""

import codecs

HEADLESS = "is damaged or truncated: it begins like an image, but its header cannot be read"
UNKNOWN_TIFF = "is damaged or truncated, or a TIFF that Pillow cannot read, such as colours in floats: convert it to 8 bits"
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
    *((0, magic, HEADLESS) for magic in (b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"RIFF")),
    *((0, magic, UNKNOWN_TIFF) for magic in (b"II*", b"MM\0*", b"II+", b"MM\0+")),
)


def what_it_is(data: bytes) -> str:
    """Say what bytes are in which Pillow recognises no picture, in words that follow its path."""
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
