"""Accuracy against coverage: how right a classifier is where it answers only the pictures of which it is surest.

Geifman & El-Yaniv 2017, "Selective Classification for Deep Neural Networks", arXiv:1705.08500.
"""

import numpy as np

from recipes.evaluation.intervals import wilson

# The shares of pictures that a report says in numbers.
SHARES = (1.0, 0.9, 0.8, 0.7, 0.5)
MAX_POINTS = 100


def accuracy_by_coverage(right: np.ndarray, confidence: np.ndarray) -> dict:
    """Compute the accuracy on the surest share of the pictures, for shares from few to all.

    Pictures that are equally sure are answered together, or not at all.

    Args:
        right: booleans, `(images,)`.
        confidence: `(images,)`, the higher the surer.

    Returns:
        `curve`, pairs of coverage and accuracy, and `rows` for some coverages: each with its `coverage`, the least
        `confidence` to answer, `images`, `accuracy`, and its 95 % `interval`.
    """
    order = np.argsort(-confidence, kind="stable")
    found, count = np.cumsum(right[order]), len(right)
    ends = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True))
    shown = ends[np.unique(np.linspace(0, len(ends) - 1, MAX_POINTS).round().astype(int))]
    rows = []
    for end in dict.fromkeys(int(ends[min(np.searchsorted(ends + 1, share * count), len(ends) - 1)]) for share in SHARES):
        rows.append(
            {
                "coverage": (end + 1) / count,
                "confidence": float(confidence[order[end]]),
                "images": end + 1,
                "accuracy": float(found[end] / (end + 1)),
                "interval": list(wilson(float(found[end]), end + 1)),
            }
        )
    return {"curve": [[(end + 1) / count, float(found[end] / (end + 1))] for end in shown.tolist()], "rows": rows}
