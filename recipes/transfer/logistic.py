"""Logistic regression with an L2 penalty, on features that are already there: the head of a frozen backbone.

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

from recipes.evaluation.tasks import MULTI_CLASS, Task

# Factors of half the squared weights, relative to the mean loss.
PENALTIES = np.logspace(1, -5, 13)
FOLDS = 5
# Of more images one fold is precise enough, and five are slow.
MAX_IMAGES_OF_ALL_FOLDS = 2_000
# L-BFGS has solved a problem when no element of its gradient is larger.
MAX_GRADIENT = 1e-4
MAX_STEPS = 300
LBFGS_PAIRS = 10
# Without mirrored views, with them, and the final fit.
MAX_TOTAL_STEPS = 3 * MAX_STEPS
# The array of predictions holds no more, which bounds the memory.
MAX_PREDICTIONS = 30_000_000

Folds = Sequence[tuple[np.ndarray, np.ndarray]]
Tick = Callable[[], None]


@dataclass(frozen=True)
class OutOfFold:
    """Answers to training pictures by what had not learnt from them: `images` `(n,)`, `probabilities` `(n, classes)`.

    `images` are places in the training part.
    """

    images: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class Head:
    """A dense layer with softmax, or sigmoid for a matrix of labels, and how it was chosen.

    `decay` is the penalty as it acts on `kernel`, for the features were scaled. `path` has a row of cross-validated loss and
    accuracy for each penalty, with mirrored views and without; `out_of_fold` are the answers at the one that was chosen.
    """

    kernel: np.ndarray  # `(features, classes)`
    bias: np.ndarray  # `(classes,)`
    penalty: float
    decay: float
    mirrored: bool
    folds: int
    path: list[dict]
    out_of_fold: OutOfFold


def fit(
    views: np.ndarray,
    mirrored: Sequence[bool],
    labels: np.ndarray,
    seed: int,
    choose_mirror: bool = True,
    tick: Tick = lambda: None,
    weights: np.ndarray | None = None,
    task: Task = MULTI_CLASS,
    widths: Sequence[int] = (),
    groups: np.ndarray | None = None,
) -> Head:
    """Choose penalty and views by cross-validated log-loss, then fit on everything.

    Args:
        views: `(views, images, features)`; the first view is the one that evaluation sees.
        mirrored: which views are mirror images.
        choose_mirror: whether to try without them, and leave them out if that is better.
        labels: `(images,)`, 0 … classes − 1, each at least twice; or `(images, classes)`, 0 and 1.
        tick: called after each step of the optimiser.
        weights: `(images,)`, how much each picture counts, also in the cross-validation; the same if not given.
        widths: how many features each of several backbones has, whose features lie side by side.
        groups: `(images,)`, names of what no fold divides.
    """
    center, scale = standardization(views[0], widths)
    views, mirrored = (views - center) / scale, np.asarray(mirrored)
    weights = np.ones(len(labels)) if weights is None else weights
    folds = folds_of(task, labels, seed, groups)
    paths = []
    if choose_mirror or not mirrored.any():
        paths.append(_path(task, views[~mirrored], labels, folds, tick, mirrored=False, weights=weights))
    if mirrored.any():
        paths.append(_path(task, views, labels, folds, tick, mirrored=True, weights=weights))
    path = [row for rows, _ in paths for row in rows]
    best = min(path, key=lambda row: row["loss"])
    out_of_fold = next(answers for rows, answers in paths if best in rows)
    chosen = views if best["mirrored"] else views[~mirrored]
    everything = np.ones((1, len(labels)), bool)
    kernel, bias = solve(task, chosen, labels, everything, np.array([best["penalty"]]), tick, weights)
    kernel = (kernel[0].T / scale).T
    bias, decay = bias[0] - center @ kernel, best["penalty"] * float(np.mean(scale**2))
    return Head(kernel, bias, best["penalty"], decay, best["mirrored"], len(folds), path, out_of_fold)


def standardization(features: np.ndarray, widths: Sequence[int] = ()) -> tuple[np.ndarray, float | np.ndarray]:
    """Choose what is taken off features `(images, features)`, and what they are divided by.

    So a penalty means the same everywhere. Of several backbones, whose features lie side by side, each block of `widths` is
    divided by its own deviation, so that the penalty spares none for its scale: the divisors are `(features,)`.
    """
    if not widths:
        return features.mean(axis=0), float(features.std()) or 1.0
    blocks = np.split(features, np.cumsum(widths)[:-1], axis=1)
    deviations = [float(block.std()) or 1.0 for block in blocks]
    return features.mean(axis=0), np.repeat(deviations, widths).astype("float32")


def balanced_weights(labels: np.ndarray, classes: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Weigh pictures `(images,)` so that all of a class together count as much as all of any other.

    Args:
        weights: `(images,)`, how much each counts inside its class, 1 on average; the same if not given.
    """
    each = np.ones(len(labels)) if weights is None else weights
    return (len(labels) / classes / np.bincount(labels, each, minlength=classes)[labels] * each).astype("float32")


def folds_of(
    task: Task, labels: np.ndarray, seed: int, groups: np.ndarray | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divide pictures for cross-validation: (train, test) indices, five times, or once where they are many."""
    folds = task.folds(labels, FOLDS, seed, groups)
    return folds[:1] if len(labels) > MAX_IMAGES_OF_ALL_FOLDS else folds


def _path(
    task: Task, views: np.ndarray, labels: np.ndarray, folds: Folds, tick: Tick, mirrored: bool, weights: np.ndarray
) -> tuple[list[dict], OutOfFold]:
    """Cross-validate loss and accuracy of the first view for every penalty; gives the answers at the best one, too."""
    scores = np.zeros((len(PENALTIES), len(folds), 2))
    classes = labels.shape[1] if labels.ndim > 1 else int(labels.max()) + 1
    judged = [_some(held_out, MAX_PREDICTIONS // (len(PENALTIES) * classes * len(folds))) for _, held_out in folds]
    answers: dict[tuple[int, int], np.ndarray] = {}
    problems = [(i, j) for j in range(len(folds)) for i in range(len(PENALTIES))]
    width = max(1, MAX_PREDICTIONS // (views.shape[0] * views.shape[1] * classes))
    for start in range(0, len(problems), width):
        part = problems[start : start + width]
        used = np.zeros((len(part), len(labels)), bool)
        for row, (_, j) in enumerate(part):
            used[row, folds[j][0]] = True
        kernels, biases = solve(task, views, labels, used, PENALTIES[[i for i, _ in part]], tick, weights)
        for (i, j), kernel, bias in zip(part, kernels, biases, strict=True):
            held_out = folds[j][1]
            guess = task.probabilities(views[0, held_out] @ kernel + bias)
            scores[i, j] = score(task, guess, labels[held_out], weights[held_out])
            answers[i, j] = guess[judged[j]]
    means = scores.mean(axis=1)
    best = int(means[:, 0].argmin())
    images = np.concatenate([held_out[some] for (_, held_out), some in zip(folds, judged, strict=True)])
    rows = [
        {"penalty": float(penalty), "mirrored": mirrored, "loss": float(loss), "accuracy": float(accuracy)}
        for penalty, (loss, accuracy) in zip(PENALTIES, means, strict=True)
    ]
    return rows, OutOfFold(images, np.concatenate([answers[best, j] for j in range(len(folds))]))


def _some(images: np.ndarray, most: int) -> np.ndarray:
    """Draw places in a list of pictures, in order, where there are more than so many."""
    count = len(images)
    return np.sort(np.random.default_rng(0).permutation(count)[:most]) if count > most else np.arange(count)


def score(task: Task, guess: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Average log-loss and accuracy of probabilities `(images, classes)` over the pictures, each with its weight."""
    loss, right = task.log_loss(task.one_hot(labels, guess.shape[1]), guess), task.accuracy(labels, guess)
    return np.average(loss, weights=weights), np.average(right, weights=weights)


def solve(
    task: Task,
    views: np.ndarray,
    labels: np.ndarray,
    used: np.ndarray,
    penalties: np.ndarray,
    tick: Tick,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise mean log-loss + penalty / 2 · |kernel|² for many problems on the same features at once.

    Args:
        views: `(views, images, features)`.
        used: `(problems, images)`, which pictures each problem trains on.
        penalties: `(problems,)`.
        weights: `(images,)`, how much each picture counts.

    Returns:
        Kernels `(problems, features, classes)` and biases `(problems, classes)`, float32.
    """
    count, features = len(penalties), views.shape[-1]
    x = views.reshape(-1, features).astype("float32")
    x = np.concatenate([x, np.ones((len(x), 1), "float32")], axis=1)  # the last weight is the bias
    truth = np.tile(task.one_hot(labels), (len(views), 1))[:, None]
    used = used if weights is None else used * weights
    share = (used / used.sum(axis=1, keepdims=True) / len(views)).astype("float32")
    share = np.tile(share, len(views)).T[..., None]  # (samples, problems, 1), adding up to 1 a problem
    classes = truth.shape[-1]
    decay = np.broadcast_to(penalties[:, None, None], (count, features + 1, 1)).astype("float32").copy()
    decay[:, -1] = 0  # the bias is free

    def loss(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wide = weights.reshape(count, features + 1, classes).transpose(1, 0, 2).reshape(features + 1, -1)
        logits = (x @ wide).reshape(len(x), count, classes)
        guess = task.probabilities(logits)
        cost = (share * task.cross_entropy(truth, logits, guess)).sum(axis=(0, 2))
        slope = (x.T @ (share * (guess - truth)).reshape(len(x), -1)).reshape(features + 1, count, classes)
        shaped = weights.reshape(count, features + 1, classes)
        value = cost + 0.5 * (decay * shaped**2).sum(axis=(1, 2))
        return value, (slope.transpose(1, 0, 2) + decay * shaped).reshape(count, -1)

    solved = _lbfgs(loss, np.zeros((count, (features + 1) * classes), "float32"), tick)
    solved = solved.reshape(count, features + 1, classes)
    return solved[:, :-1], solved[:, -1]


def _lbfgs(loss: Callable, x: np.ndarray, tick: Tick) -> np.ndarray:
    """Minimise each row of `x` `(problems, variables)`: Nocedal & Wright, Numerical Optimization, algorithm 7.5."""
    value, slope = loss(x)
    pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    going = np.abs(slope).max(axis=1) > MAX_GRADIENT
    for _ in range(MAX_STEPS):
        if not going.any():
            break
        direction = _two_loops(slope, pairs) * going[:, None]
        descent = (slope * direction).sum(axis=1)
        size = np.ones(len(x), "float32") if pairs else 1 / np.maximum(np.linalg.norm(slope, axis=1), 1)
        for _ in range(20):  # halves the step of every problem that it does not bring down
            new = x + size[:, None] * direction
            new_value, new_slope = loss(new)
            bad = new_value > value + 1e-4 * size * descent
            if not bad.any():
                break
            size = np.where(bad, size / 2, size).astype("float32")
        new, new_slope = np.where(bad[:, None], x, new), np.where(bad[:, None], slope, new_slope)
        step, change = new - x, new_slope - slope
        curvature = (step * change).sum(axis=1)
        pairs = [*pairs, (step, change, np.where(curvature > 1e-10, 1 / np.maximum(curvature, 1e-10), 0))][-LBFGS_PAIRS:]
        # A problem whose loss no step brings down has met the precision of float32: it is solved.
        lower = ~bad & (new_value < value)
        x, value, slope = new, np.where(bad, value, new_value), new_slope
        going &= lower & (np.abs(slope).max(axis=1) > MAX_GRADIENT)
        tick()
    return x


def _two_loops(slope: np.ndarray, pairs: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> np.ndarray:
    """Compute −(inverse Hessian estimate) · slope of each problem."""
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
