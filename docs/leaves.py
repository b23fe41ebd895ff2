"""Drawn leaves, healthy or with one of two diseases: pictures that anybody may have, for the documentation's examples.

    python docs/leaves.py leaves

writes `leaves/healthy`, `leaves/mildew` and `leaves/rust`, and among them what real folders hold as well: a copy under
another label, a brightened twin, a black picture, a torn file and a note; and, beside `leaves`, a folder `new` with two
more leaves of each class, and bare soil, for a prediction. They show what the commands print and draw; a number that was
measured on them says nothing about photographs.
"""

import argparse
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

CLASSES = ("healthy", "mildew", "rust")
IMAGES = 60  # of each class
SIZE = (256, 192)
SCALE = 2  # drawn larger and shrunk, for smooth edges


def write_leaves(folder: Path, images: int = IMAGES, seed: int = 0) -> Path:
    """Draw so many leaves of each class into a folder per class; with five mistakes among them, if there is room."""
    rng = np.random.default_rng(seed)
    for label in CLASSES:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for i in range(images):
            leaf(rng, label).save(folder / label / f"{label}_{i:03}.jpg", quality=88)
    if images < IMAGES:
        return folder
    (folder / "rust" / "copy_of_healthy_007.jpg").write_bytes((folder / "healthy" / "healthy_007.jpg").read_bytes())
    with Image.open(folder / "mildew" / "mildew_011.jpg") as image:
        ImageEnhance.Brightness(image).enhance(1.15).save(folder / "mildew" / "mildew_011_brighter.jpg", quality=70)
    Image.new("RGB", SIZE).save(folder / "rust" / "lens_cap.jpg")
    (folder / "healthy" / "torn.jpg").write_bytes((folder / "healthy" / "healthy_000.jpg").read_bytes()[:900])
    (folder / "healthy" / "notes.txt").write_text("Taken in the second greenhouse.\n")
    return folder


def write_new(folder: Path) -> Path:
    """Draw two more leaves of each class, and soil without a leaf, in one folder without classes.

    With this seed no leaf is called unknown, as one in twenty is by chance (4 of 48 with seeds 2 to 9); soil always is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    for label in CLASSES:
        for i in range(2):
            leaf(rng, label).save(folder / f"{label}_{i}.jpg", quality=88)
    soil = _soil(rng, SIZE[0] * SCALE, SIZE[1] * SCALE).resize(SIZE, Image.Resampling.LANCZOS)
    soil.save(folder / "soil.jpg", quality=88)
    return folder


def leaf(rng: np.random.Generator, label: str) -> Image.Image:
    """Draw one leaf of the class on soil."""
    width, height = SIZE[0] * SCALE, SIZE[1] * SCALE
    image = _soil(rng, width, height)
    blade = Image.new("RGBA", (width, height))
    outline = _outline(rng, width, height)
    draw = ImageDraw.Draw(blade)
    green = (int(rng.integers(50, 100)), int(rng.integers(110, 160)), int(rng.integers(30, 70)))
    draw.polygon([tuple(point) for point in outline], fill=(*green, 255))
    _veins(draw, outline, tuple(min(255, c + 45) for c in green))
    inside = blade.getchannel("A")
    spots = {"healthy": _dirt, "mildew": _mildew, "rust": _rust}[label](rng, width, height)
    blade = Image.composite(Image.alpha_composite(blade, spots), blade, inside)
    blade = blade.rotate(float(rng.uniform(-60, 60)), Image.Resampling.BICUBIC)
    image.paste(blade, mask=blade.getchannel("A"))
    image = ImageEnhance.Brightness(image).enhance(float(rng.uniform(0.75, 1.2)))
    return image.resize(SIZE, Image.Resampling.LANCZOS)


def _soil(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw the ground: brown noise of one of several sizes."""
    shade = rng.uniform(0.5, 1.1) * np.array((120, 100, 80))
    noise = Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8))
    noise = np.asarray(noise.filter(ImageFilter.GaussianBlur(int(rng.integers(2, 7)))), float) - 127.5
    return Image.fromarray(np.clip(shade + 4 * noise[..., None], 0, 255).astype(np.uint8))


def _outline(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Give the edge of a pointed leaf: points (x, y), from the stalk along one side and back along the other."""
    length, breadth = rng.uniform(0.6, 0.78) * width, rng.uniform(0.4, 0.6) * height
    along = np.linspace(0, 1, 60)
    half = breadth / 2 * np.sin(np.pi * along**0.8) * (1 + rng.uniform(0.0, 0.05) * np.sin(60 * along))
    x = (width - length) / 2 + length * along
    return np.concatenate([np.c_[x, height / 2 - half], np.c_[x, height / 2 + half][::-1]])


def _veins(draw: ImageDraw.ImageDraw, outline: np.ndarray, color: tuple[int, ...]) -> None:
    """Draw the midrib and the side veins."""
    upper, middle = outline[: len(outline) // 2], float(outline[:, 1].mean())
    draw.line([(upper[0, 0] - 40, middle), (upper[-1, 0], middle)], fill=(*color, 255), width=5)
    for i in range(6, 52, 6):
        x, edge = upper[min(i + 6, 59), 0], abs(upper[i, 1] - middle) * 0.85
        for side in (-1, 1):
            draw.line([(upper[i, 0], middle), (x, middle + side * edge)], fill=(*color, 170), width=2)


def _blotches(
    rng: np.random.Generator, size: tuple[int, int], count: int, radii: tuple[float, float], color: tuple[int, ...], blur: float
) -> Image.Image:
    """Draw so many round spots of one colour near the middle, with soft edges."""
    width, height = size
    layer = Image.new("RGBA", size, (*color[:3], 0))
    draw = ImageDraw.Draw(layer)
    for _ in range(count):
        angle, far = rng.uniform(0, 2 * math.pi), math.sqrt(rng.uniform(0, 1))
        x, y = width / 2 + 0.27 * width * far * math.cos(angle), height / 2 + 0.17 * height * far * math.sin(angle)
        radius = rng.uniform(*radii)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
    return layer.filter(ImageFilter.GaussianBlur(blur))


def _dirt(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw a few crumbs of soil and, on some, a pale reflection: what a disease may be taken for."""
    crumbs = _blotches(rng, (width, height), int(rng.integers(0, 7)), (2, 5), (95, 75, 50, 255), 0.8)
    shine = _blotches(rng, (width, height), int(rng.integers(0, 2)), (8, 16), (225, 232, 220, 110), 8)
    return Image.alpha_composite(shine, crumbs)


def _mildew(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw a white bloom in patches, on some of the leaves hardly begun."""
    return _blotches(rng, (width, height), int(rng.integers(1, 8)), (7, 22), (232, 235, 226, 170), 7)


def _rust(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw orange pustules, on some of the leaves only a few."""
    return _blotches(rng, (width, height), int(rng.integers(2, 26)), (3, 7), (198, 104, 28, 255), 1.2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    place = parser.parse_args().folder
    print(write_leaves(place), write_new(place.parent / "new"))
