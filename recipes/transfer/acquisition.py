"""Which pictures to label next: those of which a head is least sure, and a head that has learnt from the labels so far.

How sure it is, the margin between the two likeliest classes says (Scheffer, Decomain, Wrobel 2001, "Active Hidden Markov
Models for Information Extraction"). Of pictures that are nearly the same, one comes in a batch: its label says what the others
are. On frozen features a head is solved in moments, so that the order can follow the labels. benchmarks/active_learning.py
compares this with random choice and with others; docs/label.md has the numbers.
"""

from dataclasses import dataclass

import numpy as np

from recipes.evaluation.tasks import Task
from recipes.transfer import logistic

# Of half the squared weights, relative to the mean loss, on standardised features: a strong one, so that the head is not surer
# than it should be. None is chosen by cross-validation, which takes a hundred times as long as this one fit.
PENALTY = 1e-1
# Of so many times the pictures of a batch, the least sure ones, a batch is chosen.
CHOICE = 5
# Pictures that are nearer to one another than this share of the usual distance are nearly the same.
NEAR = 0.5


@dataclass(frozen=True)
class QuickHead:
    """A linear head for a few labels: kernel `(features, classes)`, bias `(classes,)`, and what its outputs mean."""

    kernel: np.ndarray
    bias: np.ndarray
    task: Task

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Predict from features `(pictures, features)`: `(pictures, classes)`."""
        return self.task.probabilities(features @ self.kernel + self.bias)


def quick_head(features: np.ndarray, labels: np.ndarray, classes: int, task: Task) -> QuickHead:
    """Fit a head to labelled pictures, with a fixed penalty; a class that none of them shows has the probability 0.

    Args:
        features: `(pictures, features)`.
        labels: as the task takes them, `(pictures,)` or `(pictures, classes)`.
    """
    center, scale = logistic.standardization(features)
    there = np.unique(labels) if task.one_label else np.arange(classes)
    known = np.searchsorted(there, labels) if task.one_label else labels
    if len(there) == 1:
        return QuickHead(np.zeros((features.shape[1], classes), "float32"), _bias(np.zeros(1), there, classes), task)
    everything, views = np.ones((1, len(labels)), bool), ((features - center) / scale)[None]
    kernels, biases = logistic.solve(task, views, known, everything, np.array([PENALTY]), lambda: None)
    kernel = np.zeros((features.shape[1], classes), "float32")
    kernel[:, there] = kernels[0] / scale
    return QuickHead(kernel, _bias(biases[0] - center @ kernel[:, there], there, classes), task)


def _bias(known: np.ndarray, there: np.ndarray, classes: int) -> np.ndarray:
    """Spread the biases of the classes that are there over all: the others are impossible."""
    bias = np.full(classes, -1e9, "float32")
    bias[there] = known
    return bias


def margins(task: Task, probabilities: np.ndarray) -> np.ndarray:
    """Say how sure a head is of pictures `(pictures,)`, from probabilities `(pictures, classes)`: 0 is least, 1 most.

    Of one class a picture, the likeliest's lead over the second; of any number of labels, the lead of the doubtful one's
    answer, yes or no, over the other.
    """
    if not task.one_label:
        return np.abs(2 * probabilities - 1).min(axis=1)
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return first - second


def least_sure(sure: np.ndarray, features: np.ndarray, batch: int) -> np.ndarray:
    """Order all pictures for a person who labels: a batch of which no two are nearly the same, then the others.

    Either part begins with the least sure.

    Args:
        sure: `(pictures,)`, how sure a head is of each.
        features: `(pictures, features)`.
        batch: how many pictures are labelled before the next choice.
    """
    order = np.argsort(sure, kind="stable")
    candidates = order[: CHOICE * batch]
    if len(candidates) <= batch:
        return order
    distances = _distances(features[candidates])
    limit = NEAR * np.median(distances[np.triu_indices_from(distances, 1)])
    chosen: list[int] = []
    for i, near in enumerate(distances):
        if (near[chosen] > limit).all():
            chosen.append(i)
        if len(chosen) == batch:
            break
    first = candidates[chosen]
    return np.concatenate([first, order[~np.isin(order, first)]])


def _distances(features: np.ndarray) -> np.ndarray:
    """Measure the distance between each two of some pictures' features `(pictures, features)`: `(pictures, pictures)`."""
    squares = np.square(features, dtype="float64").sum(axis=1)
    products = features.astype("float64") @ features.T.astype("float64")
    return np.sqrt(np.maximum(squares[:, None] + squares - 2 * products, 0))
