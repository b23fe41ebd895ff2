"""Folds that divide no group."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from recipes.errors import UserError


def grouped_folds(
    strata: Sequence[int], groups: Sequence[str], count: int, seed: int, complete: bool = True
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divide pictures into (train, test) indices, so that a group is on one side and the strata are about in proportion.

    The larger groups come first, groups of a size in an order that the seed draws; each goes to the fold that has the least of
    its strata.

    Args:
        strata: `(images,)`, what is kept in proportion.
        groups: `(images,)`, names of what is never divided.
        count: how many folds; there are fewer where there are fewer groups.
        complete: leave folds out whose training side lacks a stratum.

    Raises:
        UserError: no fold is left.
    """
    members: dict[str, Counter[int]] = defaultdict(Counter)
    for group, stratum in zip(groups, strata, strict=True):
        members[group][stratum] += 1
    total, names = Counter(strata), sorted(members)
    count = min(count, len(names))
    drawn = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    have = [Counter() for _ in range(count)]
    place: dict[str, int] = {}
    for group in sorted(drawn, key=lambda name: -members[name].total()):

        def crowded(fold: int, group: str = group) -> tuple[float, int]:
            """Say how much of the group's strata a fold has, and how large it is."""
            shares = (number * have[fold][stratum] / total[stratum] for stratum, number in members[group].items())
            return sum(shares), have[fold].total()

        place[group] = min(range(count), key=crowded)
        have[place[group]].update(members[group])
    fold_of = np.array([place[group] for group in groups])
    lacking = {i for i in range(count) if complete and any(have[i][stratum] == total[stratum] for stratum in total)}
    if count < 2 or len(lacking) == count:
        raise UserError(
            "The groups leave no way to cross-validate: each class must stand in several groups of the training part. Give "
            "more groups, or finer ones."
        )
    return [(np.flatnonzero(fold_of != i), np.flatnonzero(fold_of == i)) for i in range(count) if i not in lacking]
