"""What a saved run can say beside probabilities: sets of classes, which pictures are of no known class, and drift.

It takes the features that the network ends with, which one pass gives with the probabilities.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from recipes.errors import UserError, shown
from recipes.evaluation import drift, foreign
from recipes.evaluation.conformal import SCORES, needed
from recipes.evaluation.drift import Drift
from recipes.runs import reference
from recipes.runs.model_file import Classifier
from recipes.runs.reference import Reference

# Of more pictures so many, drawn by lot, are compared with the known ones.
MAX_COMPARED = drift.MAX_PICTURES
# The share of known pictures that may be refused, if nobody says another.
REFUSED = 0.05


@dataclass(frozen=True)
class Assurance:
    """Says of features and probabilities what is sure of them; None for what the run cannot tell, or nobody asked.

    `coverage` is how often a set shall hold the right class, by that `score`, None for no sets; `refuse` the share of known
    pictures that may be told to be unknown, 0 for none.
    """

    classifier: Classifier
    known: Reference | None
    coverage: float | None = None
    refuse: float = 0.0
    score: str = SCORES[0]

    @property
    def needs_features(self) -> bool:
        """Whether there is something that is told by features."""
        return self.known is not None

    def sets(self, probabilities: np.ndarray) -> np.ndarray | None:
        """Give the classes in each picture's set, booleans `(pictures, classes)`."""
        if self.coverage is None:
            return None
        return self.classifier.confidence.sets(self.classifier.task, probabilities, self.coverage, self.score)

    def unknown(self, features: np.ndarray) -> np.ndarray | None:
        """Say which pictures are of no known class, booleans `(pictures,)`, from features `(pictures, features)`."""
        if not self.refuse or self.known is None or not math.isfinite(self._threshold):
            return None
        return self.foreignness(features) > self._threshold

    def foreignness(self, features: np.ndarray) -> np.ndarray:
        """Score pictures by how foreign they are, `(pictures,)`; nothing of a run without a reference."""
        return np.zeros(0) if self.known is None else foreign.foreignness(features, self._units)

    def drift(self, features: np.ndarray) -> Drift | None:
        """Compare pictures, as a whole, with the known ones; None where there are too few of either."""
        return None if self.known is None else drift.compare(features, self.known.comparable)

    @cached_property
    def _threshold(self) -> float:
        """The score above which a picture is refused."""
        sure = self.classifier.confidence
        return sure.foreign_threshold(self.refuse) if sure else math.inf

    @cached_property
    def _units(self) -> np.ndarray:
        """Features of the training pictures, of length 1."""
        return foreign.unit(self.known.features)


def assurance(
    folder: Path, classifier: Classifier, coverage: float | None, refuse: float | None, score: str = SCORES[0]
) -> tuple[Assurance, list[str]]:
    """Read what a run can tell, and say in sentences what it cannot.

    Args:
        coverage: how often a set shall hold the right class, between 0 and 1; None for no sets.
        refuse: the share of known pictures that may be refused; 0 for none, None for the usual one, where that can be told.
        score: one of `conformal.SCORES`, by which sets are made.

    Raises:
        UserError: sets are asked for, and the run does not know how sure it is; or its reference.npz is damaged.
    """
    sure, known, notes = classifier.confidence, reference.read(folder), []
    if coverage is not None and score != SCORES[0] and not classifier.task.one_label:
        raise UserError(
            f"--score {score} is for classes that exclude each other: pictures of this run have any number of labels."
        )
    if coverage is not None and (sure is None or not sure.count):
        raise UserError(
            f"--coverage needs answers to pictures with known labels that the network had not learnt from, and {shown(folder)} "
            "has none: it is older, or nothing was held out. Make it again, with --validation or --test above 0."
        )
    if coverage is not None and not np.isfinite(sure.thresholds(classifier.task, len(classifier.classes), coverage)).all():
        notes.append(
            f"--coverage {coverage:g} needs {needed(coverage):,} pictures with known labels, and this run has {sure.count:,}: "
            "classes for which there are too few are in every set, which alone keeps the promise."
        )
    if known is None:
        notes.append(
            f"{shown(folder)} has no {reference.NAME}, because it is older or came from a hub: unknown pictures and drift are "
            "not recognised. Make the run again to have both."
        )
    elif refuse and not (sure and math.isfinite(sure.foreign_threshold(refuse))):
        notes.append(
            f"--refuse {refuse:g} needs {needed(1 - refuse):,} known pictures that say how foreign such are, and this run has "
            f"{len(sure.foreign) if sure else 0:,}: none is told to be unknown."
        )
    return Assurance(classifier, known, coverage, REFUSED if refuse is None else refuse, score), notes


class FeatureSample:
    """Keeps features of a stream of pictures, `MAX_COMPARED` of any number, each as likely as any other (Vitter 1985)."""

    def __init__(self):
        self._rows: list[np.ndarray] = []
        self._seen, self._generator = 0, np.random.default_rng(0)

    def add(self, features: np.ndarray) -> None:
        """Offer a batch of features `(pictures, features)`."""
        for row in features:
            self._seen += 1
            if len(self._rows) < MAX_COMPARED:
                self._rows.append(row)
            elif (place := int(self._generator.integers(self._seen))) < MAX_COMPARED:
                self._rows[place] = row

    @property
    def features(self) -> np.ndarray:
        """What was kept, `(pictures, features)`."""
        return np.stack(self._rows) if self._rows else np.zeros((0, 0))
