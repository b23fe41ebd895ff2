import json
import math

import numpy as np
import pytest
from sklearn import metrics as reference

from recipes.evaluation.calibration import tempered
from recipes.evaluation.intervals import mean_of_shares, resampled, wilson
from recipes.evaluation.metrics import metrics
from recipes.evaluation.tasks import MULTI_CLASS, MULTI_LABEL

HAND = np.array([[0.92, 0.08, 0.0], [0.55, 0.45, 0.0], [0.2, 0.75, 0.05], [0.96, 0.04, 0.0]])


def random_split(seed: int, images: int = 400, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, images - classes)])
    logits = random.normal(size=(images, classes)) * 2 + 2 * np.eye(classes)[labels]
    powers = np.exp(logits)
    return labels, powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(8, 10, 0.490162, 0.943318), (0, 10, 0.0, 0.277533), (10, 10, 0.722467, 1.0), (1, 1, 0.206549, 1.0)],
)
def test_wilson_matches_hand_computed_numbers(correct, total, low, high):
    assert wilson(correct, total) == pytest.approx((low, high), abs=1e-6)


def test_wilson_stays_within_zero_and_one():
    for total in range(1, 300):
        assert wilson(0, total)[0] == pytest.approx(0, abs=1e-12) and wilson(0, total)[0] >= 0
        assert wilson(total, total)[1] == pytest.approx(1) and wilson(total, total)[1] <= 1


def test_interval_of_a_mean_of_shares_of_one_share_is_wilsons():
    assert mean_of_shares([8], [10]) == pytest.approx(wilson(8, 10))
    assert mean_of_shares([10, 10], [10, 10]) == pytest.approx((1 - 0.277533 / math.sqrt(2), 1), abs=1e-6)


@pytest.mark.parametrize("recalls, images", [((0.95, 0.7), (200, 20)), ((0.5, 0.9, 0.8), (40, 10, 25))])
def test_intervals_hold_the_true_value_95_times_of_100(recalls, images):
    """Pictures drawn again and again from known recalls: at most 1.5 points fewer than 95 of 100 intervals may miss them."""
    random, held = np.random.default_rng(0), 0
    for _ in range(2000):
        low, high = mean_of_shares(random.binomial(images, recalls), images)
        held += low <= np.mean(recalls) <= high
    assert 0.935 < held / 2000 < 0.985


@pytest.mark.slow
def test_intervals_of_f1_hold_the_true_value_95_times_of_100():
    """Of 400 pictures of a class 75 of 100 are found, and of 600 others 10 of 100 are taken for it: F1 = 600 / 760."""
    random, held, classes = np.random.default_rng(0), 0, np.eye(2)
    labels = np.repeat([0, 1], [400, 600])
    for _ in range(1000):
        guess = np.where(random.random(1000) < np.where(labels == 0, 0.75, 0.1), 0, 1)
        low, high = metrics(labels, classes[guess], ["a", "b"])["classes"][0]["f1_interval"]
        held += low <= 600 / 760 <= high
    assert held / 1000 > 0.935


def test_interval_by_resampling_is_that_of_a_share_where_it_is_one():
    right = np.arange(200) < 150
    assert resampled(200, lambda i: right[i].mean()) == pytest.approx(wilson(150, 200), abs=0.012)
    assert resampled(20, lambda i: 1.0) == list(wilson(20, 20))
    assert resampled(1000, lambda i: 1.0) is None


def test_what_is_reported_first_depends_on_the_classes():
    names, reason = MULTI_CLASS.measures([100, 70])
    assert list(names) == ["accuracy"] and "about equally large" in reason
    names, reason = MULTI_CLASS.measures([150, 100])
    assert list(names) == ["balanced_accuracy", "macro_f1", "accuracy"]
    assert "the largest with 1.5 times as many images as the smallest" in reason
    assert next(iter(MULTI_LABEL.measures([9, 1])[0])) == "mean_average_precision"


def test_wilson_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        wilson(0, 0)


def test_metrics_match_hand_computed_numbers():
    """Truth a, b, b, a; prediction a, a, b, a; class c neither occurs nor is predicted."""
    scores = metrics(np.array([0, 1, 1, 0]), HAND, ["a", "b", "c"])
    assert scores["images"] == 4
    assert scores["accuracy"] == 0.75
    assert scores["accuracy_interval"] == list(wilson(3, 4))
    assert scores["loss"] == pytest.approx(-math.log(0.92 * 0.45 * 0.75 * 0.96) / 4)
    assert scores["balanced_accuracy"] == 0.75  # recall 1 and 1/2; c has none
    assert scores["confusion"] == [
        [0, 0, 2],
        [1, 0, 1],
        [1, 1, 1],
    ]  # class, taken for, images
    assert scores["classes"] == [
        {
            "name": "a",
            "images": 2,
            "precision": pytest.approx(2 / 3),
            "recall": 1.0,
            "f1": 0.8,
            "precision_interval": list(wilson(2, 3)),
            "recall_interval": list(wilson(2, 2)),
            "f1_interval": [2 * share / (1 + share) for share in wilson(2, 3)],
        },
        {
            "name": "b",
            "images": 2,
            "precision": 1.0,
            "recall": 0.5,
            "f1": pytest.approx(2 / 3),
            "precision_interval": list(wilson(1, 1)),
            "recall_interval": list(wilson(1, 2)),
            "f1_interval": [2 * share / (1 + share) for share in wilson(1, 2)],
        },
        {"name": "c", "images": 0}
        | dict.fromkeys([name + end for name in ("precision", "recall", "f1") for end in ("", "_interval")]),
    ]
    assert scores["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)  # c has none


def test_tempered_losses_know_what_is_right_and_not_how_sure_it_is():
    """Nine of ten right, each with the probability p: whatever p, the best temperature makes it 0.9."""
    labels = np.zeros(10, int)
    for p in (0.6, 0.9, 0.999):
        guesses = np.array([[p, 1 - p]] * 9 + [[1 - p, p]], "float32")
        np.testing.assert_allclose(tempered(labels, guesses), [-math.log(0.9)] * 9 + [-math.log(0.1)], rtol=1e-3)
    assert tempered(labels, np.array([[1.0, 0.0]] * 10)).max() < 1e-6  # all right, and no warning


def test_calibration_matches_hand_computed_numbers():
    scores = metrics(np.array([0, 1, 1, 0]), HAND, ["a", "b", "c"])
    assert scores["calibration"] == [
        {"low": 0.5, "high": 0.6, "images": 1, "confidence": 0.55, "accuracy": 0.0},
        {"low": 0.7, "high": 0.8, "images": 1, "confidence": 0.75, "accuracy": 1.0},
        {"low": 0.9, "high": 1.0, "images": 2, "confidence": pytest.approx(0.94), "accuracy": 1.0},
    ]
    assert scores["calibration_error"] == pytest.approx((0.55 + 0.25 + 2 * 0.06) / 4)


@pytest.mark.parametrize("seed", range(5))
def test_metrics_match_scikit_learn(seed):
    labels, probabilities = random_split(seed)
    predictions = probabilities.argmax(axis=1)
    scores = metrics(labels, probabilities, list("abcde"))
    assert scores["accuracy"] == pytest.approx(reference.accuracy_score(labels, predictions))
    assert scores["loss"] == pytest.approx(reference.log_loss(labels, probabilities))
    balanced = reference.balanced_accuracy_score(labels, predictions)
    assert scores["balanced_accuracy"] == pytest.approx(balanced)
    assert scores["macro_f1"] == pytest.approx(reference.f1_score(labels, predictions, average="macro"))
    matrix = reference.confusion_matrix(labels, predictions)
    assert scores["confusion"] == [[i, j, matrix[i, j]] for i, j in np.argwhere(matrix).tolist()]
    each = reference.precision_recall_fscore_support(labels, predictions)
    for key, values in zip(("precision", "recall", "f1", "images"), each, strict=True):
        assert [row[key] for row in scores["classes"]] == pytest.approx(values)


def test_calibration_error_matches_a_plain_loop():
    labels, probabilities = random_split(7, images=1000)
    confidences, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    scores = metrics(labels, probabilities, list("abcde"))
    expected = 0.0
    for i in range(10):
        inside = (confidences >= i / 10) & (confidences < (i + 1) / 10)
        expected += abs((confidences[inside] - correct[inside]).sum()) / 1000
    assert scores["calibration_error"] == pytest.approx(expected)
    assert sum(row["images"] for row in scores["calibration"]) == 1000


def test_a_class_never_predicted_has_no_precision_but_a_recall_and_an_f1():
    scores = metrics(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]), ["a", "b"])
    row = scores["classes"][1]
    assert (row["precision"], row["recall"], row["f1"]) == (None, 0.0, 0.0)


def test_certain_and_wrong_gives_a_finite_loss_and_falls_in_the_last_bin():
    scores = metrics(np.array([0]), np.array([[0.0, 1.0]], dtype=np.float32), ["a", "b"])
    assert scores["loss"] == pytest.approx(-math.log(1e-7))
    (last,) = scores["calibration"]
    assert last == {"low": 0.9, "high": 1.0, "images": 1, "confidence": 1.0, "accuracy": 0.0}
    assert scores["calibration_error"] == 1.0


def test_metrics_are_strict_json():
    labels, probabilities = random_split(3)
    scores = metrics(labels, probabilities.astype(np.float32), [*"abcde"])
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([], np.zeros((0, 2)), "no images"),
        ([0], [[0.5, 0.3, 0.2]], "probabilities are"),
        ([2], [[0.5, 0.5]], "labels must lie in 0..1"),
        ([-1], [[0.5, 0.5]], "labels must lie in 0..1"),
        ([0], [[math.nan, 0.5]], "not finite"),
    ],
)
def test_nonsense_is_refused(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        metrics(np.array(labels), np.array(probabilities), ["a", "b"])
