"""What a model's file says of its confidence: written and read, and refused where it was changed."""

import json
import math

import numpy as np
import pytest

from recipes.evaluation.confidence import Confidence, learn
from recipes.evaluation.conformal import SCORES
from recipes.evaluation.tasks import MULTI_CLASS, MULTI_LABEL

GUESSES = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.3, 0.6], [0.5, 0.3, 0.2]] * 10, "float32")
LABELS = np.array([0, 1, 2, 1] * 10)


def written(task=MULTI_CLASS, labels=LABELS):
    found = learn(task, labels, GUESSES, 1.5, "40 pictures", False, np.linspace(0, 1, 21))
    return found, json.loads(json.dumps(found.as_dict()))


def test_what_was_written_is_read():
    found, values = written()
    again = Confidence.from_dict(values, 3)
    assert (again.temperature, again.source, again.count) == (1.5, "40 pictures", 40)
    for score in SCORES:
        for coverage in (0.5, 0.9, 0.99):
            expected = found.sets(MULTI_CLASS, GUESSES, coverage, score)
            np.testing.assert_array_equal(again.sets(MULTI_CLASS, GUESSES, coverage, score), expected)
    assert again.foreign_threshold(0.1) == found.foreign_threshold(0.1)


def test_sets_by_hand():
    """Right classes have scores of 0.3, 0.4, 0.4 and 0.7, ten each: the 37th of 40 is 0.7."""
    found, _ = written()
    assert found.sets(MULTI_CLASS, GUESSES[:2], 0.9).tolist() == [[True, False, False], [True, True, False]]
    assert found.sets(MULTI_CLASS, GUESSES[:2], 0.99).all()  # 40 pictures cannot promise that
    assert found.sets(MULTI_CLASS, GUESSES[:2], 0.2).tolist() == [[True, False, False], [False, False, False]]


def test_several_labels_a_picture():
    """Of each picture the first class is there, and of every second one the second; the others have none."""
    labels = np.zeros((40, 3))
    labels[:30, 0], labels[:30:2, 1] = 1, 1
    found, values = written(MULTI_LABEL, labels)
    again = Confidence.from_dict(values, 3)
    limit = again.thresholds(MULTI_LABEL, 3, 0.8)[0]
    missed = [np.mean((1 - guess)[row > 0] > limit) if row.any() else 0 for row, guess in zip(labels, GUESSES, strict=True)]
    assert (sum(missed) + 1) / 41 <= 0.2
    assert found.count == 40 and len(again.scores["lac"]) == 45


def test_too_few_known_pictures_refuse_none():
    found, _ = written()
    assert found.foreign_threshold(0.1) == pytest.approx(0.95)
    assert found.foreign_threshold(0.01) == math.inf


@pytest.mark.fault(
    "Models",
    "`confidence.json` in a model's file was changed",
    "refused: the file is named",
    "sets would promise what they do not keep",
)
@pytest.mark.parametrize(
    "changed",
    [
        {"temperature": 0},
        {"temperature": "hot"},
        {"scores": {}},
        {"scores": {"lac": [0.1]}},
        {"scores": {"lac": [math.nan] * 40}},
        {"scores": [0.1] * 40},
        {"labels": [7] * 40},
        {"labels": None},
        {"foreign": [[0.1]]},
        {"count": None},
    ],
    ids=str,
)
def test_changed_values_are_refused(changed):
    with pytest.raises(ValueError, match=r"confidence\.json"):
        Confidence.from_dict(written()[1] | changed, 3)
