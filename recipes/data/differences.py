"""What gives a class or a part away that a network should not see: the size of a picture, or the camera that took it.

What is known of a picture besides its pixels is looked up among the others: which class, or part, do most of those have that
share it? How often that is right, class by class, is a number that a permutation test compares with chance: the same with
the classes shuffled, PERMUTATIONS times. A network that does no better than the look-up may have learnt nothing else.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recipes.console import percent

PERMUTATIONS = 199
MAX_P = 0.01
# Below, more pictures would show a difference that does no harm. Of the way from chance to always right.
MIN_EFFECT = 0.2
# Sizes are told apart by so many classes of each side, if there are more.
MAX_SIZES = 8
MIN_CLASS = 20


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of a picture besides its pixels; part and camera are "" where nobody says."""

    label: str
    part: str
    width: int
    height: int
    camera: str = ""


@dataclass(frozen=True)
class Difference:
    """How well `source` ("size", "camera" or "class") tells `target` ("class" or "part").

    Args:
        accuracy: the mean over classes, or parts, of the share that the look-up gets right; each picture looked up among the
            others.
        chance: its mean over the permutations.
        p: the share of permutations that do as well, the one that was found among them.
        values: what stands out most, (target, source, share of the target's pictures that have it).
    """

    source: str
    target: str
    accuracy: float
    chance: float
    p: float
    values: tuple[tuple[str, str, float], ...]

    @property
    def sentence(self) -> str:
        """The finding in words."""
        shown = "; ".join(f"{percent(share, 0)} of {target} have {source}" for target, source, share in self.values)
        known = "label" if self.source == "class" else self.source
        return (
            f"The {known} alone tells the {self.target}: {percent(self.accuracy, 0)} right, where "
            f"{percent(self.chance, 0)} are chance (p = {self.p:.3f}; {shown})."
        )


def small_classes(pictures: Sequence[Described]) -> dict[str, int]:
    """Count the training pictures of the classes that have fewer than MIN_CLASS, the smallest first."""
    counts: dict[str, int] = {}
    for one in pictures:
        counts[one.label] = counts.get(one.label, 0) + (one.part in ("", "train"))
    return {label: count for label, count in sorted(counts.items(), key=lambda item: (item[1], item[0])) if count < MIN_CLASS}


def differences(pictures: Sequence[Described], seed: int = 0) -> list[Difference]:
    """Find what gives classes away, and what tells parts apart, the plainest first.

    Parts that are equally drawn differ in nothing. Where the source names no parts, there is nothing to compare.
    """
    labels, parts, cameras = ([getattr(one, name) for one in pictures] for name in ("label", "part", "camera"))
    sizes = sizes_of(pictures)
    questions = [("size", sizes, "class", labels), ("camera", cameras, "class", labels)]
    questions += [("size", sizes, "part", parts), ("camera", cameras, "part", parts), ("class", labels, "part", parts)]
    found = [told for question in questions if (told := tells(*question, seed))]
    return sorted(found, key=lambda difference: difference.chance - difference.accuracy)


def sizes_of(pictures: Sequence[Described]) -> list[str]:
    """Sort pictures by width and height: as they are, or in ranges, where there are many different ones."""
    columns = []
    for name in ("width", "height"):
        values = np.array([getattr(one, name) for one in pictures])
        if len(np.unique(values)) > MAX_SIZES:
            edges = np.unique(np.quantile(values, np.linspace(0, 1, MAX_SIZES + 1)[1:-1], method="nearest"))
            bins = np.searchsorted(edges, values, side="right")
            ranges = {number: (values[bins == number].min(), values[bins == number].max()) for number in np.unique(bins)}
            columns.append([f"{low}" if low == high else f"{low} to {high}" for low, high in (ranges[i] for i in bins)])
        else:
            columns.append([str(value) for value in values])
    return [f"{width} x {height} px" for width, height in zip(*columns, strict=True)]


def tells(source: str, keys: Sequence[Hashable], target: str, values: Sequence[str], seed: int = 0) -> Difference | None:
    """Ask whether `keys` tell `values`, one of either a picture; None where they do not, or there is nothing to tell."""
    names, truth = np.unique(np.array(values, object).astype(str), return_inverse=True)
    known, key = np.unique(np.array(keys, object).astype(str), return_inverse=True)
    if len(names) < 2 or len(known) < 2:
        return None
    accuracy = looked_up(key, truth)
    generator = np.random.default_rng(seed)
    shuffled = np.array([looked_up(key, generator.permutation(truth)) for _ in range(PERMUTATIONS)])
    chance, p = float(shuffled.mean()), float((1 + (shuffled >= accuracy).sum()) / (PERMUTATIONS + 1))
    if p > MAX_P or accuracy - chance < MIN_EFFECT * (1 - chance):
        return None
    return Difference(source, target, accuracy, chance, p, tuple(_telling(known, key, names, truth)))


def looked_up(key: np.ndarray, truth: np.ndarray) -> float:
    """Look up each picture's class `(pictures,)` among the others with its key `(pictures,)`.

    A class counts by the share of its pictures, so that a large one is not always the answer.

    Returns:
        The share that is right, averaged over the classes.
    """
    counts, sizes = np.zeros((key.max() + 1, truth.max() + 1)), np.bincount(truth)
    np.add.at(counts, (key, truth), 1)
    shares = counts / sizes
    first = shares.argmax(axis=1)[:, None]
    second = np.partition(shares, -2, axis=1)[:, -2, None]
    others = np.where(np.arange(len(sizes)) == first, second, np.take_along_axis(shares, first, axis=1))
    own = (counts - 1) / np.maximum(sizes - 1, 1)  # one picture does not count for itself
    right = (own > others) + (own == others) / 2
    return float(((counts * right).sum(axis=0) / sizes).mean())


def _telling(known: np.ndarray, key: np.ndarray, names: np.ndarray, truth: np.ndarray) -> Iterator[tuple[str, str, float]]:
    """Name the two keys whose shares differ most between a class and the mean of all."""
    counts = np.zeros((len(known), len(names)))
    np.add.at(counts, (key, truth), 1)
    shares = counts / counts.sum(axis=0)
    excess = shares - shares.mean(axis=1, keepdims=True)
    for place in np.argsort(-excess, axis=None)[:2]:
        row, column = np.unravel_index(place, excess.shape)
        yield str(names[column]), str(known[row]) or "none", float(shares[row, column])
