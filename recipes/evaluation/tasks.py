"""Kinds of task: a picture is of one class, or has any number of labels. All that differs between them stands here.

`MULTI_CLASS` labels are class numbers `(images,)`, `MULTI_LABEL` ones rows of 0 and 1 `(images, classes)`. Which it is, the
source of the pictures says (`Listing.task`); from there the value is passed on, and nobody asks again.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from recipes.evaluation import metrics

SEPARATOR = ";"  # of several labels, in files


class Task(ABC):
    """What the kind of task decides."""

    activation: str  # of the classifier
    one_label: bool  # whether the classes exclude each other

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
        """Say of each picture what a division into parts keeps in proportion."""

    @abstractmethod
    def folds(self, labels: np.ndarray, count: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Divide pictures into (train, test) indices, so many times."""

    @abstractmethod
    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Turn logits `(..., classes)` into probabilities."""

    @abstractmethod
    def log_loss(self, truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """Give each picture's log-loss `(images,)`; `truth` as rows."""

    @abstractmethod
    def cross_entropy(self, truth: np.ndarray, logits: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """Give the terms, one a class, whose sum is the log-loss that is minimised; precise where a guess is sure."""

    @abstractmethod
    def accuracy(self, labels: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """Give each picture's share of right answers `(images,)`."""

    @abstractmethod
    def predicted(self, guess: np.ndarray) -> np.ndarray:
        """Say which classes one picture's probabilities `(classes,)` stand for, as booleans."""

    @abstractmethod
    def confidence(self, guess: np.ndarray) -> float:
        """Give the probability that stands for one picture's answer."""

    @abstractmethod
    def loss(self, labels: np.ndarray) -> str:
        """Name Keras' loss for labels, which may have been mixed."""

    @abstractmethod
    def accuracy_metric(self):
        """Give Keras' metric that is logged as "accuracy"."""

    @abstractmethod
    def measures(self, counts: Sequence[int]) -> tuple[dict[str, str], str]:
        """Say what to report, keys of `metrics` with their names, the most telling first; and why."""

    @property
    @abstractmethod
    def repeated(self) -> dict[str, str]:
        """All the measures that repeats of a run average."""

    @abstractmethod
    def metrics(self, labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict:
        """Measure one part."""


class MultiClass(Task):
    """A picture is of one class."""

    activation = "softmax"
    one_label = True

    def encode(self, labels: Sequence[str], classes: Sequence[str]) -> np.ndarray:
        """Turn names into class numbers."""
        number = {name: i for i, name in enumerate(classes)}
        return np.array([number[label] for label in labels])

    def one_hot(self, labels: np.ndarray, classes: int | None = None) -> np.ndarray:
        """Turn class numbers into rows of a single 1."""
        return np.eye(classes or labels.max() + 1, dtype="float32")[labels]

    def names(self, label: np.ndarray, classes: Sequence[str]) -> str:
        """Name the class; of a mixed row the two largest shares."""
        if not np.ndim(label):
            return classes[label]
        if set(np.unique(label)) <= {0, 1}:
            return classes[label.argmax()]
        return ", ".join(f"{classes[i]} {label[i]:.0%}" for i in np.argsort(-label, kind="stable")[:2])

    def count(self, labels: np.ndarray, classes: int) -> list[int]:
        """Count the pictures of each class."""
        return np.bincount(labels, minlength=classes).tolist()

    def strata(self, labels: np.ndarray) -> list[int]:
        """Keep the classes in proportion."""
        return labels.tolist()

    def folds(self, labels: np.ndarray, count: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Divide so that each part has its share of each class; no more parts than the smallest class has pictures."""
        from sklearn.model_selection import StratifiedKFold

        count = min(count, int(np.bincount(labels).min()))
        return list(StratifiedKFold(count, shuffle=True, random_state=seed).split(labels, labels))

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Apply softmax."""
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)

    def log_loss(self, truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """Give −log of the true class's probability."""
        return -(truth * np.log(np.maximum(guess, 1e-12))).sum(axis=1)

    def cross_entropy(self, truth: np.ndarray, logits: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """Give −truth · log(guess)."""
        return -truth * np.log(np.maximum(guess, 1e-30))

    def accuracy(self, labels: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """Give 1 where the likeliest class is right."""
        return guess.argmax(axis=1) == labels

    def predicted(self, guess: np.ndarray) -> np.ndarray:
        """Choose the likeliest class."""
        return np.arange(len(guess)) == guess.argmax()

    def confidence(self, guess: np.ndarray) -> float:
        """Give the likeliest class's probability."""
        return float(guess.max())

    def loss(self, labels: np.ndarray) -> str:
        """Choose by whether labels are numbers or, mixed, rows."""
        return "categorical_crossentropy" if labels.ndim > 1 else "sparse_categorical_crossentropy"

    def accuracy_metric(self) -> str:
        """Give the share of the pictures that are right."""
        return "accuracy"

    def measures(self, counts: Sequence[int]) -> tuple[dict[str, str], str]:
        """Report accuracy, or where classes are uneven what counts each of them the same."""
        return metrics.measures(counts)

    @property
    def repeated(self) -> dict[str, str]:
        """Accuracy, balanced accuracy, macro F1."""
        return metrics.MEASURES

    def metrics(self, labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict:
        """Measure one part: accuracy with Wilson's interval, each class, the confusion matrix, calibration."""
        return metrics.metrics(labels, probabilities, classes)


class MultiLabel(Task):
    """A picture has any number of labels, each a class with a probability of its own."""

    activation = "sigmoid"
    one_label = False

    def encode(self, labels: Sequence[tuple[str, ...]], classes: Sequence[str]) -> np.ndarray:
        """Turn names into rows of 0 and 1."""
        number = {name: i for i, name in enumerate(classes)}
        rows = np.zeros((len(labels), len(classes)), "float32")
        for row, names in zip(rows, labels, strict=True):
            row[[number[name] for name in names]] = 1
        return rows

    def one_hot(self, labels: np.ndarray, classes: int | None = None) -> np.ndarray:
        """Leave the rows as they are."""
        return labels.astype("float32")

    def names(self, label: np.ndarray, classes: Sequence[str]) -> str:
        """Name all labels; of a mixed row the two largest shares."""
        if not set(np.unique(label)) <= {0, 1}:
            return ", ".join(f"{classes[i]} {label[i]:.0%}" for i in np.argsort(-label, kind="stable")[:2])
        return SEPARATOR.join(classes[i] for i in np.flatnonzero(label))

    def count(self, labels: np.ndarray, classes: int) -> list[int]:
        """Count the pictures that have each label."""
        return labels.sum(axis=0).astype(int).tolist()

    def strata(self, labels: np.ndarray) -> list[int]:
        """Keep each picture's rarest label in proportion; −1 stands for those without any."""
        rarity = np.where(labels > 0, labels.sum(axis=0), np.inf)
        return np.where(labels.any(axis=1), rarity.argmin(axis=1), -1).tolist()

    def folds(self, labels: np.ndarray, count: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Divide at random."""
        from sklearn.model_selection import KFold

        return list(KFold(min(count, len(labels)), shuffle=True, random_state=seed).split(labels))

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Apply the sigmoid, in a form that cannot overflow."""
        return 0.5 * (1 + np.tanh(0.5 * logits))

    def log_loss(self, truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """Add up the binary log-losses of all labels."""
        there = truth * np.log(np.maximum(guess, 1e-12))
        return -there.sum(axis=1) - ((1 - truth) * np.log(np.maximum(1 - guess, 1e-12))).sum(axis=1)

    def cross_entropy(self, truth: np.ndarray, logits: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """Give log(1 + exp(logit)) − truth · logit."""
        return np.logaddexp(0, logits) - truth * logits

    def accuracy(self, labels: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """Give the share of a picture's labels, there or not, that are right."""
        return ((guess > 0.5) == labels).mean(axis=1)

    def predicted(self, guess: np.ndarray) -> np.ndarray:
        """Choose all classes over one half."""
        return guess > 0.5

    def confidence(self, guess: np.ndarray) -> float:
        """Give the probability of the label that is least sure, there or not."""
        return float(np.abs(guess - ~self.predicted(guess)).min())

    def loss(self, labels: np.ndarray) -> str:
        """Choose the binary loss of each label."""
        return "binary_crossentropy"

    def accuracy_metric(self):
        """Give the share of all labels that are right."""
        import keras

        return keras.metrics.BinaryAccuracy(name="accuracy")

    def measures(self, counts: Sequence[int]) -> tuple[dict[str, str], str]:
        """Report mean average precision and F1."""
        return metrics.LABEL_MEASURES, "pictures may have several labels"

    @property
    def repeated(self) -> dict[str, str]:
        """Mean average precision, macro and micro F1."""
        return metrics.LABEL_MEASURES

    def metrics(self, labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict:
        """Measure one part: mean average precision, F1 and each class, with intervals."""
        return metrics.label_metrics(labels, probabilities, classes)


MULTI_CLASS, MULTI_LABEL = MultiClass(), MultiLabel()


def of_activation(activation: str) -> Task:
    """Find the task of a saved model by the activation that it ends in."""
    return MULTI_LABEL if activation == MULTI_LABEL.activation else MULTI_CLASS
