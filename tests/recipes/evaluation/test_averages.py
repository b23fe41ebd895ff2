"""Averages, top-k, groups and their intervals, against scikit-learn, SciPy and sums by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import binom
from sklearn import metrics as reference

from recipes.evaluation.averages import averages, by_group, top_k
from recipes.evaluation.bootstrap import expanded_tail
from recipes.evaluation.intervals import wilson
from recipes.evaluation.paired import newcombe
from recipes.evaluation.spread import Sample


def rows(labels, classes):
    return csr_array(np.eye(classes)[labels])


def drawn(images=400, classes=7, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes - 1, images)  # the last class has no pictures
    powers = np.exp(rng.normal(size=(images, classes)) + 1.5 * np.eye(classes)[labels])
    return labels, powers / powers.sum(axis=1, keepdims=True), rng.uniform(0.2, 3, images)


def test_top_k_is_scikit_learns():
    labels, guesses, weights = drawn()
    found = top_k(labels, guesses, Sample.of(len(labels), weights, None))
    assert [row["k"] for row in found] == [2, 3, 5]
    for row in found:
        expected = reference.top_k_accuracy_score(labels, guesses, k=row["k"], labels=range(7), sample_weight=weights)
        assert row["accuracy"] == pytest.approx(expected)
        assert row["accuracy_interval"][0] < expected < row["accuracy_interval"][1]
    assert [row["k"] for row in top_k(labels % 3, guesses[:, :3], Sample.of(len(labels), None, None))] == [2]


@pytest.mark.parametrize("weighted", [False, True])
def test_macro_and_weighted_are_scikit_learns(weighted):
    labels, guesses, weights = drawn()
    weights, predicted = weights if weighted else None, guesses.argmax(axis=1)
    found = averages(rows(labels, 7), rows(predicted, 7), Sample.of(len(labels), weights, None), one_label=True)
    report = reference.classification_report(labels, predicted, output_dict=True, zero_division=0, sample_weight=weights)
    for average in ("macro", "weighted"):
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            value, (low, high) = found[average][ours], found[average][f"{ours}_interval"]
            assert value == pytest.approx(report[f"{average} avg"][theirs])
            assert low < value < high and high - low < 0.15


def test_any_number_of_labels_is_averaged_over_all_classes():
    rng = np.random.default_rng(1)
    truth, guess = rng.random((300, 4)) < 0.3, rng.random((300, 4)) < 0.4
    truth[:, 3] = guess[:, 3] = False
    found = averages(csr_array(truth * 1.0), csr_array(guess * 1.0), Sample.of(300, None, None), one_label=False)
    for average in ("macro", "weighted"):
        expected = reference.precision_recall_fscore_support(truth, guess, average=average, zero_division=0)[:3]
        assert [found[average][name] for name in ("precision", "recall", "f1")] == pytest.approx(expected)


def test_intervals_are_as_wide_as_groups_make_them():
    """Twenty groups of ten equal pictures say as much as twenty pictures: draws of them are binomial."""
    each = np.arange(20) < 15
    right, groups = np.repeat(each, 10), np.repeat([f"g{i:02}" for i in range(20)], 10)
    found = Sample.of(200, None, groups).share(right)
    tail = expanded_tail(20)
    edges = [binom.ppf(share, 20, 0.75) / 20 for share in (tail, 1 - tail)]
    assert found["value"] == 0.75 and found["interval"] == pytest.approx(edges, abs=0.051)
    alone = Sample.of(200, None, None).share(right)["interval"]
    assert alone == list(wilson(150, 200)) and alone[0] > found["interval"][0] + 0.1


def test_faultless_groups_have_the_interval_of_their_number():
    groups = np.repeat(list("abcd"), 25)
    sample = Sample.of(100, None, groups)
    assert sample.share(np.ones(100, bool))["interval"] == list(wilson(4, 4))
    one = Sample.of(100, None, ["a"] * 100)
    assert one.share(np.arange(100) < 50)["interval"] == list(wilson(0.5, 1))
    assert sample.difference(np.ones(100, bool), np.ones(100, bool))["interval"] == list(newcombe(4, 0, 0, 0))


def test_groups_that_look_alike_by_chance_make_nothing_surer():
    right, groups = np.arange(40) % 20 < np.repeat([16, 14], 20), np.repeat(["a", "b"], 20)
    found, alone = (Sample.of(40, None, names) for names in (groups, None))
    assert found.share(right)["interval"] == list(wilson(30, 40))
    truth, guess = rows(np.zeros(40, int), 2), rows(np.where(right, 0, 1), 2)
    assert averages(truth, guess, found, True)["macro"] == averages(truth, guess, alone, True)["macro"]


def test_differences_are_paired():
    first, second = np.arange(100) < 90, np.arange(100) < 85
    plain = Sample.of(100, None, None).difference(first, second)
    assert plain["value"] == pytest.approx(-0.05) and plain["interval"] == list(newcombe(85, 5, 0, 10))
    weighted = Sample.of(100, np.where(np.arange(100) < 50, 1.0, 2.0), None).difference(first, second)
    assert weighted["value"] == pytest.approx(-10 / 150) and weighted["interval"][0] < -10 / 150 < weighted["interval"][1]


def test_weak_groups_come_first_and_small_ones_do_not_lead():
    right = np.array([False, *[True] * 40, *[False] * 60, *[True] * 5, True])
    names = ["tiny", *["large"] * 100, *["good"] * 5, ""]
    found = by_group(right, names, np.ones(len(right)))
    assert [(row["name"], row["right"], row["images"]) for row in found] == [("large", 40, 100), ("tiny", 0, 1), ("good", 5, 5)]
    assert found[0]["accuracy_interval"] == list(wilson(40, 100))
