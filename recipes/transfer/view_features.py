"""Features of several views of the same pictures, in memory or on disk, read by blocks of rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recipes.data.store import Rows

# Rows that are read at once.
BLOCK_ROWS = 2_048


@dataclass(frozen=True)
class ViewFeatures:
    """Features `(views, images, features)`, float32: of each view those of all pictures, one view behind the other in `rows`.

    `rows` `(views · images, features)` is an array, or rows of a store, which stay on the disk.
    """

    rows: np.ndarray | Rows
    views: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """The numbers of views, images and features."""
        return self.views, len(self.rows) // self.views, self.rows.shape[-1]

    def read(self, view: int, start: int, stop: int) -> np.ndarray:
        """Read some pictures as one view shows them, `(stop - start, features)`, float32."""
        first = view * self.shape[1]
        return np.asarray(self.rows[first + start : first + stop], "float32")

    def blocks(self, view: int) -> Iterator[np.ndarray]:
        """Read all pictures as one view shows them, block by block."""
        images = self.shape[1]
        for start in range(0, images, BLOCK_ROWS):
            yield self.read(view, start, min(images, start + BLOCK_ROWS))

    def array(self) -> np.ndarray:
        """Read everything: `(views, images, features)`."""
        return self.rows[:].reshape(self.shape)


def as_views(views: "np.ndarray | ViewFeatures") -> ViewFeatures:
    """Take an array `(views, images, features)` for what it is."""
    return views if isinstance(views, ViewFeatures) else ViewFeatures(views.reshape(-1, views.shape[-1]), len(views))


def standardization(features: np.ndarray | ViewFeatures, widths: Sequence[int] = ()) -> tuple[np.ndarray, float | np.ndarray]:
    """Choose what is taken off features `(images, features)`, and what they are divided by.

    So a penalty means the same everywhere. Of several backbones, whose features lie side by side, each block of `widths` is
    divided by its own deviation, so that the penalty spares none for its scale: the divisors are `(features,)`.

    Args:
        features: an array, or views, of which the first counts.
    """
    given = features if isinstance(features, ViewFeatures) else ViewFeatures(features, 1)
    _, images, width = given.shape
    first, second = np.zeros(width), np.zeros(width)
    for block in given.blocks(0):
        first += block.sum(axis=0, dtype="float64")
    mean = first / images
    for block in given.blocks(0):
        second += ((block - mean) ** 2).sum(axis=0)
    ends = np.cumsum([0, *(widths or [width])])
    deviations = []
    for start, end in zip(ends[:-1], ends[1:], strict=True):
        variance = second[start:end].sum() / (images * (end - start)) + mean[start:end].var()
        deviations.append(float(np.sqrt(variance)) or 1.0)
    scale = np.repeat(deviations, widths).astype("float32") if widths else deviations[0]
    return mean.astype("float32"), scale
