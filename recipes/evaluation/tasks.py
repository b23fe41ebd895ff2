"""Kinds of task: a picture is of one class, or has any number of labels. All that differs between them is here.

`MULTI_CLASS` labels are class numbers `(images,)`, `MULTI_LABEL` ones rows of 0 and 1 `(images, classes)`. Which it is, the
source of the pictures says (`Listing.task`); from there the value is passed on, and nobody asks again. `Task` documents the
methods of both.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from recipes.console import percent
from recipes.evaluation import metrics
from recipes.evaluation.folds import grouped_folds

LABEL_SEPARATOR = ";"


class Task(ABC):
    """What the kind of task decides.

    `activation` is the classifier's; with `one_label`, classes exclude each other. Wherever a method takes `truth`, it is
    labels as rows `(images, classes)`; `guess` is the probabilities of the same shape, unless it says otherwise.
    """

    activation: str
    one_label: bool

    @abstractmethod
    def encode(self, labels: Sequence, classes: Sequence[str]) -> np.ndarray:
        """Turn names of classes, as a source gives them, into labels."""

    @abstractmethod
    def one_hot(self, labels: np.ndarray, classes: int | None = None) -> np.ndarray:
        """Turn labels into rows of 0 and 1 `(images, classes)`, float32; as many classes as occur, if it is not said."""

    @abstractmethod
    def names(self, label: np.ndarray, classes: Sequence[str]) -> str:
        """Say one picture's label in words; of a mixed one the two largest shares."""

    @abstractmethod
    def count(self, labels: np.ndarray, classes: int) -> list[int]:
        """Count the pictures of each class."""

    @abstractmethod
    def strata(self, labels: np.ndarray) -> list[int]:
        """Say of each picture what a division into parts keeps in proportion: its class, or its rarest label, −1 for none."""

    @abstractmethod
    def folds(
        self, labels: np.ndarray, count: int, seed: int, groups: np.ndarray | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Divide pictures into (train, test) indices, `count` times, or as often as the pictures allow; no group is divided."""

    @abstractmethod
    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Turn logits `(..., classes)` into probabilities, without overflow."""

    @abstractmethod
    def log_loss(self, truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """Give each picture's log-loss `(images,)`."""

    @abstractmethod
    def cross_entropy(self, truth: np.ndarray, logits: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """Give the terms, one a class, whose sum is the log-loss that is minimised; precise where a guess is sure."""

    @abstractmethod
    def accuracy(self, labels: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """Give each picture's share of right answers `(images,)`."""

    @abstractmethod
    def predicted(self, guess: np.ndarray) -> np.ndarray:
        """Say which classes one picture's probabilities `(classes,)` stand for, as booleans `(classes,)`."""

    @abstractmethod
    def confidence(self, guess: np.ndarray) -> float:
        """Give the probability of one picture's answer, from probabilities `(classes,)`; of several, the least sure."""

    @abstractmethod
    def losses(self, labels: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """Give each picture's log-loss `(images,)` from labels, as the metrics average it."""

    @abstractmethod
    def loss(self, labels: np.ndarray) -> str:
        """Name Keras' loss for labels, which may have been mixed."""

    @abstractmethod
    def accuracy_metric(self, labels: np.ndarray) -> str:
        """Name Keras' function, for labels which may have been mixed, whose mean is logged as "accuracy"."""

    @abstractmethod
    def measures(self, counts: Sequence[int]) -> tuple[dict[str, str], str]:
        """Say what to report, keys of `metrics` with their names, the most telling first; and why."""

    @property
    @abstractmethod
    def repeated(self) -> dict[str, str]:
        """The measures that repeats of a run average, with their names."""

    @abstractmethod
    def metrics(
        self, labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], weights: np.ndarray | None = None
    ) -> dict:
        """Measure one part of the pictures, as `recipes.evaluation.metrics` does.

        Raises:
            ValueError: there are no images, shapes differ, or a probability is no finite number.
        """


class MultiClass(Task):
    """A picture is of one class."""

    activation = "softmax"
    one_label = True

    def encode(self, labels: Sequence[str], classes: Sequence[str]) -> np.ndarray:
        number = {name: i for i, name in enumerate(classes)}
        return np.array([number[label] for label in labels])

    def one_hot(self, labels: np.ndarray, classes: int | None = None) -> np.ndarray:
        return np.eye(classes or labels.max() + 1, dtype="float32")[labels]

    def names(self, label: np.ndarray, classes: Sequence[str]) -> str:
        if not np.ndim(label):
            return classes[label]
        if set(np.unique(label)) <= {0, 1}:
            return classes[label.argmax()]
        return ", ".join(f"{classes[i]} {percent(label[i], 0)}" for i in np.argsort(-label, kind="stable")[:2])

    def count(self, labels: np.ndarray, classes: int) -> list[int]:
        return np.bincount(labels, minlength=classes).tolist()

    def strata(self, labels: np.ndarray) -> list[int]:
        return labels.tolist()

    def folds(
        self, labels: np.ndarray, count: int, seed: int, groups: np.ndarray | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        from sklearn.model_selection import StratifiedKFold

        if groups is not None:
            return grouped_folds(self.strata(labels), groups, count, seed)
        count = min(count, int(np.bincount(labels).min()))
        return list(StratifiedKFold(count, shuffle=True, random_state=seed).split(labels, labels))

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)

    def log_loss(self, truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
        return -(truth * np.log(np.maximum(guess, 1e-12))).sum(axis=1)

    def cross_entropy(self, truth: np.ndarray, logits: np.ndarray, guess: np.ndarray) -> np.ndarray:
        return -truth * np.log(np.maximum(guess, 1e-30))

    def accuracy(self, labels: np.ndarray, guess: np.ndarray) -> np.ndarray:
        return guess.argmax(axis=1) == labels

    def predicted(self, guess: np.ndarray) -> np.ndarray:
        return np.arange(len(guess)) == guess.argmax()

    def confidence(self, guess: np.ndarray) -> float:
        return float(guess.max())

    def losses(self, labels: np.ndarray, guess: np.ndarray) -> np.ndarray:
        return metrics.losses(labels, guess)

    def loss(self, labels: np.ndarray) -> str:
        return "categorical_crossentropy" if labels.ndim > 1 else "sparse_categorical_crossentropy"

    def accuracy_metric(self, labels: np.ndarray) -> str:
        return "categorical_accuracy" if labels.ndim > 1 else "sparse_categorical_accuracy"

    def measures(self, counts: Sequence[int]) -> tuple[dict[str, str], str]:
        return metrics.measures(counts)

    @property
    def repeated(self) -> dict[str, str]:
        return metrics.MEASURES

    def metrics(
        self, labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], weights: np.ndarray | None = None
    ) -> dict:
        return metrics.metrics(labels, probabilities, classes, weights)


class MultiLabel(Task):
    """A picture has any number of labels, each a class with a probability of its own."""

    activation = "sigmoid"
    one_label = False

    def encode(self, labels: Sequence[tuple[str, ...]], classes: Sequence[str]) -> np.ndarray:
        number = {name: i for i, name in enumerate(classes)}
        rows = np.zeros((len(labels), len(classes)), "float32")
        for row, names in zip(rows, labels, strict=True):
            row[[number[name] for name in names]] = 1
        return rows

    def one_hot(self, labels: np.ndarray, classes: int | None = None) -> np.ndarray:
        return labels.astype("float32")

    def names(self, label: np.ndarray, classes: Sequence[str]) -> str:
        if not set(np.unique(label)) <= {0, 1}:
            return ", ".join(f"{classes[i]} {percent(label[i], 0)}" for i in np.argsort(-label, kind="stable")[:2])
        return LABEL_SEPARATOR.join(classes[i] for i in np.flatnonzero(label))

    def count(self, labels: np.ndarray, classes: int) -> list[int]:
        return labels.sum(axis=0).astype(int).tolist()

    def strata(self, labels: np.ndarray) -> list[int]:
        rarity = np.where(labels > 0, labels.sum(axis=0), np.inf)
        return np.where(labels.any(axis=1), rarity.argmin(axis=1), -1).tolist()

    def folds(
        self, labels: np.ndarray, count: int, seed: int, groups: np.ndarray | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        from sklearn.model_selection import KFold

        if groups is not None:
            return grouped_folds(self.strata(labels), groups, count, seed, complete=False)
        return list(KFold(min(count, len(labels)), shuffle=True, random_state=seed).split(labels))

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        return 0.5 * (1 + np.tanh(0.5 * logits))

    def log_loss(self, truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
        there = truth * np.log(np.maximum(guess, 1e-12))
        return -there.sum(axis=1) - ((1 - truth) * np.log(np.maximum(1 - guess, 1e-12))).sum(axis=1)

    def cross_entropy(self, truth: np.ndarray, logits: np.ndarray, guess: np.ndarray) -> np.ndarray:
        return np.logaddexp(0, logits) - truth * logits

    def accuracy(self, labels: np.ndarray, guess: np.ndarray) -> np.ndarray:
        return ((guess > 0.5) == labels).mean(axis=1)

    def predicted(self, guess: np.ndarray) -> np.ndarray:
        return guess > 0.5

    def confidence(self, guess: np.ndarray) -> float:
        return float(np.abs(guess - ~self.predicted(guess)).min())

    def losses(self, labels: np.ndarray, guess: np.ndarray) -> np.ndarray:
        return metrics.label_losses(labels, guess)

    def loss(self, labels: np.ndarray) -> str:
        return "binary_crossentropy"

    def accuracy_metric(self, labels: np.ndarray) -> str:
        return "binary_accuracy"

    def measures(self, counts: Sequence[int]) -> tuple[dict[str, str], str]:
        return metrics.LABEL_MEASURES, "pictures may have several labels"

    @property
    def repeated(self) -> dict[str, str]:
        return metrics.LABEL_MEASURES

    def metrics(
        self, labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], weights: np.ndarray | None = None
    ) -> dict:
        return metrics.label_metrics(labels, probabilities, classes, weights)


MULTI_CLASS = MultiClass()
MULTI_LABEL = MultiLabel()


def of_activation(activation: str) -> Task:
    """Find the task of a saved model by the activation that it ends in."""
    return MULTI_LABEL if activation == MULTI_LABEL.activation else MULTI_CLASS
