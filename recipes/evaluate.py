"""Numbers that say how good a classifier is: plain Python values, ready for JSON, never NaN."""

import math
from collections.abc import Sequence

import numpy as np

Z95 = 1.959963984540054  # the 97.5 % point of the normal distribution
SMALLEST = 1e-7  # a probability of zero would make the loss infinite
BINS = 10


def wilson(correct: int, total: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of the share `correct / total`."""
    if total <= 0:
        raise ValueError("an interval needs at least one image")
    share, square = correct / total, Z95**2 / total
    middle = (share + square / 2) / (1 + square)
    half = Z95 * math.sqrt(share * (1 - share) / total + square / (4 * total)) / (1 + square)
    # When none or all are correct the interval ends there exactly; rounding would miss it by one ulp.
    return (0.0 if correct == 0 else middle - half), (1.0 if correct == total else middle + half)


def metrics(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict:
    """All measures of one split, from integer labels (n,) and probabilities (n, classes)."""
    labels = np.asarray(labels, dtype=np.int64)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    _check(labels, probabilities, len(classes))
    predictions = probabilities.argmax(axis=1)
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, (labels, predictions), 1)
    rows = _per_class(confusion, classes)
    recalls = [row["recall"] for row in rows if row["recall"] is not None]
    bins = _calibration(probabilities.max(axis=1), predictions == labels)
    images, correct = len(labels), int(np.trace(confusion))
    truth = probabilities[np.arange(images), labels]
    return {
        "images": images,
        "accuracy": correct / images,
        "accuracy_interval": list(wilson(correct, images)),
        "loss": float(np.mean(-np.log(np.clip(truth, SMALLEST, 1.0)))),
        "balanced_accuracy": sum(recalls) / len(recalls),
        "calibration_error": sum(b["images"] * abs(b["accuracy"] - b["confidence"]) for b in bins) / images,
        "calibration": bins,
        "classes": rows,
        "confusion": confusion.tolist(),
    }


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


def _per_class(confusion: np.ndarray, classes: Sequence[str]) -> list[dict]:
    """Precision, recall and F1 of each class; None where there is nothing to divide by."""
    right, actual, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return [
        {
            "name": name,
            "images": int(actual[i]),
            "precision": _ratio(right[i], predicted[i]),
            "recall": _ratio(right[i], actual[i]),
            "f1": _ratio(2 * right[i], actual[i] + predicted[i]),
        }
        for i, name in enumerate(classes)
    ]


def _ratio(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _calibration(confidences: np.ndarray, correct: np.ndarray) -> list[dict]:
    """Mean confidence and accuracy in ten equal bins of confidence, leaving out the empty ones."""
    index = np.minimum((confidences * BINS).astype(int), BINS - 1)
    return [
        {
            "low": i / BINS,
            "high": (i + 1) / BINS,
            "images": int((index == i).sum()),
            "confidence": float(confidences[index == i].mean()),
            "accuracy": float(correct[index == i].mean()),
        }
        for i in np.unique(index).tolist()
    ]
