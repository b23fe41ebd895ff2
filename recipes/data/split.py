"""The division of pictures by their content: which train, which choose, which judge.

A picture's place depends on the digest of its bytes, on the seed and on the rest of its class, never on its
name or on the order of listing. So copies stay together, a renamed file stays where it was, and a new file
moves at most a few others. Groups stay together as copies do; the place of one hangs on its smallest digest.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from recipes.errors import UserError, shown

HELD_OUT_PARTS = ("test", "validation")
MIN_TRAIN_IMAGES = 2


def united(digests: Sequence[str], groups: Sequence[str]) -> list[str]:
    """Name what stays together: pictures with the same bytes, or of the same group, and what is linked through others.

    Args:
        digests: one a file.
        groups: one a file; "" for none.

    Returns:
        For each file the first of its groups' names, or its digest if it has none.
    """
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(key: tuple[str, str]) -> tuple[str, str]:
        while parent.setdefault(key, key) != key:
            parent[key] = key = parent[parent[key]]
        return key

    keys = [("group", group) if group else ("picture", digest) for digest, group in zip(digests, groups, strict=True)]
    for key, digest in zip(keys, digests, strict=True):
        one, other = sorted((root(key), root(("picture", digest))))  # "group" comes before "picture"
        parent[other] = one
    return [root(key)[1] for key in keys]


def assign(
    labels: Sequence[str],
    digests: Sequence[str],
    given: Sequence[str],
    fractions: Mapping[str, float],
    seed: int,
    units: Sequence[str] | None = None,
) -> list[str]:
    """Assign every file to a split, "train", "validation" or "test".

    A unit has one place: the one that the folder gave it, else that of the first of its classes, in which it goes where it
    brings the counts of its classes nearer to their shares.

    Args:
        labels: what is kept in proportion, one a file, as are `digests`, `given` and `units`.
        given: the split that the folder gave; "" where the file is to be divided.
        fractions: share of "validation" and "test" in the distinct pictures of a class; a missing one is 0.
        units: what is never divided, as `united` names it; pictures with the same bytes if not given.

    Raises:
        ValueError: fractions that cannot be.
    """
    units = digests if units is None else units
    place: dict[str, str] = {}
    for split, unit in sorted(zip(given, units, strict=True)):
        if split:
            place.setdefault(unit, split)
    first: dict[str, str] = {}
    free: dict[str, set[tuple[str, str]]] = defaultdict(set)  # by label, pairs of unit and digest
    for label, digest, split, unit in zip(labels, digests, given, units, strict=True):
        first[unit] = min(digest, first.get(unit, digest))
        if not split:
            free[label].add((unit, digest))
    division = _Division(free, fractions, place)
    for label in sorted(free):
        unplaced = [unit for unit in division.members[label] if unit not in place]
        for unit in sorted(unplaced, key=lambda unit: _rank(first[unit], seed)):
            division.put(unit, division.wanting(unit, label))
        division.fill(label, lambda unit: _rank(first[unit], seed))
    return [split or place[unit] for split, unit in zip(given, units, strict=True)]


class _Division:
    """Where units have gone so far, and what each class still lacks in each part.

    Args:
        free: by class, pairs of unit and digest that the folder does not divide.
        place: of units that have one.
    """

    def __init__(self, free: Mapping[str, set[tuple[str, str]]], fractions: Mapping[str, float], place: dict[str, str]):
        self.members = {label: {unit for unit, _ in pictures} for label, pictures in free.items()}
        self.sizes: dict[str, Counter[str]] = {}
        self.several: set[str] = set()  # units of more than one picture
        first: dict[str, str] = {}
        for label, pictures in free.items():
            one = Counter({label: 1})  # which most units share: a counter of its own would take each 0.3 kB
            for unit, digest in pictures:
                self.sizes[unit] = self.sizes[unit] + one if unit in self.sizes else one
                if first.setdefault(unit, digest) != digest:
                    self.several.add(unit)
        self.quota = {label: _quota(len(pictures), fractions) for label, pictures in free.items()}
        self.wanted = {label: [split for split in HELD_OUT_PARTS if quota[split]] for label, quota in self.quota.items()}
        self.place, self.given = place, set(place)
        self.train = Counter(label for unit in self.sizes for label in self.sizes[unit])  # units that are not held out
        for unit in self.given & self.sizes.keys():
            self._count(unit, place[unit])

    def put(self, unit: str, split: str) -> None:
        """Put a unit into a part."""
        self.place[unit] = split
        self._count(unit, split)

    def _count(self, unit: str, split: str, sign: int = 1) -> None:
        """Count a unit to a part."""
        for label, pictures in self.sizes[unit].items():
            self.quota[label][split] -= sign * pictures
            self.train[label] -= sign * (split != "train")

    def wanting(self, unit: str, label: str) -> str:
        """Find the first part that wants a unit of this class: train, if it would take too much, or train keep too little."""
        wanted = [split for split in HELD_OUT_PARTS if self.quota[label][split] > 0]
        if unit in self.several:  # a quota alone keeps train and shares right where each takes one
            wanted = [split for split in wanted if self._is_spare(unit) and self._brings_nearer(unit, split)]
        return wanted[0] if wanted else "train"

    def _brings_nearer(self, unit: str, split: str) -> bool:
        """Whether a part's counts of the unit's classes come nearer to what is wanted, in squares."""
        return sum(n * (2 * self.quota[label][split] - n) for label, n in self.sizes[unit].items()) > 0

    def _is_spare(self, unit: str) -> bool:
        """Whether train keeps enough units of each class without this one."""
        return all(self.train[label] > MIN_TRAIN_IMAGES for label in self.sizes[unit])

    def fill(self, label: str, rank: Callable[[str], str]) -> None:
        """Give each part that wants some of a class and has none its smallest unit that train can spare."""
        for split in self.wanted[label]:
            units = self.members[label]
            if any(self.place[unit] == split for unit in units) or units.isdisjoint(self.several):
                continue
            spare = [unit for unit in units - self.given if self.place[unit] == "train" and self._is_spare(unit)]
            if spare:
                unit = min(spare, key=lambda unit: (self.sizes[unit].total(), rank(unit)))
                self._count(unit, "train", -1)
                self.put(unit, split)


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


def check_counts(counts: Mapping[str, int], needed: int, root: object, what: str = "pictures") -> None:
    """Refuse a class with fewer than `needed` distinct usable pictures, or groups.

    Raises:
        UserError: naming the class with the fewest of those `counts`.
    """
    lacking = sorted((count, label) for label, count in counts.items() if count < needed)
    if lacking:
        count, label = lacking[0]
        others = f" (classes with too few: {len(lacking)})" if len(lacking) > 1 else ""
        raise UserError(
            f"Class {shown(label)} in {shown(root)} needs at least {needed} different {what} to train "
            f"and to test and has {count}{others}: add {what}, or remove the class."
        )


def leaks(splits: Sequence[str], units: Sequence[str]) -> dict[int, int]:
    """Find {file: the first of its unit in an earlier part} where a part before has some of it: train, validation, test.

    Args:
        splits: those that the folder gave, one a file; "" for none, which is no leak, for it goes where the others are.
        units: what must not be divided, such as the digests of files, of which copies have one.
    """
    order = ("train", *reversed(HELD_OUT_PARTS))
    first: dict[str, tuple[int, int]] = {}
    for index, (part, unit) in enumerate(zip(splits, units, strict=True)):
        if part:
            first[unit] = min(first.get(unit, (len(order), index)), (order.index(part), index))
    return {
        index: first[unit][1]
        for index, (part, unit) in enumerate(zip(splits, units, strict=True))
        if part and order.index(part) > first[unit][0]
    }
