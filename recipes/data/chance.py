"""Which likenesses are more than chance among pictures that are all alike: digits, X-rays, pages, products on white.

How many others a picture has within a distance grows with a power of that distance: the correlation integral of Grassberger and
Procaccia (Physical Review Letters 50, 1983). So a picture's neighbours at a moderate distance tell how many would be expected
so near as its candidate for a near-duplicate is: in a folder of photographs none, among digits several. The distance is each
picture's own, for ones lie closer than eights; the power is the folder's. Of all pairs those count of which, together, at most
a hundredth is expected by chance (Benjamini and Hochberg, Journal of the Royal Statistical Society B 57, 1995).

Neighbours begin at the twelfth, or, in large folders, after the nearest fiftieth of all pictures: the nearest may be copies
themselves. Of a picture with more copies than that, such as a frame of a long video, nothing can be told.
"""

from collections.abc import Sequence

import numpy as np

from recipes.data.spectra import BOXES, FINE
from recipes.data.store import Rows

# Pictures of which a folder must have more, to tell what is usual in it.
FEW = 8
# Others with which each picture is compared, drawn once; and how many of these are measured, too, for the power.
SAMPLE = 1024
MIN_PICTURES = 64
# The first neighbour that counts, in number and in share, and the last one.
MIN_RANK = 12
RANK_SHARE = 0.02
LAST_RANK = 4
# The power where it can no longer be measured, since no neighbour is near: below that of photographs.
MAX_POWER = 6.0
# Of the pairs that are found, and in number: what chance may add.
CHANCE_SHARE = 0.01
CHANCE_PAIRS = 0.1
# Likenesses above are those of the same pixels, but for noise.
SAME = 0.9999
SMALLEST = 1e-6
ROWS = 512


def more_than_chance(
    thumbnails: np.ndarray | Rows, pairs: np.ndarray, likeness: np.ndarray, faces: Sequence[int] = (0, 1)
) -> np.ndarray:
    """Say of pairs whether they are more alike than pictures of this folder are by chance.

    Args:
        thumbnails: `(pictures, 2, SIDE, SIDE)`, uint8, in memory or on disk.
        pairs: `(pairs, 2)`, places of pictures.
        likeness: `(pairs,)`.
        faces: which of a picture's thumbnails are compared, of which the likeliest count.

    Returns:
        `(pairs,)`, bool.
    """
    count = len(thumbnails)
    if count <= FEW or not len(pairs):
        return np.ones(len(pairs), bool)
    sample = np.random.default_rng(0).permutation(count)[:SAMPLE]
    pictures = np.union1d(pairs, sample[:MIN_PICTURES])
    near = max(1, min(max(MIN_RANK, int(RANK_SHARE * len(sample))), 3 * (len(sample) - 1) // 4))
    far = min(LAST_RANK * near, len(sample) - 1)
    drawn = thumbnails[sample]
    others = np.concatenate([FINE.describe(drawn[:, face]) for face in faces])
    blocks = [pictures[start : start + ROWS] for start in range(0, len(pictures), ROWS)]
    distances = np.concatenate(
        [_distances(thumbnails[block][:, faces], others, block[:, None] == sample, near, far) for block in blocks]
    )
    powers = np.log(far / near) / np.maximum(np.log(distances[:, 1] / distances[:, 0]), SMALLEST)
    power = min(float(np.median(powers)), MAX_POWER)
    reach = np.maximum(1 - likeness, SMALLEST)[:, None] / distances[np.searchsorted(pictures, pairs), 0]
    expected = near * count / len(sample) * (reach**power).max(axis=1)
    return _discovered(expected * count / 2) | (likeness >= SAME)


def _distances(thumbnails: np.ndarray, others: np.ndarray, same: np.ndarray, near: int, far: int) -> np.ndarray:
    """Measure how far off the neighbours of two ranks are, `(pictures, 2)`.

    Args:
        thumbnails: `(pictures, faces, SIDE, SIDE)`.
        others: `(faces x others, coefficients)`, those of all first faces first.
        same: `(pictures, others)`, where a picture would be compared with itself.
    """
    likeness = np.zeros(same.shape, np.float32)
    for own in range(thumbnails.shape[1]):
        for box in BOXES:
            found = FINE.likeness(FINE.describe(thumbnails[:, own], box), others)
            np.maximum(likeness, found.reshape(len(found), -1, same.shape[1]).max(axis=1), out=likeness)
    likeness[same] = -1
    ranks = [same.shape[1] - near, same.shape[1] - far]
    return np.maximum(1 - np.partition(likeness, ranks, axis=1)[:, ranks], SMALLEST)


def _discovered(expected: np.ndarray) -> np.ndarray:
    """Choose the most pairs of which chance would give few; `expected` says how many it gives up to each, `(pairs,)`."""
    order = np.argsort(expected)
    allowed = np.maximum(CHANCE_PAIRS, CHANCE_SHARE * np.arange(1, len(order) + 1))
    passed = np.flatnonzero(expected[order] <= allowed)
    chosen = np.zeros(len(order), bool)
    chosen[order[: passed[-1] + 1 if len(passed) else 0]] = True
    return chosen
