"""Which of many pictures are worth a comparison with which: those whose cells are near.

Some pictures, drawn once, are centers of cells, to which all others go by their likeness; each picture is compared with all in
the PROBED cells nearest to it. This is the inverted file of Sivic and Zisserman (2003, "Video Google") and Jégou, Douze and
Schmid (2011, "Product Quantization for Nearest Neighbor Search") without a code: likenesses are exact. With CELLS times the
square root of so many cells as there are pictures, the time grows with the power 1.5 of their number, and a near-duplicate is
missed only where neither picture's nearest cells hold the other: how often, docs/scaling.md says.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recipes.data.spectra import Spectrum

CELLS = 4
PROBED = 64
# Pictures that are compared with all centers at once.
ROWS = 4096


@dataclass(frozen=True)
class Cells:
    """Pictures by the center that they are most like.

    Args:
        spectrum: by which they are described.
        centers: `(cells, coefficients)`.
        order: places of pictures, those of a cell one behind the other; one that shows nothing is in no cell.
        ends: `(cells,)`, where each cell ends in that.
    """

    spectrum: Spectrum
    centers: np.ndarray
    order: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, described: np.ndarray, spectrum: Spectrum) -> "Cells":
        """Put pictures, `(pictures, coefficients)` as the spectrum describes them, into cells."""
        there = np.flatnonzero(described.any(axis=1))
        drawn = np.random.default_rng(0).permutation(there)[: max(PROBED, int(CELLS * len(there) ** 0.5))]
        centers = described[drawn]
        blocks = (described[there[start : start + ROWS]] for start in range(0, len(there), ROWS))
        cells = np.concatenate([spectrum.likeness(block, centers).argmax(axis=1) for block in blocks])
        order = np.argsort(cells, kind="stable")
        return cls(spectrum, centers, there[order], np.searchsorted(cells[order], np.arange(len(centers)), side="right"))

    def near(self, described: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Say which of some pictures, rows of `described`, are to be compared with which others, cell by cell."""
        likeness = self.spectrum.likeness(described, self.centers)
        probed = np.argpartition(-likeness, PROBED - 1, axis=1)[:, :PROBED].ravel()
        asked = np.argsort(probed, kind="stable")
        cells, starts = np.unique(probed[asked], return_index=True)
        for cell, rows in zip(cells.tolist(), np.split(asked // PROBED, starts[1:]), strict=True):
            yield rows, self.order[self.ends[cell - 1] if cell else 0 : self.ends[cell]]
