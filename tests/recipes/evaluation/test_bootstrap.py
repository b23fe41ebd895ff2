"""Drawn intervals and p-values of differences, against scikit-learn, SciPy, enumeration and simulation."""

from itertools import product

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import balanced_accuracy_score, f1_score

from recipes.evaluation import bootstrap
from recipes.evaluation.bootstrap import LABEL_MEASURES, MEASURES, Pair


def rows(labels: np.ndarray, classes: int) -> csr_array:
    return csr_array(np.eye(classes)[labels])


def pair(truth, first, second, classes, groups=None, weights=None) -> Pair:
    groups = np.arange(len(truth)) if groups is None else groups
    weights = np.ones(len(truth)) if weights is None else weights
    return Pair(*(rows(labels, classes) for labels in (truth, first, second)), groups, weights)


@pytest.fixture(scope="module")
def answers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth and two answers to 120 pictures of 4 classes, of uneven sizes."""
    rng = np.random.default_rng(1)
    truth = rng.choice(4, 120, p=(0.5, 0.3, 0.15, 0.05))
    return truth, *(np.where(rng.random(120) < share, truth, rng.integers(0, 4, 120)) for share in (0.6, 0.8))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_measures_are_scikit_learns(answers, weighted):
    truth, *both = answers
    weights = np.random.default_rng(2).uniform(0.5, 2, 120) if weighted else None
    found = pair(truth, *both, 4, weights=weights)
    how = {"sample_weight": weights}
    for place, guess in enumerate(both):
        assert found.values(MEASURES["accuracy"])[place] == pytest.approx(np.average(truth == guess, weights=weights))
        assert found.values(MEASURES["balanced_accuracy"])[place] == pytest.approx(balanced_accuracy_score(truth, guess, **how))
        assert found.values(MEASURES["macro_f1"])[place] == pytest.approx(f1_score(truth, guess, average="macro", **how))


def test_the_measures_of_labels_are_scikit_learns():
    rng = np.random.default_rng(3)
    truth, first, second = (rng.random((50, 5)) < 0.3 for _ in range(3))
    truth[:, 4] = first[:, 4] = second[:, 4] = False
    found = Pair(*(csr_array(of.astype(float)) for of in (truth, first, second)), np.arange(50), np.ones(50))
    for place, guess in enumerate((first, second)):
        assert found.values(LABEL_MEASURES["accuracy"])[place] == pytest.approx((truth == guess).all(axis=1).mean())
        for name in ("macro", "micro"):
            expected = f1_score(truth, guess, average=name, zero_division=0)
            assert found.values(LABEL_MEASURES[f"{name}_f1"])[place] == pytest.approx(expected)


def test_intervals_are_scipys(answers):
    truth, first, second = answers

    def balanced(i, guess) -> float:
        return np.mean([np.mean(guess[i][truth[i] == label] == label) for label in set(truth[i])])

    def difference(i) -> float:
        return balanced(i, second) - balanced(i, first)

    places = np.arange(120)
    expected = scipy_bootstrap(
        (places,), difference, n_resamples=1_500, method="percentile", vectorized=False, rng=np.random.default_rng(0)
    ).confidence_interval
    low, high = pair(truth, first, second, 4).intervals(MEASURES)["balanced_accuracy"]
    # A little wider than the plain quantiles, by the t distribution of 119 degrees of freedom.
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.015)


def test_answers_alike_have_no_interval_and_p_1(answers):
    truth, first, _ = answers
    found = pair(truth, first, first, 4)
    assert set(found.intervals(MEASURES).values()) == {None} and found.p_value(MEASURES["macro_f1"]) == 1
    assert set(pair(truth, *answers[1:], 4, groups=np.zeros(120, int)).intervals(MEASURES).values()) == {None}


def test_p_values_against_all_swaps():
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 30)
    first, second = (np.where(rng.random(30) < share, truth, rng.integers(0, 3, 30)) for share in (0.5, 0.9))
    groups = np.arange(30) // 3

    def balanced(guess: np.ndarray) -> float:
        return np.mean([np.mean(guess[truth == label] == label) for label in range(3)])

    def difference(swapped: np.ndarray) -> float:
        a, b = np.where(swapped[groups], second, first), np.where(swapped[groups], first, second)
        return balanced(b) - balanced(a)

    observed = abs(difference(np.zeros(10, bool)))
    each = [abs(difference(np.array(swaps))) >= observed - 1e-12 for swaps in product((False, True), repeat=10)]
    found = pair(truth, first, second, 3, groups=groups).p_value(MEASURES["balanced_accuracy"])
    assert found == pytest.approx(np.mean(each), abs=0.008) and 0.005 < found < 0.9


def test_a_batch_at_a_time_is_the_same(answers, monkeypatch, capsys):
    found = pair(*answers, 4)
    before = found.intervals(MEASURES), found.p_value(MEASURES["macro_f1"])
    monkeypatch.setattr(bootstrap, "BATCH", 120 * 60)
    intervals, p = found.intervals(MEASURES), found.p_value(MEASURES["macro_f1"])
    assert intervals == before[0] and p == pytest.approx(before[1], abs=1e-9)
    assert "intervals  2,000/2,000 draws" in capsys.readouterr().err


@pytest.mark.slow
def test_intervals_by_groups_cover_and_those_by_pictures_do_not(monkeypatch):
    """20 groups of 8 pictures that are answered much alike; the two are equally good. Seeded."""
    monkeypatch.setattr(bootstrap, "DRAWS", 400)
    rng, covered = np.random.default_rng(5), {"groups": 0, "pictures": 0}
    groups = np.repeat(np.arange(20), 8)
    for _ in range(200):
        right = [(rng.random(160) < 0.1) ^ (rng.random(20) < 0.7)[groups] for _ in range(2)]
        truth = np.zeros(160, int)
        for name, units in (("groups", groups), ("pictures", None)):
            interval = pair(truth, *(1 - of for of in right), 2, groups=units).intervals({"accuracy": MEASURES["accuracy"]})
            covered[name] += interval["accuracy"][0] <= 0 <= interval["accuracy"][1]
    assert 0.91 <= covered["groups"] / 200 <= 0.99 and covered["pictures"] / 200 < 0.75
