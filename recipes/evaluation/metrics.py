"""Numbers that say how good a classifier is: plain Python values, ready for JSON, never NaN.

A share of pictures has Wilson's interval; a mean of such shares has one made of theirs; F1 of a class, which grows with a
share (that of the right ones in all that are of the class or are taken for it), has what it makes of that one's; what is no
share (mean F1, average precision) has one by resampling the pictures where there are fewer than 1,000: above it is narrow.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from recipes.evaluation.intervals import effective, mean_of_shares, resampled, wilson

# A probability of zero would make the loss infinite.
MIN_PROBABILITY = 1e-7
CALIBRATION_BINS = 10
# The largest class's pictures over the smallest's, from which on classes are called uneven.
UNEVEN_RATIO = 1.5
MEASURES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1"}
LABEL_MEASURES = {"mean_average_precision": "mean average precision", "macro_f1": "macro F1", "micro_f1": "micro F1"}


def measures(counts: Sequence[int]) -> tuple[dict[str, str], str]:
    """Choose what to report by the number of pictures in each class.

    Returns:
        Keys of `metrics` with their names, the most telling first; and why, in words.
    """
    ratio = max(counts) / max(min(counts), 1)
    if ratio < UNEVEN_RATIO:
        return {"accuracy": "accuracy"}, "the classes are about equally large"
    first = ("balanced_accuracy", "macro_f1", "accuracy")
    return {name: MEASURES[name] for name in first}, (
        f"the classes are uneven, the largest with {ratio:.1f} times as many images as the smallest "
        f"({UNEVEN_RATIO} or more): every class counts the same in these, while accuracy is mostly that of the large ones"
    )


def metrics(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], weights: np.ndarray | None = None) -> dict:
    """Measure one part, from class numbers `(images,)` and probabilities `(images, classes)`.

    Args:
        weights: `(images,)`, above 0, how much each image counts in every share and mean; the numbers of images, and the
            confusion, count each once. An interval is that of as many images as tell as much.

    Raises:
        ValueError: there are no images, shapes differ, or a probability is no finite number.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    labels = np.asarray(labels, dtype=np.int64)
    _check(labels, probabilities, len(classes))
    predictions, each = probabilities.argmax(axis=1), _each(weights, len(labels))
    sums, squares = (_counts(labels, predictions, len(classes), power) for power in (each, each**2))
    there = sums[1] > 0
    recalls = _counted(*(found[there] for found in (sums[0], sums[1], squares[1])))
    bins, error = calibration(probabilities.max(axis=1), predictions == labels, each)
    return {
        **_accuracy(predictions == labels, each, weights),
        "loss": float(np.average(losses(labels, probabilities), weights=each)),
        "balanced_accuracy": float(np.divide(*recalls).mean()),
        "balanced_accuracy_interval": list(mean_of_shares(*recalls)),
        **_with_interval("macro_f1", partial(_macro_f1, len(classes)), labels, predictions, each),
        "calibration_error": error,
        "calibration": bins,
        "classes": _per_class(np.bincount(labels, minlength=len(classes)), sums, squares, classes),
        "confusion": confusion(labels, predictions),
    }


def losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Give each image's log-loss `(images,)`, from class numbers `(images,)` and probabilities `(images, classes)`."""
    truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.clip(truth, MIN_PROBABILITY, 1.0))


def label_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Give each image's log-loss `(images,)`, the sum over its labels, from 0 and 1 and probabilities, `(images, classes)`."""
    chances = np.asarray(probabilities, np.float64)
    right = np.where(np.asarray(labels) > 0.5, chances, 1 - chances)
    return -np.log(np.clip(right, MIN_PROBABILITY, 1)).sum(axis=1)


def confusion(labels: np.ndarray, predictions: np.ndarray) -> list[list[int]]:
    """Count, for each class and each that it was taken for: [class, taken for, images], without those of no image.

    A table of all pairs grows with the square of the classes, this with the images.
    """
    pairs, counts = np.unique(np.stack([labels, predictions]), axis=1, return_counts=True)
    return np.column_stack([*pairs, counts]).tolist()


def _check(labels: np.ndarray, probabilities: np.ndarray, classes: int) -> None:
    """Refuse what would give numbers that look right and are not, or are NaN."""
    if not len(labels):
        raise ValueError("there are no images to measure")
    if probabilities.shape != (len(labels), classes):
        raise ValueError(f"probabilities are {probabilities.shape}, not {(len(labels), classes)}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must lie in 0..{classes - 1}")
    if not np.isfinite(probabilities).all():
        raise ValueError("the model's predictions are not finite numbers; training has diverged")


def _each(weights: np.ndarray | None, images: int) -> np.ndarray:
    """Give the weight of each image: 1 without weights, with which all sums are those of counts."""
    return np.ones(images) if weights is None else np.asarray(weights, dtype=np.float64)


def _counted(part: np.ndarray, whole: np.ndarray, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn sums of weights into counts of so many equal images as tell as much; without weights they are what they were.

    Args:
        square: the sum of the squared weights of the whole.
    """
    return part * (whole / square), whole * (whole / square)


def _accuracy(right: np.ndarray, each: np.ndarray, weights: np.ndarray | None) -> dict:
    """Count the images, and compute the share of the right ones."""
    total, found = each.sum(), each[right].sum()
    return {
        "images": len(each),
        **({} if weights is None else {"effective_images": effective(each)}),
        "accuracy": float(found / total),
        "accuracy_interval": list(wilson(*map(float, _counted(found, total, (each**2).sum())))),
    }


def _per_class(images: np.ndarray, sums: list[np.ndarray], squares: list[np.ndarray], classes: Sequence[str]) -> list[dict]:
    """Compute precision, recall and F1 of each class; None where there is nothing to divide by.

    Args:
        sums: of each class the weights of the images that are right, that are of it, and that were taken for it.
        squares: the same of the squared weights.
    """
    rows = []
    for i, name in enumerate(classes):
        (found, of_class, taken), (right2, actual2, predicted2) = ([float(each[i]) for each in of] for of in (sums, squares))
        union = _interval(found, of_class + taken - found, actual2 + predicted2 - right2)
        rows.append(
            {
                "name": name,
                "images": int(images[i]),
                "precision": _ratio(found, taken),
                "precision_interval": _interval(found, taken, predicted2),
                "recall": _ratio(found, of_class),
                "recall_interval": _interval(found, of_class, actual2),
                "f1": _ratio(2 * found, of_class + taken),
                "f1_interval": union and [2 * share / (1 + share) for share in union],
            }
        )
    return rows


def _interval(part: float, whole: float, square: float) -> list[float] | None:
    """Compute the interval of a share of weights; None of nothing."""
    return list(wilson(*_counted(part, whole, square))) if whole else None


def _counts(labels: np.ndarray, predictions: np.ndarray, classes: int, each: np.ndarray) -> list[np.ndarray]:
    """Add up the weights of each class's images that are right, that are of it, and that were taken for it."""
    right = labels == predictions
    pairs = ((labels[right], each[right]), (labels, each), (predictions, each))
    return [np.bincount(numbers, weights, minlength=classes) for numbers, weights in pairs]


def _macro_f1(classes: int, labels: np.ndarray, predictions: np.ndarray, each: np.ndarray) -> float:
    """Average F1 over the classes that there are or that were predicted."""
    right, actual, predicted = _counts(labels, predictions, classes, each)
    there = actual + predicted > 0
    return float((2 * right[there] / (actual + predicted)[there]).mean())


def label_metrics(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], weights: np.ndarray | None = None
) -> dict:
    """Measure one part where each class has a probability of its own, and is predicted above one half.

    Args:
        labels: 0 and 1, `(images, classes)`.
        probabilities: `(images, classes)`.
        weights: as for `metrics`.

    Raises:
        ValueError: there are no images, shapes differ, or a probability is no finite number.
    """
    labels, probabilities = np.asarray(labels) > 0.5, np.asarray(probabilities, dtype=np.float64)
    if labels.shape != probabilities.shape or not len(labels):
        raise ValueError(f"labels are {labels.shape}, probabilities {probabilities.shape}")
    if not np.isfinite(probabilities).all():
        raise ValueError("the model's predictions are not finite numbers; training has diverged")
    predictions, each = probabilities > 0.5, _each(weights, len(labels))
    sets = (predictions & labels, labels, predictions)
    sums, squares = ([power @ members for members in sets] for power in (each, each**2))
    accuracy = _accuracy((predictions == labels).all(axis=1), each, weights)
    return {
        "images": accuracy.pop("images"),
        **_with_interval("mean_average_precision", _mean_average_precision, labels, probabilities, each),
        **_with_interval("macro_f1", lambda *drawn: float(np.mean(_f1(*drawn, axis=0))), labels, predictions, each),
        **_with_interval("micro_f1", lambda *drawn: float(_f1(*drawn, axis=None)), labels, predictions, each),
        **accuracy,
        "loss": float(np.average(label_losses(labels, probabilities), weights=each)),
        "classes": [
            row | _with_interval("average_precision", average_precision, labels[:, i], probabilities[:, i], each)
            for i, row in enumerate(_per_class(labels.sum(axis=0), sums, squares, classes))
        ],
    }


def _with_interval(name: str, value: Callable, *arrays: np.ndarray) -> dict:
    """Give `value(*arrays)` of the images' arrays under its name, with its interval; None twice, where the value is."""
    found = value(*arrays)
    interval = None if found is None else resampled(len(arrays[0]), lambda drawn: value(*(array[drawn] for array in arrays)))
    return {name: found, f"{name}_interval": interval}


def average_precision(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float | None:
    """Average, over a class's pictures, the precision among all that score at least as high; None without such pictures.

    Args:
        labels: whether a picture is of the class, `(images,)`.
        scores: `(images,)`, the higher the likelier.
        weights: `(images,)`, how much each picture counts; the same if not given.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # equal scores are one step
    each = _each(weights, len(labels))[order]
    found, ranks = np.cumsum(labels[order] * each)[last], np.cumsum(each)[last]
    return float((np.diff(found, prepend=0) * found / ranks).sum() / found[-1]) if found[-1] else None


def _mean_average_precision(labels: np.ndarray, probabilities: np.ndarray, each: np.ndarray) -> float:
    """Average the average precision over the classes that have pictures; 0 where none has."""
    found = [average_precision(*column, each) for column in zip(labels.T, probabilities.T, strict=True)]
    return float(np.mean([value for value in found if value is not None] or [0.0]))


def _f1(labels: np.ndarray, predictions: np.ndarray, each: np.ndarray, axis: int | None) -> np.ndarray:
    """Compute F1 along an axis; 0 where there is nothing to find and nothing was found, as in scikit-learn."""
    right, actual, predicted = ((each @ members) for members in (labels & predictions, labels, predictions))
    found, total = (2 * right, actual + predicted) if axis == 0 else (2 * right.sum(), (actual + predicted).sum())
    return np.divide(found, total, out=np.zeros_like(total), where=total > 0)


def _ratio(part: float, whole: float) -> float | None:
    """Divide; None where there is nothing to divide by."""
    return part / whole if whole else None


def calibration(confidences: np.ndarray, correct: np.ndarray, each: np.ndarray) -> tuple[list[dict], float]:
    """Average confidence and accuracy in equal bins of confidence, leaving out the empty ones; and how far they differ."""
    index = np.minimum((confidences * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    bins, error = [], 0.0
    for i in np.unique(index).tolist():
        inside = index == i
        confidence, accuracy = (float(np.average(of[inside], weights=each[inside])) for of in (confidences, correct))
        error += each[inside].sum() * abs(accuracy - confidence)
        bins.append(
            {
                "low": i / CALIBRATION_BINS,
                "high": (i + 1) / CALIBRATION_BINS,
                "images": int(inside.sum()),
                "confidence": confidence,
                "accuracy": accuracy,
            }
        )
    return bins, float(error / each.sum())
