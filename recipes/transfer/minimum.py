"""L-BFGS with a preconditioner, as a dialogue: it asks for the loss at a point and is told, so that many run side by side.

Nocedal & Wright 2006 ("Numerical Optimization", algorithm 7.5). The first estimate of the inverse Hessian comes from the
features' covariance, of which the largest directions are known (Frangella, Tropp, Udell 2021, "Randomized Nyström
Preconditioning", arXiv:2110.02820), times the mean curvature of the loss at the start. The form is that of Böhning's bound
(1992, "Multinomial logistic regression algorithm"), which holds everywhere and is further from the Hessian.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

# A problem is solved when its loss is no more than this above the lowest, as far as the gradient tells.
TOLERANCE = 1e-7
MAX_STEPS = 300
MAX_HALVINGS = 20
# What rounding of features and logits to float32 does to a mean loss: no step can be held to less, and after so many in a row
# that bring no more, nothing is left to gain.
ROUNDING = 1e-7
MAX_STALLS = 3

# An array of NumPy or of the backend.
Array = Any


@dataclass(frozen=True)
class Answer:
    """Loss and gradient `(classes, features + 1)` at a point, and how much the loss curves there by class `(classes, 1)`."""

    value: float
    slope: Array
    curvature: Array


@dataclass
class Course:
    """Where the solution of a problem stands, and what its steps have shown: pairs of steps and changes of the gradient.

    `point` is `(classes, features + 1)`, the bias last; `penalty` that for which the pairs hold.
    """

    point: Array
    penalty: float = 0.0
    pairs: list[tuple[Array, Array]] = field(default_factory=list)


@dataclass(frozen=True)
class Covariance:
    """The largest directions `(features, directions)` of features, their variances `(directions,)`, and that of each other."""

    directions: Array
    variances: Array
    rest: float


def minimize(
    course: Course,
    penalty: float,
    tolerance: float,
    covariance: Covariance,
    exclusive: bool,
    most_pairs: int,
    ops: ModuleType,
) -> Generator[Array, Answer, None]:
    """Bring a problem to the lowest loss for a penalty on all but the bias; `course` is what it began at, and ends there.

    Args:
        tolerance: how far above the lowest the loss may be.
        exclusive: classes exclude each other, so that adding the same to all of them changes nothing but the penalty.
    """
    shape = course.point.shape
    penalized = ops.concatenate([ops.ones((1, shape[1] - 1), dtype="float32"), ops.zeros((1, 1), dtype="float32")], axis=1)
    # The penalty's part of what the pairs say of the curvature is known for any penalty.
    shift = float(penalty - course.penalty)
    moved = [(step, change + shift * step * penalized) for step, change in course.pairs]
    course.pairs = [pair for pair in moved if _is_sound(*pair, penalty, ops)]
    course.penalty = penalty
    answer = yield course.point
    first = _preconditioner(answer.curvature, penalty, covariance, exclusive, ops)
    stalls = 0
    for _ in range(MAX_STEPS):
        direction = _direction(answer.slope, course.pairs, first, ops)
        descent = _dot(answer.slope, direction, ops)
        if -descent <= 2 * tolerance or stalls == MAX_STALLS:
            return
        size = 1.0
        for _ in range(MAX_HALVINGS):
            point = course.point + size * direction
            new = yield point
            if new.value <= answer.value + 1e-4 * size * descent + ROUNDING:
                break
            size *= float(np.clip(-descent * size / (2 * (new.value - answer.value - descent * size)), 0.1, 0.5))
        else:  # no step brings it down: it has met the precision of float32
            return
        step, change = point - course.point, new.slope - answer.slope
        stalls = stalls + 1 if answer.value - new.value < ROUNDING else 0
        if _is_sound(step, change, penalty, ops):
            course.pairs = [*course.pairs, (step, change)][-most_pairs:]
        course.point, answer = point, new


def _is_sound(step: Array, change: Array, penalty: float, ops: ModuleType) -> bool:
    """Whether a pair shows half the penalty's own curvature at least: rounding may have left less of a short step."""
    kernel = step[:, :-1]
    return _dot(step, change, ops) > max(penalty / 2 * _dot(kernel, kernel, ops), 1e-10 * _dot(step, step, ops))


def _preconditioner(
    curvature: Array, penalty: float, covariance: Covariance, exclusive: bool, ops: ModuleType
) -> Callable[[Array], Array]:
    """Estimate the inverse Hessian from the curvature `(classes, 1)` at a point."""
    curvature = ops.maximum(curvature, 1e-6)
    rest = 1 / (curvature * covariance.rest + penalty)
    kept = 1 / (curvature * covariance.variances[None] + penalty) - rest

    def apply(slope: Array) -> Array:
        inner = slope[:, :-1]
        moved = rest * inner + (kept * (inner @ covariance.directions)) @ ops.transpose(covariance.directions)
        moved = ops.concatenate([moved, slope[:, -1:] / curvature], axis=1)
        return moved - ops.mean(moved, axis=0, keepdims=True) if exclusive else moved

    return apply


def _direction(slope: Array, pairs: list[tuple[Array, Array]], first: Callable[[Array], Array], ops: ModuleType) -> Array:
    """Compute −(inverse Hessian estimate) · slope, by two loops over the pairs."""
    direction, used = -slope, []
    for step, change in reversed(pairs):
        inverse = 1 / _dot(step, change, ops)
        weight = inverse * _dot(step, direction, ops)
        direction = direction - weight * change
        used.append((step, change, inverse, weight))
    direction = first(direction)
    for step, change, inverse, weight in reversed(used):
        direction = direction + (weight - inverse * _dot(change, direction, ops)) * step
    return direction


def _dot(one: Array, other: Array, ops: ModuleType) -> float:
    """Multiply two arrays element by element, and add up."""
    if ops is np:
        return float(np.vdot(one, other))
    return float(ops.sum(one * other))
