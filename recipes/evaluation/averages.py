"""Averages over classes, accuracy among the likeliest, and accuracy on each group: what one number does not tell.

Precision, recall and F1 are averaged as scikit-learn does: macro, every class the same; weighted, by its number of pictures.
Where there is nothing to divide by they are 0.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from scipy.sparse import csr_array

from recipes.evaluation.bootstrap import Measure, Sums
from recipes.evaluation.spread import Sample

TOP = (2, 3, 5)
AVERAGES = ("macro", "weighted")


def top_k(labels: np.ndarray, probabilities: np.ndarray, sample: Sample) -> list[dict]:
    """Measure the share of pictures whose class is among the k likeliest, for each k of TOP that leaves classes out.

    Args:
        labels: class numbers `(images,)`.
        probabilities: `(images, classes)`; of equally likely classes the first counts as likelier.
    """
    ranks = np.array([_rank(guess, label) for label, guess in zip(labels, probabilities, strict=True)])
    chosen = [k for k in TOP if k < probabilities.shape[1]]
    return [{"k": k, **_named("accuracy", sample.share(ranks < k))} for k in chosen]


def _rank(guess: np.ndarray, label: int) -> int:
    """Count the classes that are likelier than the label, by one picture's probabilities `(classes,)`."""
    return int((guess > guess[label]).sum() + (guess[:label] == guess[label]).sum())


def averages(truth: csr_array, guess: csr_array, sample: Sample, one_label: bool) -> dict[str, dict]:
    """Average precision, recall and F1 over the classes: {"macro": {"precision", "precision_interval", ...}, "weighted": ...}.

    Args:
        truth: whether a picture is of a class, `(images, classes)`, sparse, 0 and 1.
        guess: whether it was taken for it, of the same shape.
        one_label: whether classes exclude each other; then one that neither occurs nor was predicted does not count.
    """
    found = sample.measured(truth, guess, _measures(one_label))
    return {
        average: {key: value for name in OF_CLASS for key, value in _named(name, found[f"{average} {name}"]).items()}
        for average in AVERAGES
    }


def _named(name: str, measured: Mapping) -> dict:
    """Give a value and its interval as metrics have them."""
    return {name: measured["value"], f"{name}_interval": measured["interval"]}


def _measures(one_label: bool) -> dict[str, Measure]:
    """List what is averaged, and how."""
    return {
        f"{average} {name}": partial(_average, of_class, average == "macro", one_label)
        for average in AVERAGES
        for name, of_class in OF_CLASS.items()
    }


def _average(of_class: Callable[[Sums], np.ndarray], is_macro: bool, one_label: bool, sums: Sums) -> np.ndarray:
    """Average a value of each class, `(draws,)`."""
    if is_macro:
        weights = (sums.actual + sums.taken > 0) if one_label else np.ones_like(sums.actual)
    else:
        weights = sums.actual
    return (of_class(sums) * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), np.finfo(float).tiny)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide; 0 by nothing."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


OF_CLASS: Mapping[str, Callable[[Sums], np.ndarray]] = {
    "precision": lambda sums: _ratio(sums.right, sums.taken),
    "recall": lambda sums: _ratio(sums.right, sums.actual),
    "f1": lambda sums: _ratio(2 * sums.right, sums.actual + sums.taken),
}


def by_group(right: np.ndarray, names: Sequence[str], weights: np.ndarray) -> list[dict]:
    """Measure the accuracy on each group by itself, those that are surely weak first: by the upper end of the interval.

    Args:
        right: whether a picture is right, `(images,)`.
        names: of the pictures' groups, `(images,)`; "" for one that belongs to none, and is left out.
        weights: `(images,)`.
    """
    known, numbers = np.unique(np.asarray(names), return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    rows = []
    for members in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        if name := str(known[numbers[members[0]]]):
            share = _named("accuracy", Sample(weights[members], None).share(right[members]))
            rows.append({"name": name, "images": len(members), "right": int(right[members].sum()), **share})
    return sorted(rows, key=lambda row: (row["accuracy_interval"][1], row["accuracy"], row["name"]))
