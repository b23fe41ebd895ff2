"""What a saved classifier says of many pictures: as they are, in several views, and made worse."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recipes.data.corruptions import Corruption, generator_of
from recipes.data.dataset import Dataset
from recipes.data.decoding import quiet_threads
from recipes.data.images import center
from recipes.data.views import CENTER, TEN_CROP, View, crop
from recipes.runs.assurance import MAX_COMPARED
from recipes.runs.model_file import Classifier
from zoo.progress import Progress

BATCH_SIZE = 64
# What --views names; each begins with what evaluation sees.
VIEWS = {"mirror": (CENTER, View(CENTER.place, mirrored=True)), "ten_crop": TEN_CROP}

# Gives pixels `(samples, size, size, channels)` of some pictures, by their places.
Pixels = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Timed:
    """What a classifier said of pictures, and how long it took."""

    probabilities: np.ndarray  # `(images, classes)`
    seconds: float


def plain(classifier: Classifier, data: Dataset) -> Timed:
    """Predict every picture as evaluation sees it."""
    return _predicted(classifier, data, lambda images: center(data.pixels[images], data.framing), "evaluation")


def averaged(classifier: Classifier, data: Dataset, kind: str) -> Timed:
    """Predict every picture as the mean over a kind's views of it."""
    shown = distinct(VIEWS[kind], data)
    warm_up(classifier, data, len(shown))

    def pixels(images: np.ndarray) -> np.ndarray:
        return np.stack([crop(data.pixels[[image]][0], data.framing, view) for image in images for view in shown])

    return _predicted(classifier, data, pixels, kind.replace("_", " "), len(shown))


def distinct(views: Sequence[View], data: Dataset) -> list[View]:
    """List the views that differ: where nothing lies around the crop, each corner is the centre."""
    if data.framing.resize > data.framing.size:
        return list(views)
    return list(dict.fromkeys(View(CENTER.place, view.mirrored) for view in views))


def corrupted(classifier: Classifier, data: Dataset, corruption: Corruption, seed: int) -> Timed:
    """Predict every picture made worse."""

    def worse(image: int) -> np.ndarray:
        crop_seen = center(data.pixels[[image]], data.framing)[0]
        return corruption.apply(crop_seen, generator_of(seed, data.digests[image]))

    with quiet_threads() as pool:
        label = f"{corruption.kind} {corruption.severity}"
        return _predicted(classifier, data, lambda images: np.stack(list(pool.map(worse, images))), label)


def features(classifier: Classifier, data: Dataset) -> np.ndarray:
    """Compute the features of some of the pictures, drawn by lot, as the network ends with them: `(pictures, features)`."""
    drawn = np.sort(np.random.default_rng(0).permutation(len(data.paths))[:MAX_COMPARED])
    parts = [drawn[start : start + BATCH_SIZE] for start in range(0, len(drawn), BATCH_SIZE)]
    return np.concatenate([classifier.answers(center(data.pixels[images], data.framing))[0] for images in parts])


def _predicted(classifier: Classifier, data: Dataset, pixels: Pixels, label: str, views: int = 1) -> Timed:
    """Predict every picture from the pixels of its views, which follow each other."""
    found = np.empty((len(data.paths), len(data.classes)), "float32")
    began = time.monotonic()
    with Progress(label, len(found), "images") as progress:
        for images in _batches(len(found), max(1, BATCH_SIZE // views)):
            guesses = classifier.probabilities(pixels(images))
            found[images] = guesses.reshape(len(images), views, -1).mean(axis=1)
            progress.advance(len(images))
    return Timed(found, time.monotonic() - began)


def _batches(count: int, size: int) -> Iterator[np.ndarray]:
    """Divide the places of pictures into batches."""
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def warm_up(classifier: Classifier, data: Dataset, views: int = 1) -> None:
    """Predict a batch of each size that there will be, so that what is timed later is not compiled then."""
    batches = {len(images): images for images in _batches(len(data.paths), max(1, BATCH_SIZE // views))}
    for images in batches.values():
        classifier.probabilities(np.repeat(center(data.pixels[images], data.framing), views, axis=0))
