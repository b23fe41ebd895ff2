"""What a classifier's confidence promises, measured on pictures with labels that it has not learnt from."""

import numpy as np

from recipes.evaluation import calibration
from recipes.evaluation.abstention import accuracy_by_coverage
from recipes.evaluation.confidence import Confidence
from recipes.evaluation.conformal import covered
from recipes.evaluation.intervals import wilson
from recipes.evaluation.metrics import calibration as calibration_bins
from recipes.evaluation.tasks import Task

COVERAGES = (0.8, 0.9, 0.95, 0.99)
REFUSED = (0.01, 0.05, 0.1)


def described(sure: Confidence, part: str | None) -> dict:
    """Say what the confidence was learnt from, and the part that it is measured on, as values for result.json."""
    return {"temperature": sure.temperature, "source": sure.source, "pictures": sure.count, "part": part}


def promises(
    task: Task,
    labels: np.ndarray,
    guess: np.ndarray,
    weights: np.ndarray | None,
    sure: Confidence,
    scores: np.ndarray,
    is_other: bool = False,
) -> dict:
    """Measure calibration, sets of classes, refused pictures, and accuracy against coverage, as values for result.json.

    Args:
        labels: `(images,)`, or of several labels `(images, classes)`.
        guess: probabilities `(images, classes)`.
        weights: `(images,)`, how much each counts in the loss and the calibration; the same if not given.
        scores: of some of them, how foreign they are, `(scored,)`.
        is_other: whether they are other pictures than those of the run, of which its thresholds may come.
    """
    before = calibration.at_temperature(task, guess, 1 / sure.temperature)
    found = {name: _calibrated(task, labels, each, weights) for name, each in (("before", before), ("after", guess))}
    is_evidence = is_other or not sure.is_reported
    sets = {asked: sure.sets(task, guess, asked) for asked in COVERAGES} if is_evidence else {}
    found["sets"] = [_held(asked, labels, each) for asked, each in sets.items()]
    found["unknown"] = _refused(sure, scores) if is_evidence and len(sure.foreign) and len(scores) else []
    if task.one_label:
        found["abstention"] = accuracy_by_coverage(guess.argmax(axis=1) == labels, guess.max(axis=1))
    return found


def _calibrated(task: Task, labels: np.ndarray, guess: np.ndarray, weights: np.ndarray | None) -> dict:
    """Measure the mean log-loss, and where a picture has one label how far confidence is from accuracy."""
    each = np.ones(len(labels)) if weights is None else weights
    loss = np.average(task.log_loss(task.one_hot(labels, guess.shape[1]), guess), weights=each)
    if not task.one_label:
        return {"loss": float(loss)}
    error = calibration_bins(guess.max(axis=1), guess.argmax(axis=1) == labels, each)[1]
    return {"loss": float(loss), "calibration_error": error}


def _held(asked: float, labels: np.ndarray, sets: np.ndarray) -> dict:
    """Measure how often sets hold the right class, and how large they are."""
    held, sizes = covered(labels, sets), sets.sum(axis=1)
    return {
        "asked": asked,
        "covered": float(held.mean()),
        "interval": list(wilson(float(held.sum()), len(held))),
        "size": float(sizes.mean()),
        "empty": float((sizes == 0).mean()),
        "all": float((sizes == sets.shape[1]).mean()),
    }


def _refused(sure: Confidence, scores: np.ndarray) -> list[dict]:
    """Measure which share of the pictures would be told to be of no known class."""
    counts = {asked: int((scores > sure.foreign_threshold(asked)).sum()) for asked in REFUSED}
    return [
        {"asked": asked, "refused": count / len(scores), "interval": list(wilson(count, len(scores))), "images": len(scores)}
        for asked, count in counts.items()
    ]
