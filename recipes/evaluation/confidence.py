"""What a classifier knows of its own confidence, from answers to pictures with known labels that it had not learnt from.

The temperature is in the network's weights; the scores give sets of classes for any coverage, and the threshold of what is
foreign for any share of known pictures that may be refused.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from recipes.evaluation import conformal
from recipes.evaluation.conformal import SCORES, class_scores
from recipes.evaluation.tasks import Task

# By so much the same picture's probabilities may differ in another batch, or on another machine.
ROUNDING = 1e-6
# More scores say little more, and take room in the model's file.
MAX_SCORES = 5_000


@dataclass(frozen=True)
class Confidence:
    """Scores of pictures with known labels, from which thresholds are computed.

    `temperature` is what the network's logits were divided by, and `source` says in words which pictures it comes from.
    `labels` and each kind of `scores`, of the right class, have an entry for each of them; where a picture has several labels,
    one for each of these, and `pictures` says whose it is. `foreign` are scores of known pictures by
    `recipes.evaluation.foreign`; empty without. With `is_reported` the pictures are those that the report is about.
    """

    temperature: float
    source: str
    count: int
    labels: np.ndarray
    scores: dict[str, np.ndarray]
    pictures: np.ndarray
    foreign: np.ndarray
    is_reported: bool = False

    def sets(self, task: Task, probabilities: np.ndarray, coverage: float, score: str = SCORES[0]) -> np.ndarray:
        """Give the set of classes of each picture, booleans `(images, classes)`, that holds the right one as often as asked.

        Args:
            score: one of `conformal.SCORES`; the first, where a picture has several labels.
        """
        limits = self.thresholds(task, probabilities.shape[1], coverage, score) + ROUNDING
        return class_scores(probabilities, score) <= limits

    def thresholds(self, task: Task, classes: int, coverage: float, score: str = SCORES[0]) -> np.ndarray:
        """Find the score up to which each class is in a set, `(classes,)`; infinite where too few pictures are known."""
        scores = self.scores[score]
        if task.one_label:
            return conformal.thresholds(scores, self.labels, classes, coverage)
        each = np.split(scores, np.flatnonzero(np.diff(self.pictures)) + 1) if len(scores) else []
        return np.full(classes, conformal.label_threshold([*each, *[np.array([])] * (self.count - len(each))], coverage))

    def foreign_threshold(self, refused: float) -> float:
        """Find the score above which at most this share of known pictures lies; infinite where too few are known."""
        return conformal.threshold(self.foreign, 1 - refused)

    def as_dict(self) -> dict:
        """Write the values as JSON takes them."""
        values = asdict(self) | {"scores": {name: scores.tolist() for name, scores in self.scores.items()}}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping, classes: int) -> "Confidence":
        """Read what `as_dict` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            arrays = {name: np.array(values[name], int) for name in ("labels", "pictures")}
            scores = {name: np.array(scores, float) for name, scores in values["scores"].items() if name in SCORES}
            arrays["foreign"] = np.array(values["foreign"], float)
            found = cls(float(values["temperature"]), str(values["source"]), int(values["count"]), scores=scores, **arrays)
            found = replace(found, is_reported=bool(values["is_reported"]))
        except (AttributeError, KeyError, TypeError, OverflowError, ValueError) as error:
            raise ValueError(f"confidence.json is not what was written ({error})") from None
        every = [*arrays.values(), *scores.values()]
        finite = all(array.ndim == 1 and np.isfinite(array).all() for array in every)
        is_whole = bool(scores) and {len(found.labels)} == {len(array) for array in (found.pictures, *scores.values())}
        if not (finite and is_whole and math.isfinite(found.temperature) and found.temperature > 0):
            raise ValueError("confidence.json holds no scores, or no temperature")
        if len(found.labels) and not 0 <= found.labels.min() <= found.labels.max() < classes:
            raise ValueError("confidence.json names classes that there are not")
        return found


def learn(
    task: Task,
    labels: np.ndarray,
    probabilities: np.ndarray,
    temperature: float,
    source: str,
    is_reported: bool,
    foreign: np.ndarray,
) -> Confidence:
    """Gather what known pictures tell.

    Args:
        labels: `(images,)`, or of several labels `(images, classes)`.
        probabilities: `(images, classes)`, at that temperature.
        foreign: `(known,)`, how foreign known pictures are.
    """
    chosen = np.random.default_rng(0).permutation(len(labels))[:MAX_SCORES]
    labels, probabilities = labels[chosen], probabilities[chosen]
    if task.one_label:
        pictures, names = np.arange(len(labels)), labels
    else:
        pictures, names = np.nonzero(labels > 0.5)
    kinds = SCORES if task.one_label else SCORES[:1]
    scores = {kind: class_scores(probabilities, kind)[pictures, names].astype(float) for kind in kinds}
    foreign = np.random.default_rng(0).permutation(foreign)[:MAX_SCORES]
    arrays = names.astype(int), scores, pictures, np.round(foreign, 6)
    return Confidence(temperature, source, len(labels), *arrays, is_reported)
