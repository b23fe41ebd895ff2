"""Which pictures are labelled next: margins by hand, and the quick head beside scikit-learn's."""

import numpy as np
import pytest

from recipes.evaluation.tasks import MULTI_CLASS, MULTI_LABEL
from recipes.transfer.acquisition import PENALTY, least_sure, margins, quick_head


def test_margins_and_their_order_by_hand():
    guesses = np.array([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25], [0.98, 0.01, 0.01], [0.2, 0.2, 0.6]])
    assert margins(MULTI_CLASS, guesses) == pytest.approx([0.2, 0.05, 0.97, 0.4])
    labels = np.array([[0.9, 0.2], [0.45, 0.99], [0.5, 0.5]])
    assert margins(MULTI_LABEL, labels) == pytest.approx([0.6, 0.1, 0])


def test_of_pictures_that_are_nearly_the_same_the_least_sure_comes_first():
    sure = np.array([0.3, 0.1, 0.12, 0.2, 0.9])
    features = np.array([[5, 5], [0, 0], [0, 0.1], [0.1, 0], [9, 9]], "float32")
    # By hand: half of the median of the ten distances is 3.5, so that of the three about the origin one is in the batch.
    assert least_sure(sure, features, 2).tolist() == [1, 0, 2, 3, 4]
    assert least_sure(sure, features, 5).tolist() == [1, 2, 3, 0, 4]
    assert least_sure(sure, np.ones((5, 2)), 2).tolist() == [1, 2, 3, 0, 4], "copies"
    assert least_sure(sure, np.eye(5), 2).tolist() == [1, 2, 3, 0, 4], "unlike ones come as they are sure"


def test_the_quick_head_is_scikit_learns():
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(0)
    features, labels = generator.normal(3, 2, (60, 5)).astype("float32"), generator.choice([0, 2], 60)
    features[labels == 2] += 1
    head = quick_head(features, labels, 4, MULTI_CLASS)
    scaled = (features - features.mean(axis=0)) / features.std()
    # A softmax of two classes with a penalty on both kernels is a logistic regression on their difference, with half of it.
    known = LogisticRegression(C=1 / (60 * PENALTY / 2), tol=1e-8, max_iter=10_000).fit(scaled, labels)
    found = head.probabilities(features)
    assert found[:, [0, 2]] == pytest.approx(known.predict_proba(scaled), abs=2e-3)
    assert (found[:, [1, 3]] == 0).all()


def test_one_class_alone_is_certain_and_several_labels_are_solved_each():
    features = np.array([[0.0, 1], [1, 0], [0, 2]], "float32")
    assert quick_head(features, np.array([1, 1, 1]), 3, MULTI_CLASS).probabilities(features).tolist() == [[0, 1, 0]] * 3
    found = quick_head(features, np.array([[1, 0], [0, 0], [1, 0]]), 2, MULTI_LABEL).probabilities(features)
    assert found[0, 0] > 0.5 > found[1, 0] and (found[:, 1] < 0.05).all()
