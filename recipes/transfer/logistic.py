"""The head of a frozen backbone: logistic regression with an L2 penalty, on features that are already there.

Kornblith, Shlens, Le 2019 ("Do Better ImageNet Models Transfer Better?", arXiv:1805.08974, section 4.1) make this the
standard of a linear probe: a convex problem, solved to its end by L-BFGS, with the penalty chosen among many. Here it is
chosen by cross-validation inside the training part, as is whether mirrored pictures help. All penalties and folds are
solved at once: they share the features, and one product with a wide matrix costs little more than one with a narrow one.

Labels are class numbers `(images,)`; or, where a picture has any number of labels, a matrix of 0 and 1 `(images, classes)`:
then each class is a logistic regression of its own, with the same penalty. Pictures may have weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

PENALTIES = np.logspace(1, -5, 13)  # of half the squared weights, relative to the mean loss
FOLDS, FEW = 5, 2_000  # above that many images one fold is precise enough, and five are slow
TOLERANCE, ITERATIONS, MEMORY = 1e-4, 300, 10  # L-BFGS: largest gradient, steps, pairs remembered
STEPS = 3 * ITERATIONS  # of both kinds of views and of the final fit
ELEMENTS = 30_000_000  # numbers in one array of predictions: bounds the memory


@dataclass(frozen=True)
class Head:
    """A dense layer with softmax, or sigmoid for a matrix of labels, and how it was chosen."""

    kernel: np.ndarray  # (features, classes)
    bias: np.ndarray  # (classes,)
    penalty: float
    decay: float  # the penalty as it acts on `kernel`: the features were scaled
    mirrored: bool
    folds: int
    path: list[dict]  # penalty, mirrored, cross-validated loss and accuracy


def fit(
    views: np.ndarray,
    mirrored: Sequence[bool],
    labels: np.ndarray,
    seed: int,
    choose_mirror: bool = True,
    tick: Callable[[], None] = lambda: None,
    weights: np.ndarray | None = None,
) -> Head:
    """Choose penalty and views by cross-validated log-loss, then fit on everything.

    Args:
        views: `(views, images, features)`; the first view is the one that evaluation sees.
        mirrored: which views are mirror images.
        choose_mirror: whether to try without them, and leave them out if that is better.
        labels: `(images,)`, 0 … classes − 1, each at least twice; or `(images, classes)`, 0 and 1.
        tick: called after each step of the optimiser.
        weights: `(images,)`, how much each picture counts, also in the cross-validation; the same if not given.
    """
    center, scale = standard(views[0])
    views, mirrored = (views - center) / scale, np.asarray(mirrored)
    weights = np.ones(len(labels)) if weights is None else weights
    folds = _folds(labels, seed)
    path = []
    if choose_mirror or not mirrored.any():
        path += _path(views[~mirrored], labels, folds, tick, mirrored=False, weights=weights)
    if mirrored.any():
        path += _path(views, labels, folds, tick, mirrored=True, weights=weights)
    best = min(path, key=lambda row: row["loss"])
    chosen = views if best["mirrored"] else views[~mirrored]
    everything = np.ones((1, len(labels)), bool)
    kernel, bias = _solve(chosen, labels, everything, np.array([best["penalty"]]), tick, weights)
    kernel, bias = kernel[0] / scale, bias[0] - center @ kernel[0] / scale
    return Head(kernel, bias, best["penalty"], best["penalty"] * float(scale) ** 2, best["mirrored"], len(folds), path)


def standard(features: np.ndarray) -> tuple[np.ndarray, float]:
    """What is taken off the features, and what they are divided by: one scale, so that a penalty means the same everywhere."""
    return features.mean(axis=0), float(features.std()) or 1.0


def balanced(labels: np.ndarray, classes: int) -> np.ndarray:
    """`(images,)`, how much each picture counts where all of a class together count as much as all of any other."""
    return (len(labels) / classes / np.bincount(labels, minlength=classes)[labels]).astype("float32")


def _folds(labels: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    if labels.ndim == 1:
        splits = min(FOLDS, int(np.bincount(labels).min()))
        folds = list(StratifiedKFold(splits, shuffle=True, random_state=seed).split(labels, labels))
    else:
        folds = list(KFold(min(FOLDS, len(labels)), shuffle=True, random_state=seed).split(labels))
    return folds[:1] if len(labels) > FEW else folds


def _path(views: np.ndarray, labels: np.ndarray, folds, tick, mirrored: bool, weights: np.ndarray) -> list[dict]:
    """Cross-validated loss and accuracy of the first view for every penalty."""
    scores = np.zeros((len(PENALTIES), len(folds), 2))
    problems = [(i, j) for j in range(len(folds)) for i in range(len(PENALTIES))]
    width = max(1, ELEMENTS // (views.shape[0] * views.shape[1] * _matrix(labels).shape[1]))
    for start in range(0, len(problems), width):
        part = problems[start : start + width]
        used = np.zeros((len(part), len(labels)), bool)
        for row, (_, j) in enumerate(part):
            used[row, folds[j][0]] = True
        kernels, biases = _solve(views, labels, used, PENALTIES[[i for i, _ in part]], tick, weights)
        for (i, j), kernel, bias in zip(part, kernels, biases, strict=True):
            held_out = folds[j][1]
            guess = _activation(labels)(views[0, held_out] @ kernel + bias)
            scores[i, j] = _score(guess, labels[held_out], weights[held_out])
    return [
        {"penalty": float(penalty), "mirrored": mirrored, "loss": float(loss), "accuracy": float(accuracy)}
        for penalty, (loss, accuracy) in zip(PENALTIES, scores.mean(axis=1), strict=True)
    ]


def _score(guess: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Weighted means over the pictures: log-loss and accuracy; with a matrix, those of all its labels."""
    truth = _matrix(labels)
    loss = -(truth * np.log(np.maximum(guess, 1e-12))).sum(axis=1)
    right = guess.argmax(axis=1) == labels if labels.ndim == 1 else ((guess > 0.5) == truth).mean(axis=1)
    if labels.ndim == 2:
        loss -= ((1 - truth) * np.log(np.maximum(1 - guess, 1e-12))).sum(axis=1)
    return np.average(loss, weights=weights), np.average(right, weights=weights)


def _solve(views: np.ndarray, labels: np.ndarray, used: np.ndarray, penalties: np.ndarray, tick, weights=None):
    """Minimise mean log-loss + penalty / 2 · |kernel|² for many problems on the same features at once.

    Args:
        views: `(views, images, features)`; used: `(problems, images)`, which pictures each problem trains on.
        penalties: `(problems,)`; weights: `(images,)`.

    Returns:
        Kernels `(problems, features, classes)` and biases `(problems, classes)`, float32.
    """
    count, features = len(penalties), views.shape[-1]
    x = views.reshape(-1, features).astype("float32")
    x = np.concatenate([x, np.ones((len(x), 1), "float32")], axis=1)  # the last weight is the bias
    truth, activation = np.tile(_matrix(labels), (len(views), 1))[:, None], _activation(labels)
    used = used if weights is None else used * weights
    share = (used / used.sum(axis=1, keepdims=True) / len(views)).astype("float32")
    share = np.tile(share, len(views)).T[..., None]  # (samples, problems, 1), adding up to 1 a problem
    classes = truth.shape[-1]
    decay = np.broadcast_to(penalties[:, None, None], (count, features + 1, 1)).astype("float32").copy()
    decay[:, -1] = 0  # the bias is free

    def loss(weights):
        wide = weights.reshape(count, features + 1, classes).transpose(1, 0, 2).reshape(features + 1, -1)
        logits = (x @ wide).reshape(len(x), count, classes)
        guess = activation(logits)
        if labels.ndim == 1:
            fit = -(share * truth * np.log(np.maximum(guess, 1e-30))).sum(axis=(0, 2))
        else:
            fit = (share * (np.logaddexp(0, logits) - truth * logits)).sum(axis=(0, 2))
        slope = (x.T @ (share * (guess - truth)).reshape(len(x), -1)).reshape(features + 1, count, classes)
        shaped = weights.reshape(count, features + 1, classes)
        value = fit + 0.5 * (decay * shaped**2).sum(axis=(1, 2))
        return value, (slope.transpose(1, 0, 2) + decay * shaped).reshape(count, -1)

    solved = _lbfgs(loss, np.zeros((count, (features + 1) * classes), "float32"), tick)
    solved = solved.reshape(count, features + 1, classes)
    return solved[:, :-1], solved[:, -1]


def _lbfgs(loss: Callable, x: np.ndarray, tick) -> np.ndarray:
    """Minimise each row of `x` `(problems, variables)`: Nocedal & Wright, Numerical Optimization, algorithm 7.5."""
    value, slope = loss(x)
    pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    going = np.abs(slope).max(axis=1) > TOLERANCE
    for _ in range(ITERATIONS):
        if not going.any():
            break
        direction = _two_loops(slope, pairs) * going[:, None]
        descent = (slope * direction).sum(axis=1)
        size = np.ones(len(x), "float32") if pairs else 1 / np.maximum(np.linalg.norm(slope, axis=1), 1)
        for _ in range(20):  # halve the step of every problem that it does not bring down
            new = x + size[:, None] * direction
            new_value, new_slope = loss(new)
            bad = new_value > value + 1e-4 * size * descent
            if not bad.any():
                break
            size = np.where(bad, size / 2, size).astype("float32")
        new, new_slope = np.where(bad[:, None], x, new), np.where(bad[:, None], slope, new_slope)
        step, change = new - x, new_slope - slope
        curvature = (step * change).sum(axis=1)
        pairs = [*pairs, (step, change, np.where(curvature > 1e-10, 1 / np.maximum(curvature, 1e-10), 0))][-MEMORY:]
        # A problem whose loss no step brings down has met the precision of float32: it is solved.
        lower = ~bad & (new_value < value)
        x, value, slope = new, np.where(bad, value, new_value), new_slope
        going &= lower & (np.abs(slope).max(axis=1) > TOLERANCE)
        tick()
    return x


def _two_loops(slope: np.ndarray, pairs) -> np.ndarray:
    """−(inverse Hessian estimate) · slope, for each problem."""
    direction, weights = -slope, []
    for step, change, inverse in reversed(pairs):
        weight = inverse * (step * direction).sum(axis=1)
        direction = direction - weight[:, None] * change
        weights.append(weight)
    if pairs:
        step, change, _ = pairs[-1]
        norm = (change**2).sum(axis=1)
        factor = np.where(norm > 0, (step * change).sum(axis=1) / np.maximum(norm, 1e-30), 1)
        direction = direction * np.maximum(factor, 1e-6)[:, None]
    for (step, change, inverse), weight in zip(pairs, reversed(weights), strict=True):
        direction = direction + step * (weight - inverse * (change * direction).sum(axis=1))[:, None]
    return direction


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * logits))  # which cannot overflow


def _activation(labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return _softmax if labels.ndim == 1 else _sigmoid


def _matrix(labels: np.ndarray) -> np.ndarray:
    """`(images, classes)`, float32: class numbers become rows of a single 1."""
    return (np.eye(labels.max() + 1)[labels] if labels.ndim == 1 else labels).astype("float32")
