"""Sentences that say which of several is best, as far as 95 % intervals can tell."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from recipes.evaluation.intervals import mean_interval


class Contender(NamedTuple):
    """One of those that are compared: its name, its value, and the ends of its interval."""

    name: str
    value: float
    low: float
    high: float


def verdict(
    contenders: Sequence[Contender],
    what: str,
    undecided: Callable[[list[Contender]], str],
    best: Callable = max,
    write: Callable[[float], str] = "{:.4g}".format,
) -> str:
    """Say which is best, and whether another's interval reaches its.

    Args:
        contenders: of equal values the first counts.
        what: what the values are, such as "accuracy".
        undecided: the end of the sentence, from those whose intervals reach that of the best.
        best: `max` or `min`.
        write: how a value is written.
    """
    leader = best(contenders, key=lambda contender: contender.value)
    start = f"{_lead(leader, what, write)} (95 % interval {write(leader.low)} to {write(leader.high)})"
    close = [c for c in contenders if c is not leader and c.low <= leader.high and leader.low <= c.high]
    return f"{start}, but {undecided(close)}." if close else f"{start}, and no other interval reaches it."


def verdict_over_seeds(scores: Mapping[str, Sequence[float | None]], what: str, best: Callable = max) -> str:
    """Say which has the best mean over seeds; those with a None have diverged."""
    found = [Contender(name, *mean_interval(values)) for name, values in scores.items() if None not in values]
    if not found:
        return f"No {what} can be compared: every one has diverged."
    leader = best(found, key=lambda contender: contender.value)
    if math.isnan(leader.low):
        return f"{_lead(leader, what)}, but a single seed gives no interval: this is no answer yet, give --seeds 3 or more."

    def undecided(close: list[Contender]) -> str:
        names = ", ".join(contender.name for contender in close)
        return f"its interval overlaps with that of {names}: these data and seeds do not separate them"

    return verdict(found, what, undecided, best)


def _lead(leader: Contender, what: str, write: Callable[[float], str] = "{:.4g}".format) -> str:
    """Begin the sentence: which is best, and its value."""
    return f"{leader.name} has the best {what}, {write(leader.value)}"
