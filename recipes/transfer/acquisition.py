"""Which pictures to label next: those of which a head is least sure, and a head that has learnt from the labels so far.

How sure it is, the margin between the two likeliest classes says (Scheffer, Decomain, Wrobel 2001, "Active Hidden Markov
Models for Information Extraction"). Of the least sure, no two that are alike come together, after Zhdanov 2019 ("Diverse
mini-batch Active Learning", arXiv:1901.05954). On frozen features a head is solved in moments, so that the order can
follow the labels. benchmarks/active_learning.py compares this with random choice and with others; docs/label.md has the
numbers.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from recipes.evaluation.tasks import Task
from recipes.transfer import logistic

# Of half the squared weights, relative to the mean loss, on standardised features: a strong one, so that the head is not surer
# than it should be. None is chosen by cross-validation, which takes a hundred times as long as this one fit.
PENALTY = 1e-1
# Of so many times the pictures of a batch, the least sure ones, a batch is chosen.
CHOICE = 5


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
    """Order all pictures for a person who labels: a batch of unlike ones, then the others, each the least sure first.

    The least sure are divided into as many groups of alike pictures as the batch has places, by k-means on features in which
    the less sure weigh more, and the one in the middle of each group is in the batch.

    Args:
        sure: `(pictures,)`, how sure a head is of each.
        features: `(pictures, features)`.
        batch: how many pictures are labelled before the next choice.
    """
    order = np.argsort(sure, kind="stable")
    candidates = order[: CHOICE * batch]
    if len(candidates) <= batch:
        return order
    from sklearn.cluster import KMeans  # not at the top: it takes half a second

    weights = sure.max() - sure[candidates] + 1e-6
    with warnings.catch_warnings(action="ignore"):  # copies may leave fewer groups than asked for
        groups = KMeans(batch, n_init=1, max_iter=30, random_state=0).fit(features[candidates], sample_weight=weights)
    distances = groups.transform(features[candidates])[np.arange(len(candidates)), groups.labels_]
    inside_each = [(groups.labels_ == group).nonzero()[0] for group in np.unique(groups.labels_)]
    chosen = candidates[np.sort([inside[distances[inside].argmin()] for inside in inside_each])]
    return np.concatenate([chosen, order[~np.isin(order, chosen)]])
