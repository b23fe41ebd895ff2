"""Whether a heat map shows what a network looked at: the picture is asked about again, with a part of it hidden.

Zeiler, Fergus 2013, "Visualizing and Understanding Convolutional Networks" (arXiv:1311.2901), section 4.2, hide a square at
each place of a picture and watch the probability of its class. Here it is the hottest fifth of a heat map, and beside it the
same shape at random places: if the map is right, the first costs the class far more than the second. Nothing of how the map was
made enters, so that a map which says nothing is found out.

What is hidden gets the mean colour of the picture, for black or grey may be a mark of a class, with a soft edge, for a sharp
one is a shape of its own, which costs a class something wherever it is (docs/explain.md).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

HIDDEN_SHARE = 0.2
# Random places, whose mean is compared: one alone says little.
MOVES = 8
# Standard deviation of the edge's blur, as a share of the picture's height.
SOFT_SHARE = 1 / 30


@dataclass(frozen=True)
class Check:
    """A class's probability for a picture: as it is, without its hottest fifth, and without a random one, the mean of some."""

    whole: float
    without_hottest: float
    without_random: float

    @property
    def is_borne_out(self) -> bool:
        """Whether the hottest fifth costs the class more than a random one."""
        return self.without_hottest < self.without_random


def hottest(heat: np.ndarray, share: float = HIDDEN_SHARE) -> np.ndarray:
    """Mark the hottest share of heat maps `(..., height, width)`, as booleans of that shape; of equal ones the first."""
    flat = heat.reshape(*heat.shape[:-2], -1)
    order = np.argsort(-flat, axis=-1, kind="stable")
    mask = np.zeros(flat.shape, bool)
    np.put_along_axis(mask, order[..., : round(share * flat.shape[-1])], True, axis=-1)
    return mask.reshape(heat.shape)


def moved(mask: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Move a mask `(height, width)` to a random place; what leaves the picture comes in on the other side."""
    return np.roll(mask, [int(generator.integers(0, side)) for side in mask.shape], axis=(0, 1))


def hidden(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Give what a mask `(height, width)` marks in a picture `(height, width, channels)`, uint8, the picture's mean colour."""
    from PIL import Image, ImageFilter

    edge = ImageFilter.GaussianBlur(SOFT_SHARE * len(mask))
    covered = np.asarray(Image.fromarray(np.where(mask, 255, 0).astype("uint8")).filter(edge))[..., None] / 255
    return np.rint((1 - covered) * picture + covered * picture.mean(axis=(0, 1))).astype("uint8")


def check(
    pictures: np.ndarray,
    heat: np.ndarray,
    classes: np.ndarray,
    probabilities: Callable[[np.ndarray], np.ndarray],
    moves: int = MOVES,
    seed: int = 0,
) -> list[Check]:
    """Ask about pictures again, without the hottest fifth of their maps, and `moves` times without a random one.

    Args:
        pictures: `(batch, height, width, channels)`.
        heat: `(batch, height, width)`.
        classes: the number of the class that each map is about, `(batch,)`.
        probabilities: gives those of pictures, `(batch, classes)`.
    """
    asked = []
    for place, (picture, mask) in enumerate(zip(pictures, hottest(heat), strict=True)):
        generator = np.random.default_rng((seed, place))
        masks = [mask, *(moved(mask, generator) for _ in range(moves))]
        asked += [picture, *(hidden(picture, one) for one in masks)]
    each = probabilities(np.stack(asked)).reshape(len(pictures), moves + 2, -1)
    found = each[np.arange(len(pictures)), :, classes]
    return [Check(float(row[0]), float(row[1]), float(row[2:].mean())) for row in found]
