"""Pictures in which there is something to recognise, without a data set, and JPEG files of them."""

import io

import numpy as np
from PIL import Image, ImageFilter


def scene(seed, size=(160, 120)):
    """A picture of blurred noise of two sizes: shapes, and something like a texture."""
    rng = np.random.default_rng(seed)
    parts = []
    for radius, gain in ((24, 8), (5, 2)):
        noise = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
        parts.append((np.asarray(noise.filter(ImageFilter.GaussianBlur(radius)), float) - 127.5) * gain)
    return Image.fromarray(np.clip(sum(parts) + 127.5, 0, 255).astype(np.uint8))


def jpeg(image, quality=90):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")
