"""The loss of a regularised logistic regression on features in blocks of rows, for many problems on the same features.

A problem trains on some of the pictures. The log-loss is `sum of log-partitions − <weights, sums of the features by class>`
for one label and for several alike (the exponential family), so that no matrix of labels is needed but once. Memory is bounded
by a block, whatever the numbers of pictures and classes.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from recipes.compute import threads
from recipes.compute.arrays import Arrays
from recipes.evaluation.tasks import Task
from recipes.transfer.minimum import Answer, Array, Course, Covariance, minimize
from recipes.transfer.view_features import ViewFeatures

# Numbers in a block of logits: small enough for a processor's cache, large enough for its products.
BLOCK_NUMBERS = 500_000
BLOCK_ROWS = 512
# So many times that on a GPU, whose products are fast when they are large.
DEVICE_BLOCKS = 32
# Standardised features are kept in memory up to this size, or read from the disk at each step.
MEMORY_BYTES = 256e6
DEVICE_BYTES = 4e9
# Steps and changes that all problems together remember.
PAIRS = 10
PAIRS_BYTES = 256e6
# Directions of the covariance that are known to the preconditioner.
DIRECTIONS = 256
# Steps that a reduction of the features to the rows' number must pay for.
EXPECTED_STEPS = 50

T = TypeVar("T")


class Samples:
    """Standardised features of some views, centred by the pictures' weights, read block by block."""

    def __init__(
        self,
        source: ViewFeatures,
        scale: float | np.ndarray,
        weights: np.ndarray,
        arrays: Arrays,
        columns: int,
    ):
        self._source, self._scale, self.arrays = source, np.asarray(scale, "float32"), arrays
        self.views, self.images, width = source.shape
        self.weights, rows = weights / weights.sum() / self.views, self.images * self.views
        self._center = sum(map(self._weighted_sum, range(self.views))).astype("float32")
        self._kept: list[Array] | None = None
        self._basis = None
        if rows < width and rows * width < EXPECTED_STEPS * columns * (width - rows):
            self._reduce()
        elif 4 * rows * width <= (MEMORY_BYTES if arrays.is_numpy else DEVICE_BYTES):
            self._kept = [arrays.send(self._read(view, 0, self.images)) for view in range(self.views)]
        self.width = self._kept[0].shape[1] if self._kept else width
        self.covariance = self._covariance()

    def _weighted_sum(self, view: int) -> np.ndarray:
        """Sum a view's features, each picture by its weight."""
        start, total = 0, np.zeros(self._source.shape[2])
        for block in self._source.blocks(view):
            total += self.weights[start : start + len(block)] @ block
            start += len(block)
        return total

    def _read(self, view: int, start: int, stop: int) -> np.ndarray:
        """Read and standardise some pictures."""
        return (self._source.read(view, start, stop) - self._center) / self._scale

    def _reduce(self) -> None:
        """Rotate features into the space that the rows span, in which the solution lies: the penalty sees no rotation."""
        everything = np.concatenate([self._read(view, 0, self.images) for view in range(self.views)])
        self._basis, upper = np.linalg.qr(everything.T)
        lower = np.ascontiguousarray(upper.T)
        self._kept = [self.arrays.send(part) for part in np.split(lower, self.views)]

    def mapped(self, columns: int, compute: Callable[[int, int, Array], T], views: Sequence[int] | None = None) -> Iterator[T]:
        """Give what `compute` makes of each block: of the first picture, the last and their rows `(pictures, width)`.

        The blocks go by `columns`, the numbers that are computed of a row, and not by the machine; results come in order, so
        that sums of them are the same however many threads there are.
        """
        larger = 1 if self.arrays.is_numpy else DEVICE_BLOCKS
        size = larger * int(np.clip(BLOCK_NUMBERS // columns, 256, BLOCK_ROWS))
        shown = range(self.views) if views is None else views
        places = [(view, start) for view in shown for start in range(0, self.images, size)]

        def one(place: tuple[int, int]) -> T:
            view, start = place
            stop = min(self.images, start + size)
            if self._kept is None:
                return compute(start, stop, self.arrays.send(self._read(view, start, stop)))
            return compute(start, stop, self._kept[view][start:stop])

        return threads.mapped(one, places) if self.arrays.is_numpy and len(places) > 1 else map(one, places)

    def first_view(self, images: np.ndarray) -> Array:
        """Give the rows `(images, width)` of some pictures, as the first of the views shows them."""
        if self._kept is not None:
            return self.arrays.ops.take(self._kept[0], images, axis=0)
        rows = (self._source.rows[images] - self._center) / self._scale
        return self.arrays.send(rows)

    def raw(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn a solution `(classes, width + 1)` into kernel `(features, classes)` and bias as they act on raw features."""
        kernel, bias = point[:, :-1].T, point[:, -1]
        if self._basis is not None:
            kernel = self._basis @ kernel
        kernel = (kernel.T / self._scale).T.astype("float32")
        return kernel, (bias - self._center.astype("float64") @ kernel).astype("float32")

    def _covariance(self) -> Covariance:
        """Find the largest directions by one step of subspace iteration from random ones, or all of them if they are few."""
        count = min(self.width, DIRECTIONS)
        if count == self.width:
            basis = np.eye(count, dtype="float32")
        else:
            start = np.random.default_rng(0).normal(size=(self.width, count)).astype("float32")
            basis = np.linalg.qr(self._times_covariance(start)[0])[0]
        product, trace = self._times_covariance(basis)
        small = basis.T @ product
        variances, vectors = np.linalg.eigh((small + small.T).astype("float64") / 2)
        variances = np.maximum(variances, 0)
        rest = max(0.0, trace - variances.sum()) / max(1, self.width - count)
        directions = basis @ vectors.astype("float32")
        return Covariance(self.arrays.send(directions), self.arrays.send(variances), float(rest))

    def _times_covariance(self, vectors: np.ndarray) -> tuple[np.ndarray, float]:
        """Multiply the weighted covariance `(width, width)` by vectors, in one pass, and give its trace, too."""
        ops, sent = self.arrays.ops, self.arrays.send(vectors)

        def part(start: int, stop: int, x: Array) -> tuple[Array, float]:
            weighted = x * self.arrays.send(self.weights[start:stop, None])
            return ops.transpose(weighted) @ (x @ sent), float(ops.sum(weighted * x))

        total, trace = 0.0, 0.0
        for products, squares in self.mapped(vectors.shape[1], part):
            total, trace = total + products, trace + squares
        return self.arrays.fetch(total), trace


class Problems:
    """Problems that train on some of the same samples each.

    Args:
        used: `(problems, images)`, which pictures each trains on.
        views: numbers of the views that they train on; all of them if not given.
    """

    def __init__(self, samples: Samples, task: Task, labels: np.ndarray, used: np.ndarray, views: Sequence[int] | None = None):
        self._samples, self._exclusive, self._arrays = samples, task.one_label, samples.arrays
        self.classes = labels.shape[1] if labels.ndim > 1 else int(labels.max()) + 1
        self._views = list(range(samples.views) if views is None else views)
        share = used * samples.weights
        # (problems, images), adding up to 1 over the views
        self._share = self._arrays.send(share / share.sum(axis=1, keepdims=True) / len(self._views))
        self._sums = self._sums_by_class(labels)
        courses = len(used)
        variables = self.classes * (samples.width + 1)
        self._most_pairs = int(np.clip(PAIRS_BYTES // (8 * variables * courses), 3, PAIRS))
        zeros = self._arrays.send(np.zeros((self.classes, samples.width + 1)))
        self.courses = [Course(zeros) for _ in range(courses)]

    def _sums_by_class(self, labels: np.ndarray) -> Array:
        """Sum the features of each problem's pictures by their labels: `(problems, classes, width + 1)`."""
        ops, problems = self._arrays.ops, len(self._share)
        numbers = np.arange(self.classes)[:, None]

        def part(start: int, stop: int, x: Array) -> Array:
            some = labels[start:stop]
            truth = self._arrays.send(some.T if some.ndim > 1 else some[None] == numbers)
            return _with_bias(self._share[:, None, start:stop] * truth[None], x, ops)

        return sum(self._samples.mapped(problems * self.classes, part, self._views))

    def start(self, points: Sequence[Array]) -> None:
        """Begin each problem at a point `(classes, width + 1)`."""
        self.courses = [Course(point) for point in points]

    def points(self) -> list[Array]:
        """List where the problems stand."""
        return [course.point for course in self.courses]

    def move(self, moves: Sequence[Array]) -> None:
        """Move each problem on, before it is solved."""
        for course, move in zip(self.courses, moves, strict=True):
            course.point = course.point + move

    def mean(self) -> Array:
        """Average where the problems stand."""
        return sum(course.point for course in self.courses) / len(self.courses)

    def solutions(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Give where the problems stand as kernels `(features, classes)` and biases, which act on raw features."""
        return [self._samples.raw(self._arrays.fetch(course.point)) for course in self.courses]

    def logits(self, problem: int, images: np.ndarray) -> np.ndarray:
        """Compute the logits `(images, classes)` of some pictures, as the first view shows them, where a problem stands."""
        point, ops = self.courses[problem].point, self._arrays.ops
        rows = self._samples.first_view(images)
        return self._arrays.fetch(rows @ ops.transpose(point[:, :-1]) + point[:, -1])

    def solve(self, penalties: Sequence[float], tolerance: float, tick: Callable[[], None] = lambda: None) -> None:
        """Bring every problem, from where it stands, to the lowest loss at its penalty; those that are there rest."""
        covariance, ops = self._samples.covariance, self._arrays.ops
        dialogues = {
            i: minimize(course, penalty, tolerance, covariance, self._exclusive, self._most_pairs, ops)
            for i, (course, penalty) in enumerate(zip(self.courses, penalties, strict=True))
        }
        asked = {i: next(dialogue) for i, dialogue in dialogues.items()}
        while asked:
            answers = self._answers(list(asked), ops.stack(list(asked.values())), penalties)
            following = {}
            for i, answer in zip(asked, answers, strict=True):
                try:
                    following[i] = dialogues[i].send(answer)
                except StopIteration:
                    tick()
            asked = following

    def _answers(self, problems: list[int], points: Array, penalties: Sequence[float]) -> list[Answer]:
        """Compute losses, gradients and curvatures of some problems at points `(problems, classes, width + 1)`."""
        ops, share = self._arrays.ops, self._share
        if len(problems) < len(share):
            share, sums = (ops.take(of, np.array(problems), axis=0) for of in (share, self._sums))
        else:
            sums = self._sums
        kernels, count = ops.reshape(points[:, :, :-1], (-1, self._samples.width)), len(problems)

        def part(start: int, stop: int, x: Array) -> tuple[Array, Array, Array]:
            logits = ops.reshape(kernels @ ops.transpose(x), (count, self.classes, -1)) + points[:, :, -1:]
            partition, guess = softmax(logits, ops) if self._exclusive else sigmoid(logits, ops)
            some = share[:, start:stop]
            weighted = some[:, None] * guess
            curvature = ops.sum(weighted * (1 - guess), axis=2)
            return self._inner(some, partition), _with_bias(weighted, x, ops), curvature

        value, slope, curvature = 0.0, -sums, 0.0
        for values, slopes, curvatures in self._samples.mapped(count * self.classes, part, self._views):
            value, slope, curvature = value + values, slope + slopes, curvature + curvatures
        penalty = np.array([penalties[i] for i in problems])
        return self._collected(points, value, slope, curvature, sums, penalty)

    def _collected(
        self, points: Array, value: Array, slope: Array, curvature: Array, sums: Array, penalty: np.ndarray
    ) -> list[Answer]:
        """Add the penalties, and what each problem's pictures say for their labels."""
        ops = self._arrays.ops
        factor = self.classes / (self.classes - 1) if self._exclusive and self.classes > 1 else 1.0
        inner = points[:, :, :-1]
        value = value - self._inner(points, sums) + penalty / 2 * self._inner(inner, inner)
        decay = self._arrays.send(penalty[:, None, None])
        slope = slope + ops.concatenate([decay * inner, ops.zeros_like(points[:, :, -1:])], axis=2)
        return [Answer(float(value[i]), slope[i], factor * curvature[i][:, None]) for i in range(len(penalty))]

    def _inner(self, one: Array, other: Array) -> np.ndarray:
        """Compute inner products, one a problem, in double precision: a loss is a small difference of large ones."""
        one, other = (self._arrays.fetch(of).reshape(len(of), -1) for of in (one, other))
        return np.einsum("pi,pi->p", one, other, dtype="float64")


def _with_bias(weighted: Array, x: Array, ops) -> Array:
    """Multiply `(problems, classes, rows)` by rows `(rows, width)` that end in a 1."""
    problems, classes, rows = weighted.shape
    products = ops.reshape(ops.reshape(weighted, (problems * classes, rows)) @ x, (problems, classes, -1))
    return ops.concatenate([products, ops.sum(weighted, axis=2, keepdims=True)], axis=2)


def softmax(logits: Array, ops) -> tuple[Array, Array]:
    """Give log-partitions `(problems, rows)` and probabilities of logits `(problems, classes, rows)`."""
    largest = ops.max(logits, axis=1, keepdims=True)
    powers = ops.exp(logits - largest)
    total = ops.sum(powers, axis=1, keepdims=True)
    return (ops.log(total) + largest)[:, 0], powers / total


def sigmoid(logits: Array, ops) -> tuple[Array, Array]:
    """Give log-partitions `(problems, rows)`, summed over classes, and probabilities of logits `(problems, classes, rows)`."""
    partition = ops.maximum(logits, 0) + ops.log1p(ops.exp(-ops.abs(logits)))
    return ops.sum(partition, axis=1), 0.5 * (1 + ops.tanh(0.5 * logits))
