"""Differences of measures between two classifiers on the same pictures: intervals and p-values by drawing.

Every measure here is made of sums over pictures, class by class; so a draw of pictures, or of groups of them, is a product of
matrices. What is drawn are whole groups, for pictures of a group do not vary independently of each other.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, hstack

from zoo.progress import Progress

DRAWS = 2_000
SWAPS = 9_999
# Numbers in memory at once.
BATCH = 4_000_000
# Batches from which on it takes seconds.
MANY = 10


@dataclass(frozen=True)
class Sums:
    """What is added up over pictures, each with its weight; the first axis is that of draws.

    Args:
        correct: `(draws,)`, pictures of which all labels are right.
        images: `(draws,)`, all pictures.
        right: `(draws, classes)`, pictures of a class that were taken for it.
        actual: `(draws, classes)`, pictures of a class.
        taken: `(draws, classes)`, pictures that were taken for it.
    """

    correct: np.ndarray
    images: np.ndarray
    right: np.ndarray
    actual: np.ndarray
    taken: np.ndarray


Measure = Callable[[Sums], np.ndarray]


def accuracy(sums: Sums) -> np.ndarray:
    """Compute the share of pictures of which everything is right, `(draws,)`."""
    return sums.correct / sums.images


def balanced_accuracy(sums: Sums) -> np.ndarray:
    """Compute the mean over the classes that a draw has of the share that was found, `(draws,)`."""
    return _mean(sums.right, sums.actual)


def macro_f1(sums: Sums) -> np.ndarray:
    """Compute the mean F1 over the classes that a draw has, or that were predicted in it, `(draws,)`."""
    return _mean(2 * sums.right, sums.actual + sums.taken)


def macro_f1_of_labels(sums: Sums) -> np.ndarray:
    """Compute the mean F1 over all classes, 0 for those of which there is nothing, `(draws,)`."""
    return _shares(2 * sums.right, sums.actual + sums.taken).mean(axis=1)


def micro_f1(sums: Sums) -> np.ndarray:
    """Compute F1 over the labels of all classes together, `(draws,)`."""
    found, total = 2 * sums.right.sum(axis=1), (sums.actual + sums.taken).sum(axis=1)
    return _shares(found, total)


MEASURES: Mapping[str, Measure] = {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}
LABEL_MEASURES: Mapping[str, Measure] = {"macro_f1": macro_f1_of_labels, "micro_f1": micro_f1, "accuracy": accuracy}


def _shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide; 0 by nothing."""
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def _mean(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Average the shares of the classes of which there is anything."""
    return _shares(part, whole).sum(axis=1) / np.maximum((whole > 0).sum(axis=1), 1)


class Pair:
    """The answers of two classifiers to the same pictures, added up by group.

    Args:
        truth: whether a picture is of a class, `(images, classes)`, sparse, 0 and 1.
        first: whether the first classifier says so, of the same shape; `second` likewise.
        groups: numbers of the pictures' groups, `(images,)`, from 0 without gaps.
        weights: `(images,)`, how much each picture counts.
    """

    def __init__(self, truth: csr_array, first: csr_array, second: csr_array, groups: np.ndarray, weights: np.ndarray) -> None:
        images = len(groups)
        member = csr_array((weights, (groups, np.arange(images))), shape=(int(groups.max()) + 1, images))
        self._classes = truth.shape[1]
        self._first, self._second = (csr_array(member @ summands(truth, guess)) for guess in (first, second))
        self.groups = member.shape[0]

    def values(self, measure: Measure) -> tuple[float, float]:
        """Compute a measure of both classifiers, without drawing."""
        ones = np.ones((1, self.groups))
        first, second = (measure(self._sums(ones, part))[0] for part in (self._first, self._second))
        return float(first), float(second)

    def intervals(self, measures: Mapping[str, Measure]) -> dict[str, tuple[float, float] | None]:
        """Compute 95 % intervals of differences, the second's measures less the first's, from DRAWS draws of the groups.

        The quantiles are moved outwards as Student's t is wider than the normal distribution (Hesterberg 2015,
        arXiv:1411.5279, section 5.3): plain ones are too narrow for few groups.

        Returns:
            None for a measure of which no draw differs from another: there is nothing to see an interval by.
        """
        if self.groups < 2:
            return dict.fromkeys(measures)
        found: dict[str, list[np.ndarray]] = {name: [] for name in measures}
        for counts in drawn_counts(self.groups):
            first, second = self._sums(counts, self._first), self._sums(counts, self._second)
            for name, measure in measures.items():
                found[name].append(measure(second) - measure(first))
        return {name: _edges(np.concatenate(parts), self.groups) for name, parts in found.items()}

    def p_value(self, measure: Measure) -> float:
        """Compute how often the difference is as large as it is if the answers to each group are swapped by chance."""
        change = self._second - self._first
        differing = np.flatnonzero(abs(change).sum(axis=1))
        if not len(differing):
            return 1.0
        ones, change, reached = np.ones((1, self.groups)), change[differing], 0
        base = [np.asarray(ones @ part) for part in (self._first, self._second)]
        first, second = self.values(measure)
        observed = abs(second - first)
        for swaps in _swaps(len(differing), self._first.shape[1]):
            moved = np.asarray((change.T @ swaps.T).T)
            drawn = measure(split(base[1] - moved, self._classes)) - measure(split(base[0] + moved, self._classes))
            reached += int((np.abs(drawn) >= observed - 1e-12).sum())
        return (1 + reached) / (1 + SWAPS)

    def _sums(self, counts: np.ndarray, part: csr_array) -> Sums:
        """Add up drawn groups: `counts` says how often each was drawn, `(draws, groups)`."""
        return split(np.asarray((part.T @ counts.T).T), self._classes)


def interval_of_mean(sums: np.ndarray, sizes: np.ndarray) -> tuple[float, float] | None:
    """Compute the 95 % interval of a mean over pictures, from DRAWS draws of their groups, as `Pair.intervals` does.

    Args:
        sums: `(groups,)`, the sum over each group's pictures; `sizes` how much these count.
    """
    if len(sums) < 2:
        return None
    means = [(counts @ sums) / (counts @ sizes) for counts in drawn_counts(len(sums))]
    return _edges(np.concatenate(means), len(sums))


def _edges(drawn: np.ndarray, groups: int) -> tuple[float, float] | None:
    """Find the ends of an interval from drawn values; None if none differs from another."""
    tail = expanded_tail(groups)
    low, high = (float(edge) for edge in np.quantile(drawn, (tail, 1 - tail)))
    return (low, high) if high - low > 1e-12 else None


def split(rows: np.ndarray, classes: int) -> Sums:
    """Take rows of sums `(draws, columns)` apart, whose columns are those of `summands`."""
    return Sums(rows[:, 0], rows[:, 1], *np.split(rows[:, 2:], (classes, 2 * classes), axis=1))


def summands(truth: csr_array, guess: csr_array) -> csr_array:
    """Put side by side what is added up of each picture, in the order of the fields of `Sums`."""
    correct = abs(truth - guess).sum(axis=1) == 0
    return hstack(
        [csr_array(correct[:, None].astype(float)), csr_array(np.ones((len(correct), 1))), truth * guess, truth, guess]
    )


def drawn_counts(groups: int) -> Iterator[np.ndarray]:
    """Draw groups with replacement, DRAWS times: how often each was drawn, `(draws, groups)`."""
    generator = np.random.default_rng(0)
    for draws in _batches("intervals", DRAWS, groups):
        drawn = generator.integers(0, groups, (draws, groups)) + groups * np.arange(draws)[:, None]
        yield np.bincount(drawn.ravel(), minlength=draws * groups).reshape(draws, groups).astype(float)


def _swaps(groups: int, columns: int) -> Iterator[np.ndarray]:
    """Draw which groups' answers are swapped, SWAPS times: 0 and 1, `(draws, groups)`."""
    generator = np.random.default_rng(0)
    for draws in _batches("p-value", SWAPS, max(groups, columns)):
        yield generator.integers(0, 2, (draws, groups)).astype(float)


def _batches(what: str, total: int, numbers: int) -> Iterator[int]:
    """Divide draws of so many numbers each into batches that fit the memory; show the progress where there are many."""
    size, left = max(1, BATCH // numbers), total
    with Progress(what, total, "draws") if total > MANY * size else contextlib.nullcontext() as progress:
        while left:
            yield min(left, size)
            if progress:
                progress.advance(min(left, size))
            left -= min(left, size)


def expanded_tail(groups: int) -> float:
    """Compute the quantile in place of 0.025 for so many groups."""
    from scipy.stats import norm, t

    return float(norm.cdf(math.sqrt(groups / (groups - 1)) * t.ppf(0.025, groups - 1)))
