"""The division of pictures by their content: which train, which choose, which judge.

A picture's place depends on the digest of its bytes, on the seed and on the rest of its class, never on its
name or on the order of listing. So copies stay together, a renamed file stays where it was, and a new file
moves at most a few others.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

from recipes.errors import UserError, shown

HELD_OUT_PARTS = ("test", "validation")
MIN_TRAIN_IMAGES = 2


def assign(
    labels: Sequence[str],
    digests: Sequence[str],
    given: Sequence[str],
    fractions: Mapping[str, float],
    seed: int,
) -> list[str]:
    """Assign every file to a split, "train", "validation" or "test".

    A picture has one place: the one that the folder gave it, else that of the first of its classes.

    Args:
        labels: what is kept in proportion, one a file, as are `digests` and `given`.
        given: the split that the folder gave; "" where the file is to be divided.
        fractions: share of "validation" and "test" in the distinct pictures of a class; a missing one is 0.

    Raises:
        ValueError: fractions that cannot be.
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
            place[digest] = next((split for split in HELD_OUT_PARTS if quota[split] > 0), "train")
            quota[place[digest]] -= 1
    return [split or place[digest] for split, digest in zip(given, digests, strict=True)]


def _rank(digest: str, seed: int) -> str:
    """Draw a picture's place in the order of its class."""
    return hashlib.sha256(f"{seed}:{digest}".encode()).hexdigest()


def _quota(pictures: int, fractions: Mapping[str, float]) -> Counter[str]:
    """Count how many of a class's pictures go to each wanted part: at least one, while train keeps two."""
    wanted = _wanted(fractions)
    spare = max(pictures - MIN_TRAIN_IMAGES, 0)
    quota = Counter()
    for position, split in enumerate(wanted):
        later = len(wanted) - position - 1
        room = spare - later if spare > later else min(spare, 1)
        quota[split] = min(max(round(pictures * fractions[split]), 1), room)
        spare -= quota[split]
    return quota


def _wanted(fractions: Mapping[str, float]) -> list[str]:
    """List the parts to hold out, test first. Raises ValueError for fractions that cannot be."""
    shares = list(fractions.values())
    if not (set(fractions) <= set(HELD_OUT_PARTS) and all(share >= 0 for share in shares) and sum(shares) < 1):
        raise ValueError(
            f"fractions takes shares of 'validation' and 'test', not below 0 and together below 1; found {dict(fractions)}."
        )
    return [split for split in HELD_OUT_PARTS if fractions.get(split, 0) > 0]


def minimum(fractions: Mapping[str, float]) -> int:
    """Count the distinct pictures that a class needs: two to train and one for each wanted part."""
    return MIN_TRAIN_IMAGES + len(_wanted(fractions))


def check_counts(counts: Mapping[str, int], needed: int, root: object) -> None:
    """Refuse a class with fewer than `needed` distinct usable pictures.

    Raises:
        UserError: naming the class with the fewest of those `counts`.
    """
    lacking = sorted((count, label) for label, count in counts.items() if count < needed)
    if lacking:
        count, label = lacking[0]
        others = f" (classes with too few: {len(lacking)})" if len(lacking) > 1 else ""
        raise UserError(
            f"Class {shown(label)} in {shown(root)} needs at least {needed} different pictures to train "
            f"and to test and has {count}{others}: add pictures, or remove the class."
        )


def leaks(splits: Sequence[str], digests: Sequence[str]) -> dict[int, int]:
    """Find {file: its first copy in an earlier part} for copies of what a part before has: train, validation, test.

    Args:
        splits: those that the folder gave, one a file; "" for none, which is no leak, for it goes where its copies are.
    """
    order = ("train", *reversed(HELD_OUT_PARTS))
    first: dict[str, tuple[int, int]] = {}
    for index, (part, digest) in enumerate(zip(splits, digests, strict=True)):
        if part:
            first[digest] = min(first.get(digest, (len(order), index)), (order.index(part), index))
    return {
        index: first[digest][1]
        for index, (part, digest) in enumerate(zip(splits, digests, strict=True))
        if part and order.index(part) > first[digest][0]
    }


def duplicates(paths: Sequence[str], labels: Sequence[str], splits: Sequence[str], digests: Sequence[str]) -> list[str]:
    """Report equal pictures in sentences; `splits` are those that the folder gave, "" for none."""
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
    """Find the first file of a group and the first that differs from it; None without one."""
    return next(((group[0], other) for other in group if values[other] != values[group[0]]), None)


def _pairs(pairs: Sequence[tuple[int, int]], paths: Sequence[str]) -> str:
    """Write how many pairs there are, and the first three."""
    named = [f"{shown(paths[one])} = {shown(paths[other])}" for one, other in pairs[:3]]
    return f"{len(pairs)} ({'; '.join(named)}{'; ...' if len(pairs) > 3 else ''})"
