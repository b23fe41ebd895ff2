"""Who trains, who chooses, who judges: the division of pictures by their content.

A picture's place depends on the digest of its bytes, on the seed and on the rest of its class, never on its
name or on the order of listing. So copies stay together, a renamed file stays where it was, and a new file
moves at most a few others.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

from recipes.errors import UserError, shown

HELD_OUT = ("test", "validation")
LEAST_IN_TRAIN = 2


def assign(
    labels: Sequence[str],
    digests: Sequence[str],
    given: Sequence[str],
    fractions: Mapping[str, float],
    seed: int,
) -> list[str]:
    """The split of every file, "train", "validation" or "test".

    labels, digests, given: one entry a file; where `given` is "" the file is divided, else it stays.
    fractions: share of "validation" and "test" in the distinct pictures of a class; a missing one is 0.
    A picture has one place: the one that the folder gave it, else that of the first of its classes.
    Raises ValueError for fractions that cannot be.
    """
    place: dict[str, str] = {}
    for split, digest in sorted(zip(given, digests, strict=True)):
        if split:
            place.setdefault(digest, split)
    free: dict[str, set[str]] = {}
    for label, digest, split in zip(labels, digests, given, strict=True):
        if not split:
            free.setdefault(label, set()).add(digest)
    for label in sorted(free):
        quota = _quota(len(free[label]), fractions)
        quota.subtract(place[digest] for digest in free[label] if digest in place)
        for digest in sorted(free[label] - place.keys(), key=lambda digest: _rank(digest, seed)):
            place[digest] = next((split for split in HELD_OUT if quota[split] > 0), "train")
            quota[place[digest]] -= 1
    return [split or place[digest] for split, digest in zip(given, digests, strict=True)]


def _rank(digest: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{digest}".encode()).hexdigest()


def _quota(pictures: int, fractions: Mapping[str, float]) -> Counter[str]:
    """How many of a class's pictures go to each wanted part: at least one, while train keeps two."""
    wanted = _wanted(fractions)
    spare = max(pictures - LEAST_IN_TRAIN, 0)
    quota = Counter()
    for position, split in enumerate(wanted):
        later = len(wanted) - position - 1
        room = spare - later if spare > later else min(spare, 1)
        quota[split] = min(max(round(pictures * fractions[split]), 1), room)
        spare -= quota[split]
    return quota


def _wanted(fractions: Mapping[str, float]) -> list[str]:
    """The parts to hold out, test first. Raises ValueError."""
    shares = list(fractions.values())
    if not (set(fractions) <= set(HELD_OUT) and all(share >= 0 for share in shares) and sum(shares) < 1):
        raise ValueError(
            f"fractions takes shares of 'validation' and 'test', not below 0 and together below 1; found {dict(fractions)}."
        )
    return [split for split in HELD_OUT if fractions.get(split, 0) > 0]


def minimum(fractions: Mapping[str, float]) -> int:
    """The least number of distinct pictures a class needs: two to train and one for each wanted part."""
    return LEAST_IN_TRAIN + len(_wanted(fractions))


def check_counts(counts: Mapping[str, int], needed: int, root: object) -> None:
    """counts: distinct usable pictures by class. Raises UserError when a class has fewer than `needed`."""
    lacking = sorted((count, label) for label, count in counts.items() if count < needed)
    if lacking:
        count, label = lacking[0]
        others = f" (classes with too few: {len(lacking)})" if len(lacking) > 1 else ""
        raise UserError(
            f"Class {shown(label)} in {shown(root)} needs at least {needed} different pictures to train "
            f"and to test and has {count}{others}: add pictures, or remove the class."
        )


def duplicates(paths: Sequence[str], labels: Sequence[str], splits: Sequence[str], digests: Sequence[str]) -> list[str]:
    """Findings on equal pictures; `splits` are those that the folder gave, "" for none."""
    copies: dict[str, list[int]] = {}
    for index, digest in enumerate(digests):
        copies.setdefault(digest, []).append(index)
    groups = [group for group in copies.values() if len(group) > 1]
    within = sum(len(group) - len({(labels[i], splits[i]) for i in group}) for group in groups)
    labeled_twice = [pair for group in groups if (pair := _differing(group, labels))]
    leaking = [pair for group in groups if (pair := _differing([i for i in group if splits[i]], splits))]
    findings = []
    if within:
        findings.append(f"Exact copies of another file of their class: {within}.")
    if labeled_twice:
        findings.append(f"Pictures that carry two labels: {_pairs(labeled_twice, paths)}.")
    if leaking:
        findings.append(f"Pictures that lie in two splits, so that results on them say nothing: {_pairs(leaking, paths)}.")
    return findings


def _differing(group: Sequence[int], values: Sequence[str]) -> tuple[int, int] | None:
    """The first file of a group and the first that differs from it."""
    return next(((group[0], other) for other in group if values[other] != values[group[0]]), None)


def _pairs(pairs: Sequence[tuple[int, int]], paths: Sequence[str]) -> str:
    """How many there are, and the first three."""
    named = [f"{shown(paths[one])} = {shown(paths[other])}" for one, other in pairs[:3]]
    return f"{len(pairs)} ({'; '.join(named)}{'; ...' if len(pairs) > 3 else ''})"
