"""Whether pictures differ, as a whole, from those that a network knows: a kernel two-sample test on their features.

The statistic is the maximum mean discrepancy (Gretton et al. 2012, "A Kernel Two-Sample Test", JMLR 13) with a Gaussian kernel
as wide as the median distance. Its p-value is that of a permutation test: how often a division of the same pictures by lot
would make two halves that differ as much. So it is right for any number of pictures, and a false alarm as rare as it says.
"""

from dataclasses import dataclass

import numpy as np

from recipes.evaluation.foreign import unit

# Fewer pictures show nothing, and of more so many are drawn: the cost is bounded by the square of the second.
MIN_PICTURES = 20
MAX_PICTURES = 500
PERMUTATIONS = 999
# Below it pictures are said to differ: so often this is said of pictures that do not.
ALARM = 0.01


@dataclass(frozen=True)
class Drift:
    """The p-value of two groups of pictures being drawn from the same, and how many of each were compared."""

    p: float
    pictures: int
    known: int

    @property
    def is_alarming(self) -> bool:
        """Whether the pictures differ by more than chance would explain."""
        return self.p < ALARM

    @property
    def sentence(self) -> str:
        """What to tell a user, where the pictures differ."""
        return (
            f"these pictures differ, as a whole, from those that the model knows (p = {self.p:.3f}, by {self.pictures:,} of "
            f"them and {self.known:,} known ones; of groups that do not differ, one in {round(1 / ALARM)} is told so): they "
            "show other things, in other proportions, or were taken otherwise. What the report says need not hold for them."
        )


def compare(features: np.ndarray, known: np.ndarray) -> Drift | None:
    """Compare pictures with known ones; None where there are too few of either.

    Args:
        features: `(pictures, features)`.
        known: features of pictures that the network has not learnt from, or of any, where it was not trained itself;
            `(known, features)`.
    """
    if min(len(features), len(known)) < MIN_PICTURES:
        return None
    generator = np.random.default_rng(0)
    new, old = (unit(rows[generator.permutation(len(rows))[:MAX_PICTURES]]) for rows in (features, known))
    both = np.concatenate([new, old]).astype("float64")
    distances = np.maximum(2 - 2 * both @ both.T, 0)
    width = np.median(distances[np.triu_indices(len(both), 1)])
    kernel = np.exp(-distances / max(width, 1e-12))
    # Each column divides the pictures: 1/m for those of the first group, −1/n for the others. First comes the real one.
    division = np.concatenate([np.full(len(new), 1 / len(new)), np.full(len(old), -1 / len(old))])
    by_lot = generator.permuted(np.tile(division, (PERMUTATIONS, 1)), axis=1)
    columns = np.concatenate([division[None], by_lot]).T
    found = (columns * (kernel @ columns)).sum(axis=0)
    p = float((found >= found[0] - 1e-12).sum() / len(found))  # the real one is among them
    return Drift(p, len(new), len(old))
