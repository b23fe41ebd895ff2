"""Pictures whose label is suspect: the others, in the feature space of a network, say something else.

Northcutt, Jiang, Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels" (arXiv:1911.00068): of each one
the probabilities of a classifier that was not fitted to it are compared with the class's own threshold, the mean probability
of that class over the pictures that carry its label (section 3.1, equation 2). A picture that passes the threshold of a class
other than its own is counted as one of those whose label is wrong.

The classifier is the mean of two, for their mistakes differ (docs/results.md): the solved head of `recipes.transfer.logistic`,
fitted without the fold, and the share of each class among the NEIGHBORS nearest pictures outside the fold. All features are
brought to length 1 around their mean. Pictures of a group are in one fold, so that no copy vouches for another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recipes.evaluation.tasks import MULTI_CLASS
from recipes.transfer import logistic

NEIGHBORS = 20
# Of the nearest pictures, those that are named beside a suspect.
SHOWN_NEIGHBORS = 5
FOLDS = 5
# Stronger than a head for clean labels would choose: a weak penalty fits the wrong ones, too.
PENALTIES = np.logspace(0, -2, 5)
# Rows that are compared with all others at once, which bounds the memory.
BLOCK = 512


@dataclass(frozen=True)
class Suspect:
    """A picture whose label may be wrong.

    Args:
        picture: its place in the features.
        label: the number of the class that it carries.
        likelier: the number of the class that is likelier.
        probability: of its label, by a classifier that has not seen the picture.
        likelier_probability: of the likelier class.
        is_confident: whether confident learning counts it: the likelier class passes its own threshold.
        neighbors: the nearest pictures, the nearest first.
    """

    picture: int
    label: int
    likelier: int
    probability: float
    likelier_probability: float
    is_confident: bool
    neighbors: tuple[int, ...]


def suspects(
    features: np.ndarray, labels: np.ndarray, seed: int, groups: np.ndarray | None = None
) -> tuple[list[Suspect], np.ndarray]:
    """Find the pictures that are likelier of another class, the most suspect first.

    Args:
        features: `(images, features)`, those before the classifier.
        labels: `(images,)`, class numbers 0 … classes − 1, each at least twice.
        groups: `(images,)`; pictures of one group never judge each other.

    Returns:
        The suspects, and the probabilities `(images, classes)` of every picture, each without its fold.
    """
    units = normalized(features)
    probabilities = out_of_fold(units, labels, seed, groups)
    every = np.arange(len(labels))
    own, others = probabilities[every, labels], probabilities.copy()
    others[every, labels] = -1
    likelier = others.argmax(axis=1)
    confident = (probabilities >= thresholds(probabilities, labels)) & (others >= 0)
    chosen = np.flatnonzero(own < others.max(axis=1))
    chosen = chosen[np.argsort(own[chosen], kind="stable")]
    near = nearest(units[chosen], units, SHOWN_NEIGHBORS + 1)
    found = [
        Suspect(
            int(index),
            int(labels[index]),
            int(likelier[index]),
            float(own[index]),
            float(others[index].max()),
            bool(confident[index].any()),
            tuple(int(other) for other in row if other != index)[:SHOWN_NEIGHBORS],
        )
        for index, row in zip(chosen, near, strict=True)
    ]
    return found, probabilities


def normalized(features: np.ndarray) -> np.ndarray:
    """Bring features `(images, features)` to length 1 around their mean."""
    centered = np.asarray(features, "float32") - features.mean(axis=0, dtype="float64").astype("float32")
    return centered / np.maximum(np.linalg.norm(centered, axis=1, keepdims=True), 1e-12)


def thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Average each class's probability over the pictures that carry its label, `(classes,)`."""
    return np.array([probabilities[labels == label, label].mean() for label in range(probabilities.shape[1])])


def out_of_fold(units: np.ndarray, labels: np.ndarray, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Judge every picture without its fold, by head and neighbours: probabilities `(images, classes)`.

    Args:
        units: features of length 1, `(images, features)`.
        labels: as in `suspects`, as are `groups`.
    """
    folds = folds_of(labels, seed, groups)
    classes, every = int(labels.max()) + 1, np.arange(len(labels))
    by_head = np.zeros((len(PENALTIES), len(labels), classes), "float32")
    by_neighbors = np.zeros((len(labels), classes), "float32")
    scale = float(units.std()) or 1.0
    for train, test in folds:
        used = np.zeros((len(PENALTIES), len(labels)), bool)
        used[:, train] = True
        kernels, biases = logistic.solve(MULTI_CLASS, units[None] / scale, labels, used, PENALTIES, lambda: None)
        for row, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
            by_head[row, test] = MULTI_CLASS.probabilities(units[test] / scale @ kernel + bias)
        near = train[nearest(units[test], units[train], min(NEIGHBORS, len(train)))]
        by_neighbors[test] = np.eye(classes, dtype="float32")[labels[near]].mean(axis=1)
    loss = [-np.log(np.maximum(guess[every, labels], 1e-12)).mean() for guess in by_head]
    return (by_head[int(np.argmin(loss))] + by_neighbors) / 2


def folds_of(labels: np.ndarray, seed: int, groups: np.ndarray | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divide pictures into (train, test) indices, classes in proportion and groups whole."""
    if groups is None:
        return MULTI_CLASS.folds(labels, FOLDS, seed)
    from sklearn.model_selection import StratifiedGroupKFold

    count = max(2, min(FOLDS, int(np.bincount(labels).min()), len(np.unique(groups))))
    return list(StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(labels, labels, groups))


def nearest(queries: np.ndarray, units: np.ndarray, count: int) -> np.ndarray:
    """Find the nearest of `units` `(images, features)` to each query, block by block: places `(queries, count)`."""
    found: list[Sequence[np.ndarray]] = []
    for start in range(0, len(queries), BLOCK):
        likeness = queries[start : start + BLOCK] @ units.T
        best = np.argpartition(-likeness, min(count, likeness.shape[1]) - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(likeness, best, axis=1), axis=1, kind="stable")
        found.append(np.take_along_axis(best, order, axis=1))
    return np.concatenate(found) if found else np.zeros((0, count), int)
