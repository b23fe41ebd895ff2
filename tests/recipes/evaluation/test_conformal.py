"""Sets of classes: thresholds counted by hand, and the promise kept in simulations where its law is known."""

import math

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import beta

from recipes.evaluation import conformal
from recipes.evaluation.conformal import class_scores, covered, label_threshold, needed, threshold, thresholds


def test_the_threshold_is_a_count():
    scores = np.arange(1, 20) / 100  # 19 of them: 20 · 0.9 = 18
    assert threshold(scores, 0.9) == 0.18
    assert threshold(scores, 0.95) == 0.19
    assert threshold(scores, 0.96) == math.inf
    assert [needed(coverage) for coverage in (0.5, 0.9, 0.95, 0.99)] == [1, 9, 19, 99]
    assert threshold(scores, 1e-11) == 0.01 and needed(1 - 1e-17) == math.inf  # never the largest, never a division by 0
    assert math.isfinite(threshold(scores[:9], 0.9)) and threshold(scores[:8], 0.9) == math.inf


def test_scores_by_hand():
    row = np.array([[0.2, 0.5, 0.3]])
    np.testing.assert_allclose(class_scores(row, "lac"), [[0.8, 0.5, 0.7]])
    np.testing.assert_allclose(class_scores(row, "aps"), [[1.0, 0.5, 0.8]])
    many = np.full((1, 8), 1 / 8)
    np.testing.assert_allclose(class_scores(many, "raps")[0, 4:], np.arange(5, 9) / 8 + conformal.FINE * np.arange(4))


def coverages(score, count=200, draws=300, classes=5):
    """The share of all pictures whose sets hold the right class, for thresholds of many small groups of known ones."""
    generator = np.random.default_rng(0)
    logits = 1.5 * generator.normal(size=(20_000, classes))
    truth = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)  # drawn by the softmax
    scores = class_scores(softmax(2 * logits, axis=1), score)  # of a network that is too sure of itself
    own = scores[np.arange(len(truth)), truth]
    return np.array([(own <= threshold(own[generator.permutation(len(own))[:count]], 0.9)).mean() for _ in range(draws)])


@pytest.mark.parametrize("score", conformal.SCORES)
def test_the_promise_is_kept_and_no_more_than_that(score):
    found, place = coverages(score), math.ceil(201 * 0.9)
    law = beta(place, 201 - place)  # of the coverage, whatever the network (Vovk 2012, arXiv:1209.2673)
    assert found.mean() == pytest.approx(law.mean(), abs=4 * law.std() / math.sqrt(len(found)))
    assert found.std() == pytest.approx(law.std(), rel=0.2)


def test_large_classes_have_thresholds_of_their_own():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, 3], [2_000, 2_000, 30, 30])
    scores = generator.beta(1 + labels, 4)  # later classes are harder
    found = thresholds(scores, labels, 4, 0.9)
    assert found[0] == threshold(scores[labels == 0], 0.9) < found[1] == threshold(scores[labels == 1], 0.9)
    assert found[2] == found[3] == threshold(scores[labels > 1], 0.9)
    for label in (0, 1):
        assert (scores[labels == label] <= found[label]).mean() == pytest.approx(0.9, abs=0.01)


def test_too_few_pictures_are_no_silent_lie():
    assert (thresholds(np.array([0.1, 0.2]), np.array([0, 1]), 3, 0.9) == math.inf).all()  # all classes are in every set
    assert label_threshold([np.array([0.1])], 0.9) == math.inf


def test_labels_are_missed_as_seldom_as_promised():
    generator = np.random.default_rng(0)
    logits = 2 * generator.normal(size=(6_000, 6)) - 1
    truth = generator.random(logits.shape) < expit(logits)
    scores, missed = 1 - expit(logits), []
    for _ in range(200):
        order = generator.permutation(len(truth))
        limit = label_threshold([scores[i][truth[i]] for i in order[:150]], 0.9)
        missed.append(1 - covered(truth[order[150:]].astype(float), scores[order[150:]] <= limit).mean())
    assert 0.085 < np.mean(missed) <= 0.1 + 3 * np.std(missed) / math.sqrt(len(missed))


def test_what_is_covered():
    sets = np.array([[True, False, True], [False, True, False], [False, False, False]])
    assert covered(np.array([2, 0, 1]), sets).tolist() == [1, 0, 0]
    assert covered(np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]]), sets).tolist() == [0.5, 0, 1]
