"""Measures of one classifier on pictures that were drawn one by one, or in groups: each with its 95 % interval.

Pictures of a group (a patient, a video) do not vary independently, so that an interval which counts each for itself is too
narrow: where there are groups, whole groups are drawn. A few groups may look alike by chance; so no interval is narrower than
that of single pictures.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recipes.evaluation.bootstrap import Measure, drawn_counts, expanded_tail, split, summands
from recipes.evaluation.intervals import wilson
from recipes.evaluation.paired import newcombe


@dataclass(frozen=True)
class Sample:
    """How pictures were drawn.

    Args:
        weights: `(images,)`, how much each counts.
        groups: numbers of the pictures' groups, `(images,)`, from 0 without gaps; None: each picture by itself.
    """

    weights: np.ndarray
    groups: np.ndarray | None

    @classmethod
    def of(cls, images: int, weights: np.ndarray | None, groups: Sequence[str] | None) -> "Sample":
        """Make a sample of so many pictures from their weights and the names of their groups; None where there are none."""
        numbers = None if groups is None else np.unique(groups, return_inverse=True)[1]
        return cls(np.ones(images) if weights is None else np.asarray(weights, float), numbers)

    @property
    def units(self) -> int:
        """The number of groups; that of pictures, where there are none."""
        return len(self.weights) if self.groups is None else int(self.groups.max()) + 1

    @property
    def is_plain(self) -> bool:
        """Whether each picture stands for itself, and all count the same."""
        return self.groups is None and not np.ptp(self.weights)

    @property
    def _alone(self) -> "Sample":
        """The same pictures, each by itself."""
        return Sample(self.weights, None)

    def share(self, right: np.ndarray) -> dict:
        """Compute the share of the pictures of which something is true, `(images,)`, as {"value", "interval"}."""
        value = float(np.average(right, weights=self.weights))
        if self.groups is not None:
            interval = self._drawn(np.stack([right * self.weights, self.weights], axis=1))
            interval = interval or list(wilson(value * self.units, self.units))
            return {"value": value, "interval": _wider(interval, self._alone.share(right)["interval"])}
        images = self.weights.sum() ** 2 / (self.weights**2).sum()  # equal ones that tell as much (Kish 1965)
        return {"value": value, "interval": list(wilson(value * images if images != len(right) else right.sum(), images))}

    def difference(self, first: np.ndarray, second: np.ndarray) -> dict:
        """Compute by how much the second's share of right pictures is above the first's, as {"value", "interval"}.

        Args:
            first: whether the first is right, `(images,)`; `second` likewise.
        """
        value = float(np.average(second.astype(float) - first, weights=self.weights))
        if self.is_plain:
            counts = (int(np.sum(those)) for those in (first & second, first & ~second, ~first & second, ~first & ~second))
            return {"value": value, "interval": list(newcombe(*counts))}
        interval = self._drawn(np.stack([(second.astype(float) - first) * self.weights, self.weights], axis=1))
        interval = interval or list(newcombe(self.units, 0, 0, 0))
        if self.groups is not None:
            interval = _wider(interval, self._alone.difference(first, second)["interval"])
        return {"value": value, "interval": interval}

    def _drawn(self, columns: np.ndarray) -> list[float] | None:
        """Compute the interval of the first column's sum over the second's, `(images, 2)`; None where no draw differs."""
        found = self._intervals(columns, {"": lambda rows: rows[:, 0] / rows[:, 1]})
        return found[""]

    def measured(self, truth: csr_array, guess: csr_array, measures: Mapping[str, Measure]) -> dict[str, dict]:
        """Compute measures, each as {"value", "interval"}; the interval is None where no draw differs.

        Args:
            truth: whether a picture is of a class, `(images, classes)`, sparse, 0 and 1.
            guess: whether it was taken for it, of the same shape.
        """
        columns, classes = summands(truth, guess), truth.shape[1]
        weighted = csr_array(columns.multiply(self.weights[:, None]))
        whole = split(np.asarray(weighted.sum(axis=0))[None], classes)
        of_rows = {name: lambda rows, measure=measure: measure(split(rows, classes)) for name, measure in measures.items()}
        intervals = self._intervals(weighted, of_rows)
        if self.groups is not None:
            alone = self._alone._intervals(weighted, of_rows)
            intervals = {name: _wider(interval, alone[name]) for name, interval in intervals.items()}
        return {name: {"value": float(measure(whole)[0]), "interval": intervals[name]} for name, measure in measures.items()}

    def _intervals(self, columns: np.ndarray | csr_array, values: Mapping) -> dict[str, list[float] | None]:
        """Compute intervals of values of column sums, `(draws, columns)`, over draws of groups or pictures."""
        if self.units < 2:
            return dict.fromkeys(values)
        if self.groups is not None:
            member = (np.ones(len(self.groups)), (self.groups, np.arange(len(self.groups))))
            columns = csr_array(member, shape=(self.units, len(self.groups))) @ columns
        found: dict[str, list[np.ndarray]] = defaultdict(list)
        for counts in drawn_counts(self.units):
            rows = np.asarray((columns.T @ counts.T).T)
            for name, value in values.items():
                found[name].append(value(rows))
        tail = expanded_tail(self.units)
        return {name: _between(np.concatenate(parts), tail) for name, parts in found.items()}


def _wider(one: list[float] | None, other: list[float] | None) -> list[float] | None:
    """Join two intervals; None is none."""
    if one is None or other is None:
        return one or other
    return [min(one[0], other[0]), max(one[1], other[1])]


def _between(draws: np.ndarray, tail: float) -> list[float] | None:
    """Take the middle of what draws gave; None where none differs from another."""
    low, high = (float(edge) for edge in np.quantile(draws, (tail, 1 - tail)))
    return [low, high] if high - low > 1e-12 else None
