"""Explains what a run says of pictures: the likeliest classes, where it sees one, and which training pictures are like them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from recipes.data.images import Framing, center, decode, read_bytes
from recipes.errors import ImageError
from recipes.evaluation import occlusion
from recipes.report.explained import Explained, HeatMap, Neighbor, likeliest
from recipes.runs.model_file import Classifier
from recipes.runs.reference import Reference
from recipes.transfer import gradients
from recipes.transfer.features import vector_cut
from recipes.transfer.grad_cam import GradCam
from recipes.transfer.likeness import Likeness

NEIGHBORS = 4


@dataclass(frozen=True)
class Picture:
    """A picture to explain: its file, the file's SHA-256, the pixels that the network sees, and notes on it."""

    path: Path
    digest: str
    pixels: np.ndarray
    notes: tuple[str, ...] = ()


def read(path: Path, framing: Framing) -> Picture:
    """Read a picture. Raises ImageError."""
    data = read_bytes(path)
    pixels, notes = decode(data, framing)
    return Picture(path, hashlib.sha256(data).hexdigest(), center(pixels, framing), tuple(notes))


@dataclass(frozen=True)
class Explanations:
    """Explains pictures by one run.

    `asked` is the number of the class to look for, None for each picture's likeliest; `reference` knows the training pictures,
    which lie in `root`, if anybody knows where.
    """

    classifier: Classifier
    grad_cam: GradCam
    asked: int | None = None
    reference: Reference | None = None
    root: Path | None = None

    @cached_property
    def _likeness(self) -> Likeness:
        return Likeness(self.reference)

    @cached_property
    def _body(self) -> keras.Model:
        model = self.classifier.model
        return keras.Model(model.inputs[0], vector_cut(model, "pre_logits").output(model))

    def of(self, pictures: Sequence[Picture]) -> list[Explained]:
        """Explain some pictures, in one pass and the passes that check it."""
        pixels, classes = np.stack([picture.pixels for picture in pictures]), self.classifier.classes
        guesses = self.classifier.probabilities(pixels)
        asked = guesses.argmax(axis=1) if self.asked is None else np.full(len(pixels), self.asked)
        heat = self.grad_cam.heat(pixels, asked[:, None])[:, 0]
        checks, neighbors = self._checks(pixels, heat, asked), self._neighbors(pictures, pixels)
        return [
            Explained(
                str(picture.path),
                picture.pixels,
                likeliest(guesses[i], classes),
                (HeatMap(classes[asked[i]], heat[i]),),
                tuple(neighbors[i]),
                checks.get(i),
            )
            for i, picture in enumerate(pictures)
        ]

    def _checks(self, pixels: np.ndarray, heat: np.ndarray, asked: np.ndarray) -> dict[int, occlusion.Check]:
        """Check the maps that are not empty, by the places of their pictures."""
        chosen = np.flatnonzero(heat.max(axis=(1, 2)) > 0)
        if not len(chosen):
            return {}
        made = occlusion.check(pixels[chosen], heat[chosen], asked[chosen], self.classifier.probabilities)
        return dict(zip(chosen.tolist(), made, strict=True))

    def _neighbors(self, pictures: Sequence[Picture], pixels: np.ndarray) -> list[list[Neighbor]]:
        """Find the nearest training pictures of each picture."""
        if self.reference is None:
            return [[] for _ in pictures]
        (vectors,) = gradients.outputs(self._body, pixels)
        found = self._likeness.nearest(vectors, [picture.digest for picture in pictures], NEIGHBORS)
        return [[self._neighbor(place) for place in row] for row in found]

    def _neighbor(self, place: int) -> Neighbor:
        """Name a training picture, with its pixels if it still lies where it was, as it was."""
        path, pixels = self.reference.paths[place], None
        label = self.classifier.task.names(self.reference.labels[place], self.classifier.classes)
        try:
            picture = read(self.root / path, self.classifier.framing) if self.root else None
        except ImageError:
            picture = None
        if picture and picture.digest == self.reference.digests[place]:
            pixels = picture.pixels
        return Neighbor(path, label, pixels)
