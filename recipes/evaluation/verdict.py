"""Sentences that say which of several is best, as far as 95 % intervals can tell."""

import math
from collections.abc import Callable, Mapping, Sequence

from recipes.evaluation.intervals import mean_interval


def verdict(
    intervals: Mapping[str, tuple[float, float, float]],
    what: str,
    undecided: Callable[[list[str]], str],
    best: Callable = max,
    form: str = ".4g",
) -> str:
    """Say which is best, and whether another's interval reaches its.

    Args:
        intervals: value, low and high by name; of equal values the first counts.
        what: what the values are, such as "accuracy".
        undecided: the end of the sentence, from the names of those whose interval reaches that of the best.
        best: `max` or `min`.
        form: how the values are written, as for `format`.
    """
    name = best(intervals, key=lambda name: intervals[name][0])
    value, low, high = intervals[name]
    start = f"{_leader(name, what, value, form)} (95 % interval {low:{form}} to {high:{form}})"
    close = [n for n, (_, other_low, other_high) in intervals.items() if n != name and other_low <= high and low <= other_high]
    return f"{start}, but {undecided(close)}." if close else f"{start}, and no other interval reaches it."


def verdict_over_seeds(scores: Mapping[str, Sequence[float | None]], what: str, best: Callable = max) -> str:
    """Say which has the best mean over seeds; those with a None have diverged."""
    found = {name: mean_interval(values) for name, values in scores.items() if None not in values}
    if not found:
        return f"No {what} can be compared: every one has diverged."
    name = best(found, key=lambda name: found[name][0])
    mean, low, _ = found[name]
    if math.isnan(low):
        return (
            f"{_leader(name, what, mean)}, but a single seed gives no interval: this is no answer yet, give --seeds 3 or more."
        )

    def undecided(close: list[str]) -> str:
        return f"its interval overlaps with that of {', '.join(close)}: these data and seeds do not separate them"

    return verdict(found, what, undecided, best)


def _leader(name: str, what: str, value: float, form: str = ".4g") -> str:
    return f"{name} has the best {what}, {value:{form}}"
