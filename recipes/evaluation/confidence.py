"""What a classifier knows of its own confidence, from answers to pictures with known labels that it had not learnt from.

The temperature is in the network's weights; the scores give sets of classes for any coverage, and the threshold of what is
foreign for any share of known pictures that may be refused.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from recipes.evaluation import conformal
from recipes.evaluation.conformal import class_scores
from recipes.evaluation.tasks import Task

SCORE = "lac"
# More scores say little more, and take room in the model's file.
MAX_SCORES = 10_000


@dataclass(frozen=True)
class Confidence:
    """Scores of pictures with known labels, from which thresholds are computed.

    `temperature` is what the network's logits were divided by, and `source` says in words which pictures it comes from.
    `labels` and `scores` have an entry for each of them; where a picture has several labels, one for each of these, and
    `pictures` says whose it is. `foreign` are scores of known pictures by `recipes.evaluation.foreign`; empty without.
    With `is_reported` the pictures are those that the report is about.
    """

    temperature: float
    source: str
    count: int
    labels: np.ndarray
    scores: np.ndarray
    pictures: np.ndarray
    foreign: np.ndarray
    is_reported: bool = False

    def sets(self, task: Task, probabilities: np.ndarray, coverage: float) -> np.ndarray:
        """Give the set of classes of each picture, booleans `(images, classes)`, that holds the right one as often as asked."""
        classes = probabilities.shape[1]
        return class_scores(probabilities, SCORE if task.one_label else "lac") <= self.thresholds(task, classes, coverage)

    def thresholds(self, task: Task, classes: int, coverage: float) -> np.ndarray:
        """Find the score up to which each class is in a set, `(classes,)`; infinite where too few pictures are known."""
        if task.one_label:
            return conformal.thresholds(self.scores, self.labels, classes, coverage)
        each = np.split(self.scores, np.flatnonzero(np.diff(self.pictures)) + 1) if len(self.scores) else []
        return np.full(classes, conformal.label_threshold([*each, *[np.array([])] * (self.count - len(each))], coverage))

    def foreign_threshold(self, refused: float) -> float:
        """Find the score above which at most this share of known pictures lies; infinite where too few are known."""
        return conformal.threshold(self.foreign, 1 - refused)

    def as_dict(self) -> dict:
        """Write the values as JSON takes them."""
        values = asdict(self)
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping, classes: int) -> "Confidence":
        """Read what `as_dict` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            arrays = {name: np.array(values[name], int) for name in ("labels", "pictures")}
            arrays |= {name: np.array(values[name], float) for name in ("scores", "foreign")}
            found = cls(float(values["temperature"]), str(values["source"]), int(values["count"]), **arrays)
            found = replace(found, is_reported=bool(values["is_reported"]))
        except (KeyError, TypeError, OverflowError, ValueError) as error:
            raise ValueError(f"confidence.json is not what was written ({error})") from None
        sizes = {len(found.labels), len(found.scores), len(found.pictures)}
        finite = all(np.isfinite(array).all() for array in arrays.values()) and all(
            array.ndim == 1 for array in arrays.values()
        )
        if not (finite and len(sizes) == 1 and math.isfinite(found.temperature) and found.temperature > 0):
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
    scores = class_scores(probabilities, SCORE if task.one_label else "lac")[pictures, names]
    foreign = np.random.default_rng(0).permutation(foreign)[:MAX_SCORES]
    arrays = names.astype(int), np.round(scores, 6), pictures, np.round(foreign, 6)
    return Confidence(temperature, source, len(labels), *arrays, is_reported)
