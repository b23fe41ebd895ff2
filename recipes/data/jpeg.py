"""Damage inside a JPEG: the decoder goes on and paints something, with a warning that Pillow does not pass on."""

import re

import simplejpeg

# How libjpeg's warnings about the picture's own data begin; others are on metadata, or on what TurboJPEG does not read.
DAMAGE = re.compile(r"(?:Corrupt JPEG data: (?!bad ICC)|(?=Premature end|Inconsistent progression))(.*)")


def damage(data: bytes) -> list[str]:
    """Note it if a strict decoder finds a JPEG damaged; it reads all of its codes, but at an eighth of the size in grey."""
    try:
        space = simplejpeg.decode_jpeg_header(data, strict=False)[2]
        channels = "CMYK" if space in ("CMYK", "YCCK") else "GRAY"
        simplejpeg.decode_jpeg(data, channels, min_height=1, min_width=1, min_factor=8, strict=True)
    except ValueError as error:
        if found := DAMAGE.search(str(error)):
            what = re.sub(r" ?\b(0x\w+|\d+)\b|(?<=RST)\d", "", found[1]).strip()
            return [f"damaged inside ({what}): a part of the picture may be wrong"]
    return []
