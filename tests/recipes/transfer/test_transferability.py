"""Transferability scores against their definitions: densities of SciPy, closed forms, invariances."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from benchmarks.transferability import h_score
from recipes.transfer.transferability import PENALTIES, leave_one_out, logme


@pytest.fixture(scope="module")
def sample():
    """(features, labels) of three classes that overlap."""
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3
    return rng.normal(size=(30, 5)) + np.eye(3, 5)[labels], labels


def evidence(features, y):
    """By the definition: the density of N(0, F Fᵀ / α + I / β) at y, its maximum over α and β."""

    def cost(logs):
        alpha, beta = np.exp(np.clip(logs, -15, 15))  # some y are best explained without the features
        covariance = features @ features.T / alpha + np.eye(len(y)) / beta
        return -multivariate_normal.logpdf(y, np.zeros(len(y)), covariance)

    starts = [(a, b) for a in (-2, 4) for b in (0, 3)]
    return -min(minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}).fun for start in starts)


@pytest.mark.slow
@pytest.mark.parametrize("width", [5, 40])
def test_logme_is_the_largest_density(width):
    """More pictures than features, and fewer."""
    rng = np.random.default_rng(1)
    labels = np.arange(24) % 3
    features = rng.normal(size=(24, width)) + 2 * np.eye(3, width)[labels]
    expected = np.mean([evidence(features, (labels == label).astype(float)) / 24 for label in range(3)])
    assert logme(features, labels) == pytest.approx(expected, abs=1e-6)


def test_logme_by_hand():
    """One feature: with z the part of |y|² along it and r the rest, the best 1 + |f|²/λ is (n − 1) z / r. Here f =
    (1, 1, 1, 0) and y = (1, 1, 0, 0) and its complement: z = 4/3, r = 2/3, so 6; and z = 1/3, r = 5/3, so less than 1, which
    no λ gives: the feature is left out.
    """
    n = 4
    first = -n / 2 * math.log(2 * math.pi * math.e / n * (2 / 3 + 4 / 3 / 6)) - math.log(6) / 2
    second = -n / 2 * math.log(2 * math.pi * math.e / n * 2)
    found = logme(np.array([[1.0], [1], [1], [0]]), np.array([0, 0, 1, 1]))
    assert found == pytest.approx((first + second) / 2 / n, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("width", [4, 40])
def test_left_out_predictions_are_those_of_a_fit_without_the_picture(width):
    """scikit-learn's ridge, once for each picture and penalty."""
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(4)
    labels = np.arange(21) % 3
    features = 3 + rng.normal(size=(21, width)) + 1.5 * np.eye(3, width)[labels]
    truth, largest = np.eye(3)[labels], np.linalg.norm(features - features.mean(axis=0), 2) ** 2
    expected = []
    for penalty in PENALTIES:
        guess = np.empty((21, 3))
        for i in range(21):
            others = np.arange(21) != i
            guess[i] = Ridge(penalty * largest).fit(features[others], truth[others]).predict(features[[i]])[0]
        expected.append((((guess - truth) ** 2).sum(axis=1).mean(), (guess.argmax(axis=1) == labels).mean()))
    brier, accuracy = min(expected)
    assert leave_one_out(features, labels) == pytest.approx((accuracy, brier), rel=1e-6)


def test_labels_of_chance_are_not_predicted():
    """More features than pictures fit any labels; left out, they are found no more often than by chance."""
    rng = np.random.default_rng(5)
    accuracy, brier = leave_one_out(rng.normal(size=(100, 300)), rng.permutation(100) % 2)
    assert 0.3 < accuracy < 0.65 and 0.45 < brier < 0.6


def test_h_score_is_its_formula(sample):
    """With scikit-learn's shrunken covariance, inverted."""
    from sklearn.covariance import ledoit_wolf

    features, labels = sample
    covariance, shrinkage = ledoit_wolf(features)
    centered = features - features.mean(axis=0)
    means = np.stack([centered[labels == label].mean(axis=0) for label in labels])  # each picture's class mean
    expected = np.trace(np.linalg.inv(covariance) @ (means.T @ means / len(labels))) * (1 - shrinkage)
    assert 0.05 < shrinkage < 0.95 and h_score(features, labels) == pytest.approx(expected)


def test_h_score_by_hand():
    """One feature is never shrunk: the share of its variance between the classes. Values 0 and 2, and 4 and 6: 4 of 5."""
    assert h_score(np.array([[0.0], [2], [4], [6]]), np.array([0, 0, 1, 1])) == pytest.approx(4 / 5)


@pytest.mark.parametrize("score", [logme, h_score, leave_one_out])
def test_scores_do_not_see_scale_rotation_or_names(score, sample):
    features, labels = sample
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))[0]
    for other, names in ((1e3 * features, labels), (features @ turn, labels), (features, (labels + 1) % 3)):
        assert score(other, names) == pytest.approx(score(features, labels), abs=1e-6)


@pytest.mark.parametrize("score", [logme, h_score])
def test_the_closer_the_classes_the_lower_the_score(score):
    rng = np.random.default_rng(3)
    labels = np.arange(200) % 2
    noise = rng.normal(size=(200, 8))
    scores = [score(noise + distance * np.eye(2, 8)[labels], labels) for distance in (0, 1, 2, 4)]
    assert scores == sorted(scores) and scores[3] - scores[0] > 0.3
