"""Near-duplicates: the same picture resized, compressed again, slightly cropped, mirrored, brightened or with a border.

Two pictures are compared by their thumbnails' lowest frequencies (`spectra`). Either picture of a pair may be the cropped one:
each is looked for as it is, by what lies inside its border, and by BOXES of these, which are crops of a twentieth at nine
places and of a tenth in the middle. Pictures are first compared by COARSE coefficients and two of the boxes alone, in blocks;
what passes is compared by FINE ones and all boxes. Only the coarse coefficients are in memory, 0.1 kB a picture; thumbnails
stay where they are. What passes that, too, must be more alike than pictures of this folder are by chance (`chance`).

Up to MAX_ALL pictures each is compared with every other. Of more each is compared with those that lie in the cells near it
(`cells`), so that the time does not grow with the square of their number.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recipes.data.cells import Cells
from recipes.data.chance import more_than_chance
from recipes.data.spectra import BOXES, COARSE, FINE, MIDDLE, WHOLE
from recipes.data.store import Rows

# Raised with what is found: pairs are kept by it.
DUPLICATES_VERSION = 2
# Forms of pictures that are compared each with each, if they show something.
MAX_ALL = 20_000
# Pictures with a likeness above are the same one: chosen on other pictures than it was tested on (docs/results.md).
MIN_LIKENESS = 0.93
MIN_COARSE_LIKENESS = 0.88
# Of one picture, the likeliest by coarse and by fine coefficients: of thousands of copies not every pair need be found.
MAX_CANDIDATES = 64
MAX_PARTNERS = 20
# Of pictures, whose border is one.
MAX_BORDERED = 0.5
ROWS = 512
COLUMNS = 1024
# Rows at once where cells are compared, of each of which few are asked.
CELL_ROWS = 4 * ROWS
# Thumbnails that are read at once: from many shards, each of which is opened for that.
READ = 4 * COLUMNS


@dataclass(frozen=True)
class Pair:
    """Two pictures, by their places in the list, the first before the second; `likeness` is 1 for the same."""

    first: int
    second: int
    likeness: float
    mirrored: bool


@dataclass(frozen=True)
class Found:
    """Near-duplicates, the likeliest first.

    Args:
        pairs: of pictures that are one.
        usual: how many others are as alike, and no more so than pictures of this folder are by chance.
    """

    pairs: list[Pair]
    usual: int


def near_duplicates(thumbnails: np.ndarray | Rows, min_likeness: float = MIN_LIKENESS) -> Found:
    """Find the pairs of pictures that are one.

    Args:
        thumbnails: `(pictures, 2, SIDE, SIDE)`, uint8, those of `Appearance`; in memory or on disk.
    """
    if not len(thumbnails):
        return Found([], 0)
    forms = _forms(thumbnails)
    pairs, likeness, mirrored = _alike(forms, min_likeness)
    faces = (1,) if forms.outer.any() else (0, 1)
    chosen = more_than_chance(thumbnails, pairs, likeness, faces)
    rows = zip(pairs[chosen].tolist(), likeness[chosen].tolist(), mirrored[chosen].tolist(), strict=True)
    return Found(
        [Pair(first, second, value, is_mirrored) for (first, second), value, is_mirrored in rows], int((~chosen).sum())
    )


@dataclass(frozen=True)
class Forms:
    """What is compared: every picture as a whole, and after these what lies inside a border.

    Args:
        thumbnails: `(pictures, 2, SIDE, SIDE)`, uint8.
        picture: `(forms,)`, whose.
        outer: `(forms,)`, whether this is a whole with its border: two of them may be alike in that alone.
    """

    thumbnails: np.ndarray | Rows
    picture: np.ndarray
    outer: np.ndarray

    def grey(self, places: np.ndarray) -> np.ndarray:
        """Read some forms, `(places, SIDE, SIDE)`, uint8."""
        inner = (places >= len(self.thumbnails)).astype(int)
        return self.thumbnails[self.picture[places]][np.arange(len(places)), inner]

    def coarse(self) -> np.ndarray:
        """Compute the coarse coefficients of all, block by block."""
        blocks = (self.grey(np.arange(len(self.picture))[start : start + READ]) for start in range(0, len(self.picture), READ))
        parts = (grey[start : start + COLUMNS] for grey in blocks for start in range(0, len(grey), COLUMNS))
        return np.concatenate([COARSE.describe(part) for part in parts])


def _forms(thumbnails: np.ndarray | Rows) -> Forms:
    """Choose what is compared of pictures `(pictures, 2, SIDE, SIDE)`."""
    blocks = (thumbnails[start : start + READ] for start in range(0, len(thumbnails), READ))
    bordered = np.concatenate([(block[:, 0] != block[:, 1]).any(axis=(1, 2)) for block in blocks])
    picture = np.concatenate([np.arange(len(thumbnails)), np.flatnonzero(bordered)])
    # The border of most pictures is a background, as that of digits or of products, and belongs to them.
    outer = bordered & (bordered.mean() <= MAX_BORDERED)
    return Forms(thumbnails, picture, np.concatenate([outer, np.zeros(bordered.sum(), bool)]))


def _alike(forms: Forms, min_likeness: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the pairs `(pairs, 2)` that are so alike, whatever the others are, the likeliest first; likeness, mirrored."""
    coarse = forms.coarse()
    cells = Cells.of(coarse, COARSE) if coarse.any(axis=1).sum() > MAX_ALL else None
    order, rows = (cells.order, CELL_ROWS) if cells else (np.arange(len(coarse)), ROWS)
    blocks = [order[start : start + rows] for start in range(0, len(order), rows)]
    found = [_partners(forms, queries, coarse, cells, min_likeness) for queries in blocks]
    pairs, likeness, mirrored = map(np.concatenate, zip(*found, strict=True))
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -likeness))
    _, first = np.unique(pairs[order], axis=0, return_index=True)  # the likeliest of the forms of two pictures
    order = order[np.sort(first)]
    return pairs[order], likeness[order], mirrored[order]


def _partners(
    forms: Forms, queries: np.ndarray, coarse: np.ndarray, cells: Cells | None, min_likeness: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the pairs of some forms with any of all, of each form the likeliest; with their likeness, and whether mirrored."""
    rows, columns = _candidates(forms, queries, coarse, cells)
    used, places = np.unique(rows, return_inverse=True)
    grey = forms.grey(queries[used])
    exact = np.stack([FINE.describe(grey, box) for box in BOXES], axis=1)
    seen, which = np.unique(columns, return_inverse=True)
    likeness, mirrored = _compared(exact, places, FINE.describe(forms.grey(seen)), which)
    passed = np.flatnonzero(likeness >= min_likeness)
    chosen = passed[_likeliest(rows[passed], likeness[passed], MAX_PARTNERS)]
    pairs = np.stack([forms.picture[queries][rows[chosen]], forms.picture[columns[chosen]]], axis=1)
    return np.sort(pairs, axis=1), likeness[chosen], mirrored[chosen]


def _candidates(forms: Forms, queries: np.ndarray, coarse: np.ndarray, cells: Cells | None) -> tuple[np.ndarray, np.ndarray]:
    """Find what is worth a closer look, (rows of `queries`, forms); of each row the likeliest, if there are many."""
    grey = forms.grey(queries)
    rough = [COARSE.describe(grey, box) for box in (WHOLE, MIDDLE)]
    picture, outer = forms.picture[queries], forms.outer[queries]
    least = np.full(len(picture), MIN_COARSE_LIKENESS, np.float32)
    rows, columns, values = np.empty(0, int), np.empty(0, int), np.empty(0, np.float32)
    for asked, others in cells.near(coarse[queries]) if cells else _all(len(queries), len(coarse)):
        likeness = [COARSE.likeness(part[asked], coarse[others]) for part in rough]
        likeness = np.maximum(*likeness, out=likeness[0])
        passed = np.flatnonzero(likeness >= least[asked, None])
        if not len(passed):
            continue
        if len(passed) > MAX_CANDIDATES * len(asked) and likeness.shape[1] > MAX_CANDIDATES:
            most = np.partition(likeness, -MAX_CANDIDATES, axis=1)[:, -MAX_CANDIDATES]
            least[asked] = np.maximum(least[asked], most)
            passed = np.flatnonzero(likeness >= least[asked, None])
        more, places = np.divmod(passed, likeness.shape[1])
        values = np.concatenate([values, likeness.ravel()[passed]])
        rows, columns = np.concatenate([rows, asked[more]]), np.concatenate([columns, others[places]])
        if len(rows) > 2 * MAX_CANDIDATES * len(queries):
            rows, columns, values = _different(forms, picture, outer, rows, columns, values)
            last = np.flatnonzero(np.bincount(rows, minlength=len(least)) == MAX_CANDIDATES)
            least[last] = values[np.searchsorted(rows, last, side="right") - 1]
    return _different(forms, picture, outer, rows, columns, values)[:2]


def _all(queries: int, forms: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Compare each of some rows with all forms, block by block."""
    for start in range(0, forms, COLUMNS):
        yield np.arange(queries), np.arange(forms)[start : start + COLUMNS]


def _different(
    forms: Forms, picture: np.ndarray, outer: np.ndarray, rows: np.ndarray, columns: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keep the likeliest of each row that are other pictures, and not alike in their border alone; gives them row by row.

    Args:
        picture: whose each row is.
        outer: whether it is a whole with its border.
    """
    kept = (picture[rows] != forms.picture[columns]) & ~(outer[rows] & forms.outer[columns])
    rows, columns, values = rows[kept], columns[kept], values[kept]
    kept = _likeliest(rows, values, MAX_CANDIDATES)
    return rows[kept], columns[kept], values[kept]


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
