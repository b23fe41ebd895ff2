"""Numbers that say how good a classifier is: plain Python values, ready for JSON, never NaN.

A share of pictures has Wilson's interval; a mean of such shares has one made of theirs; F1 of a class, which grows with a
share (that of the right ones in all that are of the class or are taken for it), has what it makes of that one's; what is no
share (mean F1, average precision) has one by resampling the pictures where there are fewer than 1,000: above it is narrow.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from recipes.evaluation.intervals import mean_of_shares, resampled, wilson

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


def tempered(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Compute log-losses `(images,)` at the temperature that makes their mean least, from class numbers and probabilities.

    See Guo et al. 2017, arXiv:1706.04599, section 4.2. It tells how well a classifier sets the classes apart: one that does
    it better, but is too sure of itself, or not sure enough, which one number mends, does not look the worse for that.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    logits = np.log(np.maximum(probabilities, MIN_PROBABILITY)).astype("float64")

    def losses(log_temperature: float) -> np.ndarray:
        scaled = log_softmax(logits / math.exp(log_temperature), axis=1)
        return -scaled[np.arange(len(labels)), labels]

    return losses(minimize_scalar(lambda t: losses(t).mean(), bounds=(-3, 3), method="bounded").x)


def metrics(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict:
    """Measure one part, from class numbers `(images,)` and probabilities `(images, classes)`.

    Raises:
        ValueError: there are no images, shapes differ, or a probability is no finite number.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    labels = np.asarray(labels, dtype=np.int64)
    _check(labels, probabilities, len(classes))
    predictions = probabilities.argmax(axis=1)
    right, actual, predicted = _counts(labels, predictions, len(classes))
    rows = _per_class(right, actual, predicted, classes)
    recalls = right[actual > 0], actual[actual > 0]
    bins = _calibration(probabilities.max(axis=1), predictions == labels)
    images, correct = len(labels), int(right.sum())
    truth = probabilities[np.arange(images), labels]
    return {
        "images": images,
        "accuracy": correct / images,
        "accuracy_interval": list(wilson(correct, images)),
        "loss": float(np.mean(-np.log(np.clip(truth, MIN_PROBABILITY, 1.0)))),
        "balanced_accuracy": float(np.divide(*recalls).mean()),
        "balanced_accuracy_interval": list(mean_of_shares(*recalls)),
        **_with_interval("macro_f1", lambda truth, guess: _macro_f1(truth, guess, len(classes)), labels, predictions),
        "calibration_error": sum(b["images"] * abs(b["accuracy"] - b["confidence"]) for b in bins) / images,
        "calibration": bins,
        "classes": rows,
        "confusion": confusion(labels, predictions),
    }


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


def _per_class(right: np.ndarray, actual: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> list[dict]:
    """Compute precision, recall and F1 of each class from counts of its pictures; None where there is nothing to divide by."""
    rows = []
    for name, *counts in zip(classes, right.tolist(), actual.tolist(), predicted.tolist(), strict=True):
        found, of_class, taken = counts
        union = of_class + taken - found
        rows.append(
            {
                "name": name,
                "images": of_class,
                "precision": _ratio(found, taken),
                "precision_interval": list(wilson(found, taken)) if taken else None,
                "recall": _ratio(found, of_class),
                "recall_interval": list(wilson(found, of_class)) if of_class else None,
                "f1": _ratio(2 * found, of_class + taken),
                "f1_interval": [2 * share / (1 + share) for share in wilson(found, union)] if union else None,
            }
        )
    return rows


def _counts(labels: np.ndarray, predictions: np.ndarray, classes: int) -> list[np.ndarray]:
    """Count the images of each class that are right, that are of it, and that were taken for it."""
    return [np.bincount(each, minlength=classes) for each in (labels[labels == predictions], labels, predictions)]


def _macro_f1(labels: np.ndarray, predictions: np.ndarray, classes: int) -> float:
    """Average F1 over the classes that there are or that were predicted."""
    right, actual, predicted = _counts(labels, predictions, classes)
    there = actual + predicted > 0
    return float((2 * right[there] / (actual + predicted)[there]).mean())


def label_metrics(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict:
    """Measure one part where each class has a probability of its own, and is predicted above one half.

    Args:
        labels: 0 and 1, `(images, classes)`.
        probabilities: `(images, classes)`.

    Raises:
        ValueError: there are no images, shapes differ, or a probability is no finite number.
    """
    labels, probabilities = np.asarray(labels) > 0.5, np.asarray(probabilities, dtype=np.float64)
    if labels.shape != probabilities.shape or not len(labels):
        raise ValueError(f"labels are {labels.shape}, probabilities {probabilities.shape}")
    if not np.isfinite(probabilities).all():
        raise ValueError("the model's predictions are not finite numbers; training has diverged")
    predictions, images = probabilities > 0.5, len(labels)
    all_right = int((predictions == labels).all(axis=1).sum())
    clipped = np.clip(np.where(labels, probabilities, 1 - probabilities), MIN_PROBABILITY, 1)
    right, actual, predicted = (each.sum(axis=0) for each in (predictions & labels, labels, predictions))
    return {
        "images": images,
        **_with_interval("mean_average_precision", _mean_average_precision, labels, probabilities),
        **_with_interval("macro_f1", lambda truth, guess: float(np.mean(_f1(truth, guess, axis=0))), labels, predictions),
        **_with_interval("micro_f1", lambda truth, guess: float(_f1(truth, guess, axis=None)), labels, predictions),
        "accuracy": all_right / images,
        "accuracy_interval": list(wilson(all_right, images)),
        "loss": float(-np.log(clipped).sum(axis=1).mean()),
        "classes": [
            row | _with_interval("average_precision", average_precision, labels[:, i], probabilities[:, i])
            for i, row in enumerate(_per_class(right, actual, predicted, classes))
        ],
    }


def _with_interval(name: str, value: Callable, labels: np.ndarray, guesses: np.ndarray) -> dict:
    """Give `value(labels, guesses)` under its name, with its interval; None twice, where the value is."""
    found = value(labels, guesses)
    interval = None if found is None else resampled(len(labels), lambda drawn: value(labels[drawn], guesses[drawn]))
    return {name: found, f"{name}_interval": interval}


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Average, over a class's pictures, the precision among all that score at least as high; None without such pictures.

    Args:
        labels: whether a picture is of the class, `(images,)`.
        scores: `(images,)`, the higher the likelier.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # equal scores are one step
    found, ranks = np.cumsum(labels[order])[last], np.arange(1, len(labels) + 1)[last]
    return float((np.diff(found, prepend=0) * found / ranks).sum() / found[-1]) if found[-1] else None


def _mean_average_precision(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Average the average precision over the classes that have pictures; 0 where none has."""
    found = [average_precision(*column) for column in zip(labels.T, probabilities.T, strict=True)]
    return float(np.mean([value for value in found if value is not None] or [0.0]))


def _f1(labels: np.ndarray, predictions: np.ndarray, axis: int | None) -> np.ndarray:
    """Compute F1 along an axis; 0 where there is nothing to find and nothing was found, as in scikit-learn."""
    return 2 * (labels & predictions).sum(axis) / np.maximum(labels.sum(axis) + predictions.sum(axis), 1)


def _ratio(part: int, whole: int) -> float | None:
    """Divide; None where there is nothing to divide by."""
    return float(part / whole) if whole else None


def _calibration(confidences: np.ndarray, correct: np.ndarray) -> list[dict]:
    """Average confidence and accuracy in equal bins of confidence, leaving out the empty ones."""
    index = np.minimum((confidences * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "low": i / CALIBRATION_BINS,
            "high": (i + 1) / CALIBRATION_BINS,
            "images": int((index == i).sum()),
            "confidence": float(confidences[index == i].mean()),
            "accuracy": float(correct[index == i].mean()),
        }
        for i in np.unique(index).tolist()
    ]
