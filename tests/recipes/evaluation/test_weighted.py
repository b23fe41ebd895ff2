"""Weights of pictures: a weight of n is n equal pictures, in the measures, the heads and the balance of classes."""

import numpy as np
import pytest
from sklearn import metrics as reference

from recipes.evaluation.calibration import tempered
from recipes.evaluation.folds import grouped_folds
from recipes.evaluation.intervals import effective, standard_error, wilson
from recipes.evaluation.metrics import label_metrics, metrics
from recipes.evaluation.tasks import MULTI_CLASS
from recipes.transfer import logistic
from recipes.transfer.head_trainer import HeadTrainer
from recipes.transfer.heads import directions

CLASSES = list("abc")


def split(seed=0, images=300):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(3), rng.integers(0, 3, images - 3)])
    powers = np.exp(rng.normal(size=(images, 3)) + 2 * np.eye(3)[labels])
    return labels, powers / powers.sum(axis=1, keepdims=True), rng.integers(1, 5, images)


def without_intervals(found):
    rows = [{k: v for k, v in row.items() if not k.endswith("interval") and k != "images"} for row in found["classes"]]
    left = ("classes", "images", "effective_images", "confusion", "calibration")
    return {k: v for k, v in found.items() if not k.endswith("interval") and k not in left} | {"rows": rows}


def flat(value):
    if isinstance(value, dict):
        return [each for one in value.values() for each in flat(one)]
    return [each for one in value for each in flat(one)] if isinstance(value, list) else [value]


def test_a_weight_of_n_measures_as_n_pictures():
    labels, guesses, weights = split()
    found = metrics(labels, guesses, CLASSES, weights)
    repeated = metrics(np.repeat(labels, weights), np.repeat(guesses, weights, axis=0), CLASSES)
    assert flat(without_intervals(found)) == pytest.approx(flat(without_intervals(repeated)))
    assert found["images"] == 300 and sum(row["images"] for row in found["classes"]) == 300
    assert sum(count for _, _, count in found["confusion"]) == 300
    predicted = guesses.argmax(axis=1)
    assert found["macro_f1"] == pytest.approx(reference.f1_score(labels, predicted, average="macro", sample_weight=weights))
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(labels, predicted, sample_weight=weights))
    assert found["balanced_accuracy"] == pytest.approx(
        reference.balanced_accuracy_score(labels, predicted, sample_weight=weights)
    )


def test_a_weight_of_n_measures_labels_as_n_pictures():
    rng = np.random.default_rng(1)
    truth, guesses, weights = rng.random((200, 3)) < 0.4, rng.random((200, 3)), rng.integers(1, 5, 200)
    found = label_metrics(truth, guesses, CLASSES, weights)
    repeated = label_metrics(np.repeat(truth, weights, axis=0), np.repeat(guesses, weights, axis=0), CLASSES)
    assert flat(without_intervals(found)) == pytest.approx(flat(without_intervals(repeated)))
    precision = reference.average_precision_score(truth, guesses, average="macro", sample_weight=weights)
    assert found["mean_average_precision"] == pytest.approx(precision)


def test_equal_weights_change_nothing():
    labels, guesses, _ = split()
    alone, weighted = metrics(labels, guesses, CLASSES), metrics(labels, guesses, CLASSES, np.full(300, 7.0))
    assert weighted.pop("effective_images") == pytest.approx(300) and "effective_images" not in alone
    assert flat(weighted) == pytest.approx(flat(alone))


def test_an_interval_is_that_of_as_many_pictures_as_tell_as_much():
    assert effective(np.array([1.0, 1, 1, 1])) == 4 and effective(np.array([3.0, 1, 1, 1])) == 3
    right = np.array([True, True, False, True])
    guesses = np.where(right[:, None], [[1.0, 0]], [[0, 1.0]])
    found = metrics(np.zeros(4, int), guesses, "ab", np.array([3.0, 1, 1, 1]))
    assert found["accuracy"] == pytest.approx(5 / 6) and found["effective_images"] == pytest.approx(3)
    assert found["accuracy_interval"] == pytest.approx(list(wilson(2.5, 3)))
    assert standard_error(np.array([0.0, 2.0, 0, 2])) == pytest.approx(0.5)


def test_intervals_of_weighted_accuracy_hold_the_true_value_95_times_of_100():
    rng, held = np.random.default_rng(0), 0
    weights = rng.uniform(0.2, 3, 80)
    for _ in range(400):
        right = rng.random(80) < 0.8
        guesses = np.where(right[:, None], [[1.0, 0]], [[0, 1.0]])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("recipes.evaluation.intervals.RESAMPLES", 1)
            low, high = metrics(np.zeros(80, int), guesses, "ab", weights)["accuracy_interval"]
        held += low <= 0.8 <= high
    assert 0.92 < held / 400 < 0.985


def test_the_temperature_is_that_of_the_weighted_mean():
    labels, guesses, weights = split(2)
    losses = tempered(labels, guesses**3, weights)
    repeated = tempered(np.repeat(labels, weights), np.repeat(guesses**3, weights, axis=0))
    assert np.repeat(losses, weights) == pytest.approx(repeated, rel=1e-4)


def features(seed=0, images=120):
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % 3
    return (rng.normal(size=(1, images, 6)) + np.eye(3, 6)[labels]).astype("float32"), labels, rng.integers(1, 4, images)


def test_the_solved_head_takes_a_weight_of_n_for_n_pictures():
    views, labels, weights = features()
    problem = np.ones((1, 120), bool), np.array([0.01]), lambda: None
    kernel, bias = logistic.solve(MULTI_CLASS, views, labels, *problem, weights)
    again = np.ones((1, weights.sum()), bool), *problem[1:]
    kernel2, bias2 = logistic.solve(MULTI_CLASS, np.repeat(views, weights, axis=1), np.repeat(labels, weights), *again)
    assert kernel == pytest.approx(kernel2, abs=2e-3) and bias == pytest.approx(bias2, abs=2e-3)
    one, other = (
        directions(*given)
        for given in ((views, labels, weights), (np.repeat(views, weights, axis=1), np.repeat(labels, weights)))
    )
    assert one == pytest.approx(other, abs=1e-6)


def test_balance_counts_classes_the_same_and_keeps_the_weights_inside_them():
    labels, weights = np.array([0, 0, 0, 1]), np.array([2.0, 1, 0.5, 0.5])
    balanced = logistic.balanced_weights(labels, 2, weights)
    assert balanced[:3].sum() == pytest.approx(balanced[3]) and balanced.mean() == pytest.approx(1)
    assert balanced[0] == pytest.approx(4 * balanced[2])
    assert logistic.balanced_weights(labels, 2) == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])


def test_a_fold_of_groups_needs_no_weights_of_its_own():
    views, labels, weights = features()
    groups = np.array([f"{i // 3}" for i in range(120)])
    head = logistic.fit(views, [False], labels, 0, weights=weights.astype(float), groups=groups)
    assert head.folds == 5 == len(grouped_folds(labels.tolist(), groups, 5, 0)) and np.isfinite(head.kernel).all()


@pytest.mark.slow
def test_a_tuned_head_weighs_what_it_is_trained_on_and_what_judges_it():
    from recipes.settings.tuned import HeadSettings

    views, labels, weights = features()
    settings = HeadSettings(epochs=12, learning_rate=0.05, optimizer="adam")
    train, held_out = np.arange(90), np.arange(90, 120)
    alone = HeadTrainer({settings.cut: views}, labels, train, held_out, 3).train(settings, 0)
    same = HeadTrainer({settings.cut: views}, labels, train, held_out, 3, weights=np.full(120, 5.0)).train(settings, 0)
    assert (same.loss, same.accuracy) == (alone.loss, alone.accuracy)
    heavy = np.where(labels == 0, 50.0, 1.0)
    trained = HeadTrainer({settings.cut: views}, labels, train, held_out, 3, weights=heavy).train(settings, 0)
    kernel, bias = trained.weights[-2:]
    guess = ((views[0] - views[0][train].mean(axis=0)) / views[0][train].std() @ kernel + bias).argmax(axis=1)
    assert trained.accuracy == pytest.approx(np.average(guess[held_out] == labels[held_out], weights=heavy[held_out]))
    assert (guess == 0).mean() > 0.5  # what counts most is found most
