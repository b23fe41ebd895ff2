"""Pictures whose label is suspect: all others, in the feature space of a network, say something else.

Northcutt, Jiang, Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels" (arXiv:1911.00068): of each one
the probabilities of a classifier that was not fitted to it are compared with each class's own threshold, the mean probability
of that class over the pictures that carry its label (section 3.1, equation 2). A picture that passes the threshold of another
class is counted as one whose label is wrong. Suspects are ranked by the probability of their own label.

Two classifiers judge. One is the linear probe of `recipes.transfer.transferability`: all its left-out predictions, of groups,
too, follow from one decomposition, where a head solved for each fold takes a hundred times as long and, having more freedom,
fits wrong labels as well. Its penalty is one step above the one with the least error, for the same reason. The other is the
share of each class among the nearest pictures. How much each counts is chosen by the left-out log-loss: where classes have
several kinds of pictures, the neighbours are right more often, and the probe where pictures are few.

Features are brought to their square roots and to length 1 around their mean, so that a few large ones do not decide
(Perronnin, Sánchez, Mensink 2010, "Improving the Fisher Kernel for Large-Scale Image Classification", sections 3.1 and 3.2).
What each of this is worth: docs/results.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

NEIGHBORS = 20
# Of the nearest pictures, those that are named beside a suspect.
SHOWN_NEIGHBORS = 5
# Of the ridge regression, relative to the features' largest variance.
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
# Votes that every class has before there are any.
PRIOR_VOTES = 0.5
# Rows that are compared with all others at once, which bounds the memory.
BLOCK = 512
# Likenesses at once, which are sorted out in three times the memory.
BLOCK_NUMBERS = 1_000_000
SQUARED_ROWS = 4_096


@dataclass(frozen=True)
class Suspect:
    """A picture whose label may be wrong.

    Args:
        picture: its place in the features.
        label: the number of the class that it carries.
        likelier: the number of the class that is likelier.
        probability: of its label, by what was not fitted to the picture or its group.
        likelier_probability: of the likelier class.
        is_confident: whether confident learning counts it: another class passes its own threshold.
        neighbors: the nearest pictures outside its group, the nearest first.
    """

    picture: int
    label: int
    likelier: int
    probability: float
    likelier_probability: float
    is_confident: bool
    neighbors: tuple[int, ...]


def suspects(features: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> list[Suspect]:
    """Find the pictures that are likelier of another class, the most suspect first.

    Args:
        features: `(images, features)`, those before the classifier.
        labels: `(images,)`, class numbers from 0 on.
        groups: `(images,)`, numbers; pictures of one group never judge each other. Each alone, if not given.
    """
    units, groups = normalized(features), np.arange(len(labels)) if groups is None else groups
    near = nearest(units, groups, NEIGHBORS)
    probabilities = left_out(units, labels, groups, near)
    every = np.arange(len(labels))
    own, others = probabilities[every, labels], probabilities.copy()
    others[every, labels] = -1
    confident = (others >= thresholds(probabilities, labels)).any(axis=1)
    chosen = np.flatnonzero(own < others.max(axis=1))
    return [
        Suspect(
            int(index),
            int(labels[index]),
            int(others[index].argmax()),
            float(own[index]),
            float(others[index].max()),
            bool(confident[index]),
            tuple(int(other) for other in near[index, :SHOWN_NEIGHBORS] if other >= 0),
        )
        for index in chosen[np.argsort(own[chosen], kind="stable")]
    ]


def normalized(features: np.ndarray) -> np.ndarray:
    """Bring features `(images, features)` to their square roots, with their signs, and these to length 1 around their mean."""
    roots = rooted(features)
    centered = roots - roots.mean(axis=0, dtype="float64").astype("float32")
    return centered / np.maximum(np.linalg.norm(centered, axis=1, keepdims=True), 1e-12)


def rooted(features: np.ndarray) -> np.ndarray:
    """Bring features to their square roots, with their signs, float32."""
    values = np.asarray(features, "float32")
    return np.sign(values) * np.sqrt(np.abs(values))


def thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Average each class's probability over the pictures that carry its label, `(classes,)`; 1 for a class without any."""
    found = [probabilities[labels == label, label] for label in range(probabilities.shape[1])]
    return np.array([values.mean() if len(values) else 1.0 for values in found])


def left_out(units: np.ndarray, labels: np.ndarray, groups: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Judge every picture by what was not fitted to it or its group: probabilities `(images, classes)`.

    Args:
        units: features of length 1, `(images, features)`.
        labels: as in `suspects`, as are `groups`.
        near: the nearest pictures, as `nearest` gives them.
    """
    truth = np.eye(labels.max() + 1)[labels]
    votes = np.full(truth.shape, PRIOR_VOTES)
    for others in near.T:  # one neighbour of every picture at a time, which bounds the memory
        votes += np.where(others[:, None] >= 0, truth[others], 0)
    return combined([regressed(units, truth, groups), np.log(votes)], labels)


def regressed(units: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Predict `truth` `(images, classes)` by ridge regression on the pictures outside each one's group.

    With the hat matrix H, the errors of a group that is left out are (I − H)⁻¹ times those of the fit, H and these being the
    group's own.
    """
    centered = units.astype("float64")
    centered -= units.mean(axis=0, dtype="float64")
    images, left, variances = len(units), *_principal(centered)
    del centered
    largest, along, members = variances.max(initial=0), left.T @ truth, _members(groups)

    def diagonal(shares: np.ndarray) -> np.ndarray:
        """Compute the diagonal of the hat matrix but for the mean's part, block by block."""
        return np.concatenate([np.square(left[i : i + SQUARED_ROWS]) @ shares for i in range(0, images, SQUARED_ROWS)])

    def predicted(penalty: float) -> np.ndarray:
        """Predict with a penalty."""
        shares = variances / (variances + penalty * largest)
        errors = truth - truth.mean(axis=0) - left @ (shares[:, None] * along)
        errors /= np.maximum(1 - 1 / images - diagonal(shares), 1e-6)[:, None]
        for group in members:
            hat = 1 / images + (left[group] * shares) @ left[group].T
            fitted = errors[group] * np.maximum(1 - np.diag(hat), 1e-6)[:, None]
            errors[group] = np.linalg.lstsq(np.eye(len(group)) - hat, fitted, rcond=None)[0]
        return truth - errors

    return _one_step_stronger(predicted, truth)


def _principal(centered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the left singular vectors of features `(images, features)`, in columns, and their squared values, but for zeros."""
    if len(centered) < centered.shape[1]:
        variances, left = np.linalg.eigh(centered @ centered.T)
        kept = variances > 1e-9 * variances[-1]
        return left[:, kept], variances[kept]
    variances, axes = np.linalg.eigh(centered.T @ centered)
    kept = variances > 1e-9 * variances[-1]
    left = centered @ axes[:, kept]
    left /= np.sqrt(variances[kept])
    return left, variances[kept]


def _one_step_stronger(predicted: Callable[[float], np.ndarray], truth: np.ndarray) -> np.ndarray:
    """Predict with the penalty that is next above the one with the least error."""
    found = [predicted(penalty) for penalty in PENALTIES]
    best = int(np.argmin([np.square(truth - one).sum() for one in found]))
    return found[max(best - 1, 0)]


def _members(groups: np.ndarray) -> list[np.ndarray]:
    """List the pictures of each group that has several."""
    order = np.argsort(groups, kind="stable")
    edges = np.flatnonzero(np.diff(groups[order])) + 1
    return [group for group in np.split(order, edges) if len(group) > 1]


def combined(judges: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Make probabilities `(images, classes)` of the scores of several: the softmax of their sum, weighted.

    The weights, none below 0, are those with the least log-loss of the labels, a convex problem: stacking (Wolpert 1992).
    """
    from scipy.optimize import minimize

    every = np.arange(len(labels))
    beyond = np.stack([scores - scores[every, labels][:, None] for scores in judges]).astype("float32")

    def guessed(weights: np.ndarray) -> np.ndarray:
        """Compute the probabilities."""
        logits = np.tensordot(weights.astype("float32"), beyond, 1)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        """Compute the mean log-loss, and its gradient."""
        guess = guessed(weights)
        slope = [float((guess * scores).sum(axis=1).mean(dtype="float64")) for scores in beyond]
        return -float(np.log(np.maximum(guess[every, labels], 1e-30)).mean(dtype="float64")), np.array(slope)

    return guessed(minimize(loss, np.ones(len(judges)), jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(judges)).x)


def nearest(units: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Find the nearest pictures outside each one's group, block by block.

    Args:
        units: features of length 1, `(images, features)`.
        groups: `(images,)`.

    Returns:
        Places `(images, count)`, the nearest first; −1 where there are no more.
    """
    found = np.full((len(units), count), -1)
    some = min(count, len(units))
    block = max(1, min(BLOCK, BLOCK_NUMBERS // max(1, len(units))))
    for start in range(0, len(units), block):
        rows = slice(start, start + block)
        likeness = units[rows] @ units.T
        likeness[groups[rows, None] == groups] = -np.inf
        best = np.argpartition(-likeness, some - 1, axis=1)[:, :some]
        values = np.take_along_axis(likeness, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        there = np.isfinite(np.take_along_axis(values, order, axis=1))
        found[rows, :some] = np.where(there, np.take_along_axis(best, order, axis=1), -1)
    return found
