"""Intervals: how far a number may lie from what more pictures, or more seeds, would give."""

import math
from collections.abc import Callable, Sequence

import numpy as np

# Between minus and plus this many standard deviations lie 95 % of a normal distribution.
Z95 = 1.959963984540054
# So many images give an interval that is too narrow to be worth its time.
MIN_UNRESAMPLED = 1_000
RESAMPLES = 500


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Compute (mean, low, high), the 95 % interval of the mean by Student's t; a single value has none, and gets NaN."""
    from scipy.stats import t

    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), math.nan, math.nan
    half = float(t.ppf(0.975, len(values) - 1)) * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def effective(weights: np.ndarray) -> float:
    """Compute how many equally weighted images tell as much as these, `(images,)` (Kish 1965, Survey Sampling)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def standard_error(values: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Compute the standard error of the mean of values `(images,)`, of which each may have a weight."""
    each = np.ones(len(values)) if weights is None else weights
    mean = np.average(values, weights=each)
    return math.sqrt(np.average((values - mean) ** 2, weights=each) / effective(each))


def wilson(correct: float, total: float) -> tuple[float, float]:
    """Compute the 95 % Wilson score interval (low, high) of the share `correct / total`.

    Raises:
        ValueError: the total is 0.
    """
    if total <= 0:
        raise ValueError("an interval needs at least one image")
    share, square = correct / total, Z95**2 / total
    middle = (share + square / 2) / (1 + square)
    half = Z95 * math.sqrt(share * (1 - share) / total + square / (4 * total)) / (1 + square)
    # When none or all are correct the interval ends there exactly; rounding would miss it by one ulp.
    return (0.0 if correct == 0 else middle - half), (1.0 if correct == total else middle + half)


def mean_of_shares(correct: Sequence[float], totals: Sequence[float]) -> tuple[float, float]:
    """Compute the 95 % interval of the mean of independent shares by their Wilson intervals (Zou & Donner 2008, MOVER)."""
    shares = np.divide(correct, totals)
    low, high = np.transpose([wilson(float(c), float(n)) for c, n in zip(correct, totals, strict=True)])
    mean, count = shares.mean(), len(shares)
    below, above = np.sqrt(((shares - low) ** 2).sum()) / count, np.sqrt(((high - shares) ** 2).sum()) / count
    return float(max(mean - below, 0)), float(min(mean + above, 1))


def resampled(images: int, value: Callable[[np.ndarray], float | None]) -> list[float] | None:
    """Compute the 95 % interval of a value of some images: the middle of what other draws of them give.

    Args:
        value: computes it from the indices of images; a draw that has none, and gives None, is left out.

    Returns:
        [low, high]; None for MIN_UNRESAMPLED images or more.
    """
    if images >= MIN_UNRESAMPLED:
        return None
    generator = np.random.default_rng(0)
    draws = [value(generator.integers(0, images, images)) for _ in range(RESAMPLES)]
    low, high = (float(edge) for edge in np.quantile([draw for draw in draws if draw is not None], (0.025, 0.975)))
    if low == high:  # no draw of faultless images finds a fault: the interval is that of a share of them
        low, high = wilson(round(low * images), images)
    return [low, high]
