"""Logistic regression with an L2 penalty, on features that are already there: the head of a frozen backbone.

Kornblith, Shlens, Le 2019 ("Do Better ImageNet Models Transfer Better?", arXiv:1805.08974, section 4.1) make this the
standard of a linear probe: a convex problem, solved to its end by L-BFGS, with the penalty chosen among many. Here it is
chosen by cross-validation inside the training part, as is whether mirrored pictures help. From the strongest penalty on, each
solution is where the search for the next begins, all folds at once; the path ends where the held-out loss has clearly risen.
How a problem is solved is in `recipes.transfer.objective` and `recipes.transfer.minimum`.

Labels are class numbers `(images,)`; or, where a picture has any number of labels, a matrix of 0 and 1 `(images, classes)`:
then each class is a logistic regression of its own, with the same penalty. Pictures may have weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recipes.compute import threads
from recipes.compute.arrays import Arrays, fastest
from recipes.evaluation.tasks import MULTI_CLASS, Task
from recipes.transfer.minimum import TOLERANCE, Array
from recipes.transfer.objective import Problems, Samples
from recipes.transfer.view_features import ViewFeatures, as_views, standardization

# Factors of half the squared weights, relative to the mean loss, the strongest first.
PENALTIES = np.logspace(1, -5, 13)
FOLDS = 5
# Of more images one fold is precise enough, and five are slow.
MAX_IMAGES_OF_ALL_FOLDS = 2_000
# Held-out losses are compared to three digits: they need no more than this of the solver.
PATH_TOLERANCE = 5e-6
# The path ends where the held-out loss has been this much above its lowest, and still rising, at so many penalties in a row.
CLEAR_RISE = 0.01
RISES = 2
# What is kept of answers out of fold holds no more numbers, which bounds the memory.
MAX_ANSWERS = 10_000_000
# Held-out pictures that are judged at once.
JUDGED_NUMBERS = 2_000_000

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
    accuracy for each penalty that was tried, with mirrored views and without; `out_of_fold` are the answers at the one that was
    chosen.
    """

    kernel: np.ndarray  # `(features, classes)`
    bias: np.ndarray  # `(classes,)`
    penalty: float
    decay: float
    mirrored: bool
    folds: int
    path: list[dict]
    out_of_fold: OutOfFold


def problems_at_most(mirrored: Sequence[bool], choose_mirror: bool, folds: int) -> int:
    """Count the problems, a penalty on a fold each and the last on everything, that `fit` solves if no path ends early."""
    return (1 + (choose_mirror and any(mirrored))) * len(PENALTIES) * folds + 1


def fit(
    views: np.ndarray | ViewFeatures,
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
        views: `(views, images, features)`, in memory or on disk; the first view is the one that evaluation sees.
        mirrored: which views are mirror images.
        choose_mirror: whether to try without them, and leave them out if that is better.
        labels: `(images,)`, 0 … classes − 1, each at least twice; or `(images, classes)`, 0 and 1.
        tick: called whenever a problem, a penalty on a fold, is solved.
        weights: `(images,)`, how much each picture counts, also in the cross-validation; the same if not given.
        widths: how many features each of several backbones has, whose features lie side by side.
        groups: `(images,)`, names of what no fold divides.
    """
    source, mirrored, arrays = as_views(views), np.asarray(mirrored), fastest()
    scale = standardization(source, widths)[1]
    weights = np.ones(len(labels)) if weights is None else weights
    folds = folds_of(task, labels, seed, groups)
    with threads.own(), arrays.precise():
        samples = Samples(source, scale, weights, arrays, len(folds) * classes_of(labels))
        given = samples, task, labels, folds, weights
        plain = _Path(*given, np.flatnonzero(~mirrored)) if choose_mirror or not mirrored.any() else None
        paths = [plain] if plain else []
        paths += [_Path(*given, np.arange(len(mirrored)), mirrored=True, guide=plain)] if mirrored.any() else []
        for penalty in PENALTIES:
            for path in paths:
                path.follow(float(penalty), tick)
        rows = [row for path in paths for row in path.rows]
        best = min(rows, key=lambda row: row["loss"])
        chosen = next(path for path in paths if best in path.rows)
        final = Problems(samples, task, labels, np.ones((1, len(labels)), bool), chosen.views)
        final.start([chosen.mean])
        final.solve([best["penalty"]], TOLERANCE, tick)
        kernel, bias = final.solutions()[0]
    decay = best["penalty"] * float(np.mean(np.square(scale)))
    return Head(kernel, bias, best["penalty"], decay, best["mirrored"], len(folds), rows, chosen.answers)


def classes_of(labels: np.ndarray) -> int:
    """Count the classes of labels."""
    return labels.shape[1] if labels.ndim > 1 else int(labels.max()) + 1


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


class _Path:
    """The path of penalties, from the strongest on, on all folds; `answers` and `mean` are of the best one so far.

    `mean` is the mean of the folds' solutions, from which a solution on everything is not far.

    Args:
        views: numbers of the views that are trained on.
        guide: the path on fewer views, which goes before: from one penalty to the next the solutions move alike.
    """

    def __init__(
        self,
        samples: Samples,
        task: Task,
        labels: np.ndarray,
        folds: Folds,
        weights: np.ndarray,
        views: np.ndarray,
        mirrored: bool = False,
        guide: "_Path | None" = None,
    ):
        self._task, self._labels, self._folds, self._weights = task, labels, folds, weights
        self.views, self._mirrored, self._guide = views, mirrored, guide
        used = np.zeros((len(folds), len(labels)), bool)
        for row, (train, _) in zip(used, folds, strict=True):
            row[train] = True
        self._problems = Problems(samples, task, labels, used, views)
        most = MAX_ANSWERS // (classes_of(labels) * len(folds))
        self._kept = [_some(held_out, most) for _, held_out in folds]
        self.rows: list[dict] = []
        self._moves: list[Array] = []
        self._has_ended = False

    def follow(self, penalty: float, tick: Tick) -> None:
        """Solve the next penalty, unless the held-out loss has clearly risen."""
        if self._has_ended:
            return
        before = self._problems.points()
        if self._guide and not self._guide._has_ended:
            self._problems.move(self._guide._moves)
        self._problems.solve([penalty] * len(self._folds), PATH_TOLERANCE, tick)
        self._moves = [after - point for point, after in zip(before, self._problems.points(), strict=True)]
        scores, answers = zip(*map(self._judged, range(len(self._folds))), strict=True)
        loss, accuracy = (float(mean) for mean in np.mean(scores, axis=0))
        self.rows.append({"penalty": penalty, "mirrored": self._mirrored, "loss": loss, "accuracy": accuracy})
        losses = [row["loss"] for row in self.rows]
        if loss == min(losses):
            images = np.concatenate([held_out[kept] for (_, held_out), kept in zip(self._folds, self._kept, strict=True)])
            self.answers, self.mean = OutOfFold(images, np.concatenate(answers)), self._problems.mean()
        self._has_ended = has_risen(losses)

    def _judged(self, fold: int) -> tuple[tuple[float, float], np.ndarray]:
        """Judge what a fold holds out: mean loss and accuracy, and the answers that are kept."""
        held_out, kept = self._folds[fold][1], self._kept[fold]
        classes, found = classes_of(self._labels), []
        answers = np.empty((len(kept), classes), "float32")
        size = max(1, JUDGED_NUMBERS // classes)
        for start in range(0, len(held_out), size):
            images = held_out[start : start + size]
            guess = self._task.probabilities(self._problems.logits(fold, images))
            found.append((*score(self._task, guess, self._labels[images], self._weights[images]), self._weights[images].sum()))
            here = (kept >= start) & (kept < start + size)
            answers[here] = guess[kept[here] - start]
        losses, accuracies, shares = np.array(found).T
        return (np.average(losses, weights=shares), np.average(accuracies, weights=shares)), answers


def has_risen(losses: Sequence[float]) -> bool:
    """Whether held-out losses, from the strongest penalty on, have passed their lowest: risen clearly, and again.

    A curve with one dip goes on rising, so that what is left out cannot be its lowest.
    """
    last = losses[-RISES - 1 :]
    rises = all(later > earlier for earlier, later in zip(last[:-1], last[1:], strict=True))
    return len(last) > RISES and rises and min(last[1:]) > (1 + CLEAR_RISE) * min(losses)


def _some(images: np.ndarray, most: int) -> np.ndarray:
    """Draw places in a list of pictures, in order, at most so many; all of them where there are no more."""
    count = len(images)
    return np.sort(np.random.default_rng(0).permutation(count)[:most]) if count > most else np.arange(count)


def score(task: Task, guess: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Average log-loss and accuracy of probabilities `(images, classes)` over the pictures, each with its weight."""
    loss, right = task.log_loss(task.one_hot(labels, guess.shape[1]), guess), task.accuracy(labels, guess)
    return np.average(loss, weights=weights), np.average(right, weights=weights)


def solve(
    task: Task,
    views: np.ndarray | ViewFeatures,
    labels: np.ndarray,
    used: np.ndarray,
    penalties: np.ndarray,
    tick: Tick,
    weights: np.ndarray | None = None,
    arrays: Arrays | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise mean log-loss + penalty / 2 · |kernel|² for many problems on the same features at once.

    Args:
        views: `(views, images, features)`.
        used: `(problems, images)`, which pictures each problem trains on.
        penalties: `(problems,)`.
        weights: `(images,)`, how much each picture counts.
        arrays: what to compute with; the fastest there is if not given.

    Returns:
        Kernels `(problems, features, classes)` and biases `(problems, classes)`, float32.
    """
    arrays, source = arrays or fastest(), as_views(views)
    weights = np.ones(len(labels)) if weights is None else weights
    with threads.own(), arrays.precise():
        samples = Samples(source, 1.0, weights, arrays, len(penalties) * classes_of(labels))
        problems = Problems(samples, task, labels, used)
        problems.solve(list(map(float, penalties)), TOLERANCE, tick)
        kernels, biases = zip(*problems.solutions(), strict=True)
    return np.stack(kernels), np.stack(biases)
