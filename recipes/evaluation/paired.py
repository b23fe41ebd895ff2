"""Two classifiers on the same pictures: how far their numbers lie apart, and whether chance alone does that, too.

Pictures on which both are right, or both wrong, do not say which is better. Where pictures belong together (frames of a video,
copies of a file), a group of them says it once.
"""

import math
from collections.abc import Sequence

import numpy as np

from recipes.evaluation.intervals import wilson

# So many draws give a p-value to about 0.004 where it is 0.05, and no smaller one than 0.0001.
FLIPS = 9_999
# Additions that the exact distribution of unequal sums may take; it is drawn from beyond.
MAX_ADDITIONS = 10**8
DRAWN_AT_ONCE = 2_000_000


def sign_flip_test(sums: np.ndarray) -> float:
    """Compute the two-sided p-value of the hypothesis that each of these sums might as well have the other sign.

    With sums of 1 and -1, a picture each, it is McNemar's exact test (McNemar 1947, Psychometrika 12:153), a binomial one; of
    whole numbers, exact too; of others, from FLIPS draws.

    Args:
        sums: `(groups,)`, by how many pictures, or how much weight, the second is better than the first; zeros do not count.
    """
    sizes, observed = np.abs(sums[sums != 0]), abs(float(sums.sum()))
    if not len(sizes):
        return 1.0
    if np.ptp(sizes) == 0:
        from scipy.stats import binom

        losses = round((len(sizes) - observed / sizes[0]) / 2)
        return min(1.0, 2 * float(binom.cdf(losses, len(sizes), 0.5)))
    if (sizes == sizes.round()).all() and len(sizes) * sizes.sum() < MAX_ADDITIONS:
        return _exact_tail(sizes.astype(int), observed)
    generator, count, reached = np.random.default_rng(0), 0, 0
    while count < FLIPS:
        draws = min(FLIPS - count, max(1, DRAWN_AT_ONCE // len(sizes)))
        signs = generator.integers(0, 2, (draws, len(sizes))) * 2 - 1
        reached += int((np.abs(signs @ sizes) >= observed * (1 - 1e-12)).sum())
        count += draws
    return (1 + reached) / (1 + FLIPS)


def _exact_tail(sizes: np.ndarray, observed: float) -> float:
    """Compute how likely sums with signs by chance lie as far from 0 as the one that was observed."""
    total = int(sizes.sum())
    chances = np.zeros(2 * total + 1)
    chances[total] = 1
    for size in sizes:  # nothing is rolled over an end: no sum lies beyond the total
        chances = (np.roll(chances, size) + np.roll(chances, -size)) / 2
    return min(1.0, float(chances[np.abs(np.arange(-total, total + 1)) >= observed].sum()))


def newcombe(both: float, only_first: float, only_second: float, neither: float) -> tuple[float, float]:
    """Compute the 95 % interval (low, high) of a difference of shares of the same pictures, the second's less the first's.

    Newcombe 1998, Statistics in Medicine 17:2635, method 10: it holds for few pictures, and where both answer alike.

    Args:
        both: pictures that both have right; `only_first` and `only_second` one alone, `neither` none. Of pictures in groups
            so many as tell as much.

    Raises:
        ValueError: there are no pictures.
    """
    total = both + only_first + only_second + neither
    right = both + only_first, both + only_second
    (first, second), ((low1, high1), (low2, high2)) = (count / total for count in right), (wilson(c, total) for c in right)
    excess = both * neither - only_first * only_second
    margins = math.prod((*right, *(total - count for count in right)))
    if excess > 0:
        excess = max(excess - total / 2, 0.0)
    phi = excess / math.sqrt(margins) if margins else 0.0

    def reach(below: float, above: float) -> float:
        """Add two distances as those of correlated shares."""
        return math.sqrt(max(below**2 - 2 * phi * below * above + above**2, 0.0))

    difference = (only_second - only_first) / total
    return difference - reach(second - low2, high1 - first), difference + reach(high2 - second, first - low1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number, so that all that stay small hold together (Holm 1979, Scand. J. Statistics 6:65)."""
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        least = max(least, min(1.0, p_values[i] * (len(p_values) - rank)))
        adjusted[i] = least
    return adjusted
