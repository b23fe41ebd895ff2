"""Accuracy against coverage, counted by hand."""

import numpy as np
from scipy.stats import binomtest

from recipes.evaluation.abstention import accuracy_by_coverage


def test_counted_by_hand():
    right = np.array([1, 0, 1, 1, 1, 0, 1, 1, 1, 0], bool)
    confidence = np.array([0.95, 0.5, 0.9, 0.9, 0.8, 0.6, 0.7, 0.85, 0.99, 0.55])
    found = accuracy_by_coverage(right, confidence)
    # From the surest: 0.99 0.95 0.9 0.9 0.85 0.8 0.7 are right; 0.6 0.55 0.5 wrong. The two of 0.9 go together.
    assert found["curve"] == [[n / 10, min(n, 7) / n] for n in (1, 2, 4, 5, 6, 7, 8, 9, 10)]
    assert [(row["images"], row["confidence"]) for row in found["rows"]] == [
        (10, 0.5),
        (9, 0.55),
        (8, 0.6),
        (7, 0.7),
        (5, 0.85),
    ]
    theirs = binomtest(7, 8).proportion_ci(method="wilson")
    np.testing.assert_allclose(found["rows"][2]["interval"], [theirs.low, theirs.high])


def test_pictures_that_are_all_equally_sure_are_answered_together():
    found = accuracy_by_coverage(np.array([True, False, True]), np.ones(3))
    assert found["curve"] == [[1.0, 2 / 3]]
    assert len(found["rows"]) == 1
