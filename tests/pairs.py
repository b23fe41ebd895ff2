"""Combinations of settings in which every two values of two settings meet."""

import itertools
from collections.abc import Callable, Mapping, Sequence


def all_pairs(factors: Mapping[str, Sequence], is_refused: Callable[[dict], bool]) -> list[dict]:
    """List combinations of one value a factor, in which any two values of two factors meet; those with most new pairs first.

    Greedy: each combination begins with the first pair that has not met yet, and takes of every other factor the value that
    adds most of them.

    Args:
        is_refused: whether a combination, or a part of one, cannot be had; such pairs do not meet.
    """
    names, rows = list(factors), []
    pairs = itertools.combinations(names, 2)
    every = [((a, x), (b, y)) for a, b in pairs for x in factors[a] for y in factors[b]]
    left = dict.fromkeys(pair for pair in every if not is_refused(dict(pair)))
    while left:
        row = dict(next(iter(left)))
        for name in sorted(set(names) - row.keys(), key=lambda name: (-len(factors[name]), name)):
            possible = [value for value in factors[name] if not is_refused(row | {name: value})]
            row[name] = max(possible, key=lambda value: len(left.keys() & met(row | {name: value}, names)))
        for pair in met(row, names):
            left.pop(pair, None)
        rows.append({name: row[name] for name in names})
    return _telling_first(rows, names)


def met(row: Mapping, names: Sequence[str]) -> set[tuple]:
    """Collect the pairs of values that meet in a combination, or in a part of one."""
    return set(itertools.combinations([(name, row[name]) for name in names if name in row], 2))


def _telling_first(rows: list[dict], names: Sequence[str]) -> list[dict]:
    """Order combinations so that the first ones hold most of the values, and then most of the pairs."""
    ordered, seen, rows = [], set(), list(rows)
    while rows:
        best = max(rows, key=lambda row: (len(set(row.items()) - seen), len(met(row, names) - seen)))
        seen |= met(best, names) | set(best.items())
        ordered.append(best)
        rows.remove(best)
    return ordered
