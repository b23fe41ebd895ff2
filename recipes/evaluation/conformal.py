"""Sets of classes that hold the right one as often as was asked for: split conformal prediction.

A score says how strange a class would be for a picture. The threshold is the score that the asked share of pictures with known
labels stays below; a new picture's set holds the classes whose score does. If new pictures are drawn as those were, the right
class is in the set with at least the asked probability, whatever the network: Vovk et al. 2005, "Algorithmic Learning in a
Random World"; here with one of three scores.

- `lac`: one minus the class's probability. The smallest sets on average (Sadinle, Lei, Wasserman 2019, arXiv:1609.00451).
- `aps`: the sum of the probabilities down to the class's. Sets grow where a picture is hard (Romano, Sesia, Candès 2020,
  arXiv:2006.02544).
- `raps`: the same, and a fine for each class behind the first few, so that no set has a long tail (Angelopoulos et al. 2021,
  arXiv:2009.14193).

Large classes have thresholds of their own (Mondrian: Vovk et al. 2005, section 4.5), the others share one. Where a picture has
any number of labels, a set holds at least the asked share of them on average: conformal risk control (Angelopoulos et al.
2022, arXiv:2208.02814).
"""

import math

import numpy as np

SCORES = ("lac", "aps", "raps")
# Of `raps`: how many classes are free, and the fine for each behind them; Angelopoulos et al.'s, from 1,000 classes.
FREE_CLASSES = 5
FINE = 0.01
# From so many pictures a class has a threshold of its own. With n of them what it covers varies with a standard deviation of
# about √(coverage · (1 − coverage) / n): 3 points at 90 %.
MIN_CLASS = 100


def class_scores(probabilities: np.ndarray, score: str = "lac") -> np.ndarray:
    """Score every class of every picture, `(images, classes)`, the higher the stranger.

    Args:
        probabilities: `(images, classes)`.
        score: one of `SCORES`.
    """
    if score == "lac":
        return 1 - probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    sums = np.take_along_axis(np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1), rank, axis=1)
    return sums if score == "aps" else sums + FINE * np.maximum(0, rank + 1 - FREE_CLASSES)


def threshold(scores: np.ndarray, coverage: float) -> float:
    """Find the score that a new picture's right class stays at or below with at least the asked probability.

    It is the ⌈(n + 1) · coverage⌉-th smallest of the scores `(n,)`; infinite, where these are too few to promise that.
    """
    place = max(1, math.ceil(round((len(scores) + 1) * coverage, 9)))
    return float(np.partition(scores, place - 1)[place - 1]) if place <= len(scores) else math.inf


def thresholds(scores: np.ndarray, labels: np.ndarray, classes: int, coverage: float) -> np.ndarray:
    """Find the threshold of each class `(classes,)`: its own, or the one that all small classes share.

    Args:
        scores: `(images,)`, of the right class.
        labels: `(images,)`, class numbers.
    """
    numbers = np.bincount(labels, minlength=classes)
    small = numbers < max(MIN_CLASS, needed(coverage))
    found = np.full(classes, math.inf)
    found[small] = threshold(scores[small[labels]], coverage)
    for label in np.flatnonzero(~small):
        found[label] = threshold(scores[labels == label], coverage)
    return found


def needed(coverage: float) -> float:
    """Count the pictures that the least threshold needs: with fewer, only sets of all classes keep the promise.

    It is infinite for what lies so near to 1 that floating-point numbers do not tell the two apart.
    """
    return math.ceil(round(coverage / (1 - coverage), 9)) if coverage < 1 else math.inf


def label_threshold(scores: list[np.ndarray], coverage: float) -> float:
    """Find the score below which, on average, at least the asked share of a picture's labels lies.

    Args:
        scores: of each picture those of its labels; a picture without any counts as one none of whose labels is missed.
    """
    count = len(scores)
    values = np.concatenate([np.sort(np.asarray(each, float)) for each in scores] or [np.array([])])
    shares = np.concatenate([np.full(len(each), 1 / len(each)) for each in scores if len(each)] or [np.array([])])
    order = np.argsort(values, kind="stable")
    values, missed = values[order], shares.sum() - np.cumsum(shares[order])  # missed if all up to here are in the set
    good = np.flatnonzero((missed + 1) / (count + 1) <= 1 - coverage + 1e-12)
    return float(values[good[0]]) if len(good) else math.inf


def covered(labels: np.ndarray, sets: np.ndarray) -> np.ndarray:
    """Say of each picture which share of its labels is in its set, `(images,)`: 0 or 1 where it has one.

    Args:
        labels: `(images,)`, or `(images, classes)`.
        sets: `(images, classes)`, booleans.
    """
    if labels.ndim == 1:
        return sets[np.arange(len(labels)), labels].astype(float)
    there = labels > 0.5
    return np.where(there.any(axis=1), (there & sets).sum(axis=1) / np.maximum(there.sum(axis=1), 1), 1.0)
