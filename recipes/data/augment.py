"""Augmentation: what training pictures go through before the network sees them.

- `crops`: the crop at a random place, and a coin for its mirror image.
- `alexnet`: Krizhevsky et al. 2012 (ImageNet Classification with Deep Convolutional Neural Networks, section 4.1): the
  same, and a shift along the principal components of the training pictures' colours. Its ten test crops are views in
  `recipes.transfer.features`.
- `modern`: what torchvision trains its present weights with (references/classification, "new recipe"), with its values:
  random-resized crop (Szegedy et al. 2014, arXiv:1409.4842, section 6), mirror image, TrivialAugment (Müller & Hutter
  2021, arXiv:2103.10158), random erasing (Zhong et al. 2017, arXiv:1708.04896), then for each batch mixup (Zhang et al.
  2017, arXiv:1710.09412) or cutmix (Yun et al. 2019, arXiv:1905.04899), and label smoothing (Szegedy et al. 2015,
  arXiv:1512.00567, section 7).

A step is a function `(pixels, generator) → pixels` of a batch, `(pictures, height, width, channels)`; mixing takes and
returns labels too. All that is random comes from the batch's own generator, so threads change nothing. A layer of
Keras is used where it does what its paper says, at a bearable price and whatever the threads; what was measured of each:
docs/decisions.md.
"""

import math
from collections.abc import Callable
from functools import partial

import keras
import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from recipes.data.dataset import Dataset
from recipes.data.images import center
from recipes.data.store import Rows

# Standard deviation of AlexNet's shift, in standard deviations of the colours themselves.
COLOR_SHIFT = 0.1
# Bounds of a random-resized crop: its share of the picture's area, and its width over its height.
CROP_AREA = (0.08, 1.0)
CROP_ASPECT = (3 / 4, 4 / 3)
ERASING_SHARE = 0.1
ERASING_FILL = 127.5
# Both parameters of the beta distribution that a mixture's weights are drawn from.
MIXUP_BETA = 0.2
CUTMIX_BETA = 1.0
LABEL_SMOOTHING = 0.1

Step = Callable[[np.ndarray, np.random.Generator], np.ndarray]
Mix = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def pipeline(name: str, data: Dataset, images: np.ndarray, mirror: bool) -> tuple[Step, Mix | None]:
    """Make what `batches.Batches` reads samples with, and what it mixes a batch and its one-hot labels with, if anything.

    Args:
        name: "none", "crops", "alexnet" or "modern".
        images: indices in `data` of the pictures to train on.
        mirror: whether a mirrored picture is of the same class.
    """
    crop = partial(random_crop, size=data.framing.size)
    flip: list[Step] = [random_mirror] if mirror else []
    steps: list[Step] = {
        "none": lambda: [lambda pixels, _: center(pixels, data.framing)],
        "crops": lambda: [crop, *flip],
        "alexnet": lambda: [crop, *flip, color_shift(data.pixels, images)],
        "modern": lambda: [partial(random_resized_crop, size=data.framing.size), *flip, trivial_augment, random_erasing],
    }[name]()

    def read(samples: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        pixels = data.pixels[images[samples]]
        for step in steps:
            pixels = step(pixels, generator)
        return pixels

    return read, mix_and_smooth if name == "modern" else None


def random_crop(pixels: np.ndarray, generator: np.random.Generator, size: int) -> np.ndarray:
    """Cut a square of `size` pixels from each picture, at a random place."""
    corners = generator.integers(0, pixels.shape[1] - size + 1, (len(pixels), 2))
    return np.stack([p[y : y + size, x : x + size] for p, (y, x) in zip(pixels, corners, strict=True)])


def random_mirror(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Mirror each picture, left to right, by the toss of a coin."""
    flips = generator.random(len(pixels)) < 0.5
    pixels = pixels.copy()
    pixels[flips] = pixels[flips, :, ::-1]
    return pixels


def color_shift(pixels: Rows | np.ndarray, images: np.ndarray) -> Step:
    """Make a step that adds a colour to each picture, drawn as the colours of the `images` vary, a tenth as far.

    The paper multiplies the components by eigenvalues; its authors' code (cuda-convnet2, `color_stdevs`) by their square
    roots. Only these have the pixels' unit, and they are used.
    """
    deviations, components = principal_colors(pixels, images)

    def shift(batch: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        drawn = generator.normal(0, COLOR_SHIFT, (len(batch), len(deviations))) * deviations
        return batch + (drawn @ components.T)[:, None, None].astype("float32")

    return shift


def principal_colors(pixels: Rows | np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the principal components of some pictures' colours.

    Of each picture a grid of about 64 × 64 pixels is looked at, and one picture at a time is in memory.

    Returns:
        The standard deviations `(channels,)` along the components, and the components, `(channels, channels)`, as columns.
    """
    every, channels = max(1, pixels.shape[1] // 64), pixels.shape[-1]
    count, total, products = 0, np.zeros(channels), np.zeros((channels, channels))
    for image in images:
        colors = pixels[[image]][0, ::every, ::every].reshape(-1, channels).astype("float64")
        count, total, products = count + len(colors), total + colors.sum(axis=0), products + colors.T @ colors
    mean = total / count
    variances, components = np.linalg.eigh(products / count - np.outer(mean, mean))
    return np.sqrt(variances.clip(min=0)), components


def random_resized_crop(pixels: np.ndarray, generator: np.random.Generator, size: int) -> np.ndarray:
    """Cut a rectangle of random area, aspect and place from each picture, and resize it to a square of `size` pixels."""
    side = pixels.shape[1]
    boxes = [rectangle(side, generator) for _ in pixels]
    return _each(pixels, lambda image, i: image.resize((size, size), Image.Resampling.BILINEAR, boxes[i]))


def rectangle(side: int, generator: np.random.Generator) -> tuple[int, int, int, int]:
    """Draw (left, upper, right, lower) inside a square; it is the whole square, if ten draws do not fit."""
    for _ in range(10):
        area = generator.uniform(*CROP_AREA) * side * side
        aspect = math.exp(generator.uniform(*np.log(CROP_ASPECT)))
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= side and 0 < height <= side:
            left, upper = generator.integers(0, side - width + 1), generator.integers(0, side - height + 1)
            return left, upper, left + width, upper + height
    return 0, 0, side, side


def trivial_augment(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Change each picture by one random operation of random strength, of the "wide" space of the paper's table 1.

    Shifts are relative to the size: the paper's 32 pixels, at 224.
    """
    kinds = generator.integers(0, len(OPERATIONS), len(pixels))
    strengths = generator.integers(0, 31, len(pixels)) / 30 * generator.choice((-1, 1), len(pixels))
    return _each(pixels, lambda image, i: OPERATIONS[kinds[i]](image, float(strengths[i])))


def _each(pixels: np.ndarray, change: Callable[[Image.Image, int], Image.Image]) -> np.ndarray:
    """Change each picture by Pillow, which lets other threads work meanwhile."""
    gray = pixels.shape[-1] == 1
    changed = [np.asarray(change(Image.fromarray(p[..., 0] if gray else p), i)) for i, p in enumerate(pixels)]
    return np.stack([p[..., None] if gray else p for p in changed])


def _affine(image: Image.Image, *matrix: float) -> Image.Image:
    """Move each pixel as Pillow's six numbers say."""
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


# Each takes a strength between -1 and 1; those that have no direction take its absolute value.
OPERATIONS: tuple[Callable[[Image.Image, float], Image.Image], ...] = (
    lambda image, strength: image,
    lambda image, strength: _affine(image, 1, 0.99 * strength, 0, 0, 1, 0),
    lambda image, strength: _affine(image, 1, 0, 0, 0.99 * strength, 1, 0),
    lambda image, strength: _affine(image, 1, 0, strength * image.width / 7, 0, 1, 0),
    lambda image, strength: _affine(image, 1, 0, 0, 0, 1, strength * image.height / 7),
    lambda image, strength: image.rotate(135 * strength, Image.Resampling.BILINEAR),
    lambda image, strength: ImageEnhance.Brightness(image).enhance(1 + 0.99 * strength),
    lambda image, strength: ImageEnhance.Color(image).enhance(1 + 0.99 * strength),
    lambda image, strength: ImageEnhance.Contrast(image).enhance(1 + 0.99 * strength),
    lambda image, strength: ImageEnhance.Sharpness(image).enhance(1 + 0.99 * strength),
    lambda image, strength: ImageOps.posterize(image, 8 - round(6 * abs(strength))),
    lambda image, strength: ImageOps.solarize(image, 256 - round(256 * abs(strength))),
    lambda image, strength: ImageOps.autocontrast(image),
    lambda image, strength: ImageOps.equalize(image),
)


def random_erasing(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Erase a rectangle of some pictures, by Keras' layer: a new one for each batch, since the seed belongs to the batch."""
    seed = int(generator.integers(2**31))
    layer = keras.layers.RandomErasing((ERASING_SHARE, ERASING_SHARE), fill_value=ERASING_FILL, seed=seed)
    return keras.ops.convert_to_numpy(layer(pixels, training=True))


def mix_and_smooth(pixels: np.ndarray, labels: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Apply mixup or cutmix to a batch, one as often as the other, and smooth its labels `(batch, classes)`."""
    pixels, labels = (mixup if generator.random() < 0.5 else cutmix)(pixels, labels, generator)
    return pixels, smooth(labels)


def mixup(pixels: np.ndarray, labels: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Make each picture and its label a weighted mean of themselves and another's: section 2 of the paper, a weight each."""
    others = generator.permutation(len(pixels))
    share = generator.beta(MIXUP_BETA, MIXUP_BETA, (len(pixels), 1)).astype("float32")
    mixed = share[..., None, None] * pixels + (1 - share[..., None, None]) * pixels[others]
    return mixed, share * labels + (1 - share) * labels[others]


def cutmix(pixels: np.ndarray, labels: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Replace a rectangle of each picture by another's, and of its label as much as the rectangle covers.

    Section 3.1 of the paper: the centre lies anywhere, and what sticks out is cut off.
    """
    side, others = pixels.shape[1], generator.permutation(len(pixels))
    half = side * np.sqrt(1 - generator.beta(CUTMIX_BETA, CUTMIX_BETA, len(pixels))) / 2
    middle = generator.uniform(0, side, (2, len(pixels)))
    low, high = (np.rint(edge).clip(0, side).astype(int) for edge in (middle - half, middle + half))
    mixed = pixels.astype("float32")
    for i, (y, x, y_end, x_end) in enumerate(zip(*low, *high, strict=True)):
        mixed[i, y:y_end, x:x_end] = pixels[others[i], y:y_end, x:x_end]
    share = ((high - low).prod(axis=0) / side**2)[:, None].astype("float32")
    return mixed, (1 - share) * labels + share * labels[others]


def smooth(labels: np.ndarray) -> np.ndarray:
    """Spread LABEL_SMOOTHING of each label over all classes.

    `CategoricalCrossentropy(label_smoothing=...)` does it inside the loss, and would smooth the validation's labels, too.
    """
    return (1 - LABEL_SMOOTHING) * labels + np.float32(LABEL_SMOOTHING / labels.shape[-1])
