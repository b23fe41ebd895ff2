"""An evaluation of a finished run as values of its result.json."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from recipes.data.corruptions import CORRUPTIONS
from recipes.data.dataset import Dataset
from recipes.data.measured import TRAIN
from recipes.evaluation import bootstrap
from recipes.evaluation.averages import averages, by_group, top_k
from recipes.evaluation.promises import described, promises
from recipes.evaluation.spread import Sample
from recipes.runs.assurance import Assurance
from recipes.runs.folder import recover
from recipes.runs.measuring import VIEWS, Timed, averaged, corrupted, distinct, features
from recipes.runs.model_file import Classifier
from recipes.settings.evaluate import Evaluation

# Of the digests in files.csv.
HEXADECIMAL = 64


@dataclass(frozen=True)
class Origin:
    """What a finished run says of itself beside its model: values of its result.json, and what it was trained on.

    Args:
        trained: the part of each picture, by its digest; None where its files.csv does not say it.
    """

    result: dict
    trained: dict[str, str] | None

    @classmethod
    def read(cls, run: Path) -> "Origin":
        """Read what is there: the model alone can be measured, too."""
        place = recover(run)
        try:
            result = json.loads((place / "result.json").read_text("utf-8"))
        except (OSError, ValueError):
            result = {}
        trained: dict[str, str] = {}
        try:
            with open(place / "files.csv", newline="", encoding="utf-8", errors="surrogateescape") as file:
                for row in csv.DictReader(file):
                    if row["split"] and len(row["sha256"]) == HEXADECIMAL and trained.get(row["sha256"]) != TRAIN:
                        trained[row["sha256"]] = row["split"]
        except (OSError, KeyError, TypeError, csv.Error):
            trained = {}
        return cls(result if isinstance(result, dict) else {}, trained or None)


def measured(classifier: Classifier, data: Dataset, found: Timed, settings: Evaluation) -> dict:
    """Measure what was said of the pictures, and what --corruptions and --views ask for, as values of result.json."""
    task, part = data.task, str(data.splits[0])
    everything = np.arange(len(data.paths))
    weights, guesses = data.weights_of(everything), found.probabilities
    sample = Sample.of(len(everything), weights, data.groups)
    truth, predicted = _rows(data, data.labels), _rows(data, _predictions(data, guesses))
    scores = task.metrics(data.labels, guesses, data.classes, weights)
    if data.groups is not None:
        scores |= _of_groups(truth, predicted, sample, task.one_label)
    right = is_right(data, guesses)
    return {
        "metrics": {part: scores},
        "top_k": top_k(data.labels, guesses, sample) if task.one_label else [],
        "averages": averages(truth, predicted, sample, task.one_label),
        "by_group": None if data.groups is None else by_group(right, _named_groups(data), sample.weights),
        "robustness": _robustness(classifier, data, right, sample, settings),
        "views": _views(classifier, data, found, right, sample, settings),
    }


def confidence(sure: Assurance, data: Dataset, found: Timed) -> dict:
    """Measure what the run promises of its confidence, and whether the pictures differ from those that it knows."""
    part, learnt = str(data.splits[0]), sure.classifier.confidence
    rows = features(sure.classifier, data) if sure.needs_features else np.zeros((0, 0))
    drift = sure.drift(rows)
    return {
        "confidence": learnt
        and described(learnt, part)
        | promises(
            data.task,
            data.labels,
            found.probabilities,
            data.weights_of(np.arange(len(data.paths))),
            learnt,
            sure.foreignness(rows),
            is_other=True,
        ),
        "drift": drift and asdict(drift) | {"is_alarming": drift.is_alarming, "sentence": drift.sentence},
    }


def is_right(data: Dataset, guesses: np.ndarray) -> np.ndarray:
    """Say of each picture whether all that was predicted is right, `(images,)`."""
    predicted = _predictions(data, guesses)
    return predicted == data.labels if data.task.one_label else (predicted == (data.labels > 0)).all(axis=1)


def _named_groups(data: Dataset) -> list[str]:
    """Give the name of each picture's group; "" for one that belongs to none, which only its digest would name."""
    digests = set(data.digests)
    return ["" if name in digests else name for name in data.groups]


def _predictions(data: Dataset, guesses: np.ndarray) -> np.ndarray:
    """Say what was predicted, as labels are written: class numbers `(images,)`, or booleans `(images, classes)`."""
    return guesses.argmax(axis=1) if data.task.one_label else guesses > 0.5


def _rows(data: Dataset, labels: np.ndarray) -> csr_array:
    """Write labels as sparse rows of 0 and 1, `(images, classes)`."""
    if not data.task.one_label:
        return csr_array(labels, dtype=float)
    places = (np.arange(len(labels)), labels)
    return csr_array((np.ones(len(labels)), places), shape=(len(labels), len(data.classes)))


def _of_groups(truth: csr_array, predicted: csr_array, sample: Sample, one_label: bool) -> dict:
    """Compute the intervals of the whole from draws of groups, in place of those of single pictures."""
    measures = bootstrap.MEASURES if one_label else bootstrap.LABEL_MEASURES
    found = sample.measured(truth, predicted, measures)
    right = abs(truth - predicted).sum(axis=1) == 0
    return {f"{name}_interval": one["interval"] for name, one in found.items()} | {
        "accuracy_interval": sample.share(right)["interval"]
    }


def _robustness(classifier: Classifier, data: Dataset, right: np.ndarray, sample: Sample, settings: Evaluation) -> list[dict]:
    """Measure the accuracy on pictures made worse, and how many points are lost against the same pictures as they are."""
    rows = []
    for corruption in (one for kind in settings.chosen_corruptions for one in CORRUPTIONS[kind]):
        worse = is_right(data, corrupted(classifier, data, corruption, settings.seed).probabilities)
        rows.append(
            {
                "kind": corruption.kind,
                "severity": corruption.severity,
                "strength": corruption.strength,
                **_against(sample, right, worse, "loss", sign=-1),
            }
        )
    return rows


def _views(
    classifier: Classifier, data: Dataset, found: Timed, right: np.ndarray, sample: Sample, settings: Evaluation
) -> list[dict]:
    """Measure the accuracy of the mean over several views, how many points that gains, and how long it takes."""
    rows = []
    for kind in settings.chosen_views:
        several = averaged(classifier, data, kind)
        rows.append(
            {
                "kind": kind,
                "views": len(distinct(VIEWS[kind], data)),
                "seconds": several.seconds,
                "seconds_of_one": found.seconds,
                **_against(sample, right, is_right(data, several.probabilities), "gain", sign=1),
            }
        )
    return rows


def _against(sample: Sample, before: np.ndarray, after: np.ndarray, name: str, sign: int) -> dict:
    """Measure the accuracy after a change, and the difference to that before, on the same pictures."""
    share, change = sample.share(after), sample.difference(before, after)
    interval: Sequence[float] = [sign * edge + 0.0 for edge in change["interval"]][::sign]  # + 0.0: no minus before 0
    return {
        "accuracy": share["value"],
        "accuracy_interval": share["interval"],
        name: sign * change["value"] + 0.0,
        f"{name}_interval": interval,
    }
