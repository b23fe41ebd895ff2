"""Pictures that look like photographs to what looks for copies, made of blurred noise; and what people do to pictures."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter


def scene(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Make a picture of blurred noise of two sizes: shapes, and something like a texture."""
    rng = np.random.default_rng(seed)
    parts = []
    for radius, gain in ((24, 8), (5, 2)):
        noise = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
        parts.append((np.asarray(noise.filter(ImageFilter.GaussianBlur(radius)), float) - 127.5) * gain)
    grain = rng.normal(0, 6, (*size[::-1], 3))
    return Image.fromarray(np.clip(sum(parts) + 127.5 + grain, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int = 90) -> Image.Image:
    """Compress a picture, and read it again."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def scenes_folder(root: Path, count: int, parts: tuple[str, ...] = ("",), classes: tuple[str, ...] = ("ants", "bees")) -> Path:
    """Write so many pictures of each class and part, all different, as ROOT/part/class/number.jpg."""
    seed = 0
    for part in parts:
        for label in classes:
            folder = root / part / label
            folder.mkdir(parents=True)
            for number in range(count):
                scene(seed).save(folder / f"{number}.jpg", quality=90)
                seed += 1
    return root
