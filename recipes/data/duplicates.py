"""Near-duplicates: the same picture resized, compressed again, slightly cropped, mirrored, brightened or with a border.

Two pictures are compared by their thumbnails' lowest frequencies. The coefficients of a cosine transform are multiplied by
their frequency, since those of photographs fall with it: so each says as much, and pictures that show different things are
nearly perpendicular. Mean and length are taken off: brightness and contrast do not matter. To mirror a picture is to change
the sign of the odd horizontal frequencies, so that both products come of two sums: even + |odd|.

Either picture of a pair may be the cropped one: each is looked for as it is, by what lies inside its border, and by BOXES of
these, which are crops of a twentieth at nine places and of a tenth in the middle. Every picture is first compared with every
other by COARSE coefficients and two of the boxes alone, in blocks; what passes is compared by FINE ones and all boxes. So the
memory is a fixed one for each picture and for a block (docs/results.md), and never grows with the square of their number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from recipes.data.appearance import SIDE

# Raised with what is found: pairs are kept by it.
DUPLICATES_VERSION = 1
# Pictures with a likeness above are the same one: chosen on other pictures than it was tested on (docs/results.md).
MIN_LIKENESS = 0.93
MIN_COARSE_LIKENESS = 0.88
# A thumbnail with less contrast, in grey levels, shows nothing that could be recognised.
MIN_CONTRAST = 2.0
# Of one picture, the likeliest in a block, and of all: of thousands of copies not every pair need be found.
MAX_CANDIDATES = 64
MAX_PARTNERS = 20
ROWS = 512
COLUMNS = 4096
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
class Pair:
    """Two pictures, by their places in the list, the first before the second; `likeness` is 1 for the same."""

    first: int
    second: int
    likeness: float
    mirrored: bool


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


def near_duplicates(thumbnails: np.ndarray, min_likeness: float = MIN_LIKENESS) -> list[Pair]:
    """Find the pairs of pictures that are one, the likeliest first.

    Args:
        thumbnails: `(pictures, 2, SIDE, SIDE)`, uint8, those of `Appearance`.
    """
    if not len(thumbnails):
        return []
    forms = _forms(thumbnails)
    coarse, fine = (np.concatenate(list(forms.described(spectrum))) for spectrum in (COARSE, FINE))
    found: dict[tuple[int, int], Pair] = {}
    for start in range(0, len(forms.picture), ROWS):
        for pair in _partners(forms, slice(start, start + ROWS), coarse, fine, min_likeness):
            key = pair.first, pair.second
            if key not in found or found[key].likeness < pair.likeness:
                found[key] = pair
    return sorted(found.values(), key=lambda pair: (-pair.likeness, pair.first, pair.second))


@dataclass(frozen=True)
class Forms:
    """What is compared: every picture as a whole, and after these what lies inside a border.

    Args:
        grey: `(forms, SIDE, SIDE)`, uint8.
        picture: `(forms,)`, whose.
        outer: `(forms,)`, whether this is a whole with its border: two of them may be alike in that alone.
    """

    grey: np.ndarray
    picture: np.ndarray
    outer: np.ndarray

    def described(self, spectrum: Spectrum) -> Iterator[np.ndarray]:
        """Compute coefficients block by block."""
        for start in range(0, len(self.grey), COLUMNS):
            yield spectrum.describe(self.grey[start : start + COLUMNS])


def _forms(thumbnails: np.ndarray) -> Forms:
    """Choose what is compared of pictures `(pictures, 2, SIDE, SIDE)`."""
    outer = (thumbnails[:, 0] != thumbnails[:, 1]).any(axis=(1, 2))
    picture = np.concatenate([np.arange(len(thumbnails)), np.flatnonzero(outer)])
    grey = np.concatenate([thumbnails[:, 0], thumbnails[outer, 1]])
    return Forms(grey, picture, np.concatenate([outer, np.zeros(outer.sum(), bool)]))


def _partners(forms: Forms, queries: slice, coarse: np.ndarray, fine: np.ndarray, min_likeness: float) -> Iterator[Pair]:
    """Find the pairs of some forms with any of all; of each form the likeliest."""
    rough = [COARSE.describe(forms.grey[queries], box) for box in (WHOLE, MIDDLE)]
    exact = np.stack([FINE.describe(forms.grey[queries], box) for box in BOXES], axis=1)
    picture, outer = forms.picture[queries], forms.outer[queries]
    found = []
    for start in range(0, len(coarse), COLUMNS):
        others = slice(start, start + COLUMNS)
        likeness = np.maximum(*(_likeness(part, coarse[others]) for part in rough))
        likeness[picture[:, None] == forms.picture[others]] = 0
        likeness[outer[:, None] & forms.outer[others]] = 0
        rows, columns = _candidates(likeness)
        values, mirrored = _compared(exact, rows, fine, columns + start)
        passed = values >= min_likeness
        found.append((rows[passed], forms.picture[columns + start][passed], values[passed], mirrored[passed]))
    rows, other, values, mirrored = map(np.concatenate, zip(*found, strict=True))
    for i in _likeliest(rows, values, MAX_PARTNERS):
        first, second = sorted((int(picture[rows[i]]), int(other[i])))
        yield Pair(first, second, float(values[i]), bool(mirrored[i]))


def _likeness(queries: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compare each with each by coarse coefficients, mirrored or not, `(queries, others)`."""
    even = queries[:, : COARSE.even] @ others[:, : COARSE.even].T
    odd = queries[:, COARSE.even :] @ others[:, COARSE.even :].T
    return np.add(even, np.abs(odd, out=odd), out=even)


def _candidates(likeness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find what is worth a closer look, (rows, columns); of each row the likeliest, if there are many."""
    places = np.flatnonzero(likeness >= MIN_COARSE_LIKENESS)
    rows, columns = np.divmod(places, likeness.shape[1])
    kept = _likeliest(rows, likeness.ravel()[places], MAX_CANDIDATES)
    return rows[kept], columns[kept]


def _likeliest(rows: np.ndarray, values: np.ndarray, most: int) -> np.ndarray:
    """Choose so many of each row that have the highest values; gives places, row by row."""
    order = np.lexsort((-values, rows))
    return order[np.arange(len(order)) - np.searchsorted(rows[order], rows[order]) < most]


def _compared(exact: np.ndarray, rows: np.ndarray, fine: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compare pairs by the fine coefficients of the box that fits best; gives likeness, and whether mirrored."""
    values, mirrored = np.empty(len(rows), np.float32), np.empty(len(rows), bool)
    for start in range(0, len(rows), COLUMNS):
        some = slice(start, start + COLUMNS)
        queries, others = exact[rows[some]], fine[columns[some]]
        even = np.einsum("nbc,nc->nb", queries[..., : FINE.even], others[:, : FINE.even])
        odd = np.einsum("nbc,nc->nb", queries[..., FINE.even :], others[:, FINE.even :])
        best = (even + np.abs(odd)).argmax(axis=1)[:, None]
        odd = np.take_along_axis(odd, best, axis=1)[:, 0]
        values[some], mirrored[some] = np.take_along_axis(even, best, axis=1)[:, 0] + np.abs(odd), odd < 0
    return values, mirrored


def grouped(pairs: list[Pair], pictures: int) -> np.ndarray:
    """Give each picture the number of the first one that pairs tie it to, `(pictures,)`."""
    group = np.arange(pictures)

    def first(index: int) -> int:
        while group[index] != index:
            group[index] = group[group[index]]
            index = int(group[index])
        return index

    for pair in pairs:
        one, other = sorted((first(pair.first), first(pair.second)))
        group[other] = one
    return np.array([first(index) for index in range(pictures)])
