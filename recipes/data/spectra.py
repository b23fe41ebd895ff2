"""What a thumbnail shows, in its lowest frequencies: so that two of the same picture are parallel.

The coefficients of a cosine transform are multiplied by their frequency, since those of photographs fall with it: so each says
as much, and pictures that show different things are nearly perpendicular. Mean and length are taken off: brightness and
contrast do not matter. To mirror a picture is to change the sign of the odd horizontal frequencies, so that both products come
of two sums: even + |odd|.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from recipes.data.appearance import SIDE

# A thumbnail with less contrast, in grey levels, shows nothing that could be recognised.
MIN_CONTRAST = 2.0
# Left, upper, right and lower edge, in shares.
WHOLE = (0.0, 0.0, 1.0, 1.0)
MIDDLE = (0.025, 0.025, 0.975, 0.975)
BOXES = (
    WHOLE,
    MIDDLE,
    (0.05, 0.05, 0.95, 0.95),
    *((x, y, x + 0.95, y + 0.95) for x in (0.0, 0.025, 0.05) for y in (0.0, 0.025, 0.05) if x != 0.025 or y != 0.025),
)


@dataclass(frozen=True)
class Spectrum:
    """Which frequencies count, and how much.

    Args:
        highest: frequency, in half waves across the picture.
        power: of the frequency, by which its coefficients are multiplied.
    """

    highest: int
    power: float

    @property
    def frequencies(self) -> np.ndarray:
        """The frequency of each pair of vertical and horizontal half waves, `(highest + 1, highest + 1)`."""
        waves = np.arange(self.highest + 1)
        return np.hypot(waves[:, None], waves)

    @property
    def used(self) -> np.ndarray:
        """Which coefficients count: all but the mean, in a circle."""
        return (self.frequencies > 0) & (self.frequencies <= self.highest)

    @property
    def order(self) -> np.ndarray:
        """The used coefficients, those of even horizontal frequencies first."""
        return np.argsort(np.nonzero(self.used)[1] % 2, kind="stable")

    @property
    def even(self) -> int:
        """How many used coefficients have even horizontal frequencies."""
        return int((np.nonzero(self.used)[1] % 2 == 0).sum())

    def describe(self, thumbnails: np.ndarray, box: tuple[float, float, float, float] = WHOLE) -> np.ndarray:
        """Compute the coefficients of a part of thumbnails `(pictures, SIDE, SIDE)`.

        Returns:
            `(pictures, coefficients)`, float32, of length 1; 0 for a picture that shows nothing.
        """
        left, upper, right, lower = box
        (rows, down), (columns, across) = _waves(upper, lower, self.highest), _waves(left, right, self.highest)
        grey = thumbnails.astype(np.float32)
        grey -= (rows @ grey @ columns)[:, None, None]
        contrast = np.sqrt(rows @ np.square(grey) @ columns)
        waves = down @ grey @ across.T * self.frequencies.astype(np.float32) ** self.power
        found = waves[:, self.used][:, self.order]
        lengths = np.linalg.norm(found, axis=1)
        return found * ((contrast > MIN_CONTRAST) / np.maximum(lengths, 1e-6))[:, None].astype(np.float32)

    def likeness(self, queries: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Compare each with each by their coefficients, mirrored or not, `(queries, others)`."""
        even = queries[:, : self.even] @ others[:, : self.even].T
        odd = queries[:, self.even :] @ others[:, self.even :].T
        return np.add(even, np.abs(odd, out=odd), out=even)


COARSE = Spectrum(5, 0.5)
FINE = Spectrum(9, 1.0)


@cache
def _waves(start: float, stop: float, highest: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the share of each pixel in a part of a side, and the half waves across that part, `(highest + 1, SIDE)`."""
    middles = (np.arange(SIDE) + 0.5) / SIDE
    edges = np.clip([middles - 0.5 / SIDE, middles + 0.5 / SIDE], start, stop)
    shares = ((edges[1] - edges[0]) / (stop - start)).astype(np.float32)
    place = (edges.mean(axis=0) - start) / (stop - start)
    return shares, np.cos(np.pi * np.arange(highest + 1)[:, None] * place).astype(np.float32) * shares
