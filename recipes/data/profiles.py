"""Colours by an ICC profile: converted to sRGB, as which networks take the numbers of a picture."""

import functools
import io

import numpy as np
from PIL import Image, ImageCms, features

# A profile that moves no colour by more than this is sRGB under one of its many names: the pixels stay as they are.
MAX_DIFFERENCE = 2
# Mode of the pictures for which a profile of each colour space is.
MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
ASSUMED = "taken as sRGB"


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, list[str]]:
    """Convert a picture of mode L, RGB or CMYK by its profile; gives notes beside on a profile that cannot be applied."""
    if not profile:
        return image, []
    if not features.check("littlecms2"):
        return image, [f"its colour profile needs a Pillow built with LittleCMS: {ASSUMED}"]
    try:
        mode, transform = _transform(profile)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image, [f"its colour profile is damaged: {ASSUMED}"]
    if mode == "RGB" and image.mode == "L":
        image = image.convert("RGB")
    if mode != image.mode:
        return image, [f"its colour profile is not for pictures of mode {image.mode}: {ASSUMED}"]
    if transform is None:
        return image, []
    return (image.point(transform) if mode == "L" else ImageCms.applyTransform(image, transform)), []


@functools.lru_cache(maxsize=32)
def _transform(profile: bytes) -> tuple[str | None, ImageCms.ImageCmsTransform | list[int] | None]:
    """Find the mode that a profile is for, and its way to sRGB: for grey 256 values; None if it is sRGB.

    Raises:
        PyCMSError, OSError, ValueError, TypeError: the profile is damaged.
    """
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    mode = MODES.get(opened.profile.xcolor_space.strip())
    if mode is None:
        return None, None
    transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.PERCEPTUAL)
    if mode == "CMYK":
        return mode, transform
    steps = np.arange(256) if mode == "L" else np.linspace(0, 255, 18)
    colors = np.stack(np.meshgrid(*[steps.astype(np.uint8)] * len(mode)), axis=-1)
    before = Image.fromarray(colors.reshape(1, *((-1,) if mode == "L" else (-1, 3))))
    after = np.asarray(ImageCms.applyTransform(before, transform)).astype(int)
    if np.abs(after.reshape(-1, 3) - colors.reshape(-1, len(mode))).max() <= MAX_DIFFERENCE:
        return mode, None
    return mode, after[0, :, 1].tolist() if mode == "L" else transform
