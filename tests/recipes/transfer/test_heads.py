"""Heads that a recipe fits: directions of class means, epochs chosen inside the training part, weights, several labels."""

import keras
import numpy as np
import pytest
from helpers import array

import zoo
from recipes.data.batches import Batches
from recipes.evaluation.tasks import MULTI_CLASS, MULTI_LABEL
from recipes.transfer import heads, logistic


def problem(images=60, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    x = 4 + rng.normal(size=(classes, 84))[labels] + rng.normal(size=(images, 84))
    return x.astype("float32"), labels


def test_cosine_directions_are_the_means_of_unit_vectors():
    x = np.array([[[3.0, 4.0], [0.0, 2.0], [-5.0, 0.0]]])
    mean = np.array([0.6, 1.8]) / 2
    np.testing.assert_allclose(heads.directions(x, np.array([0, 0, 1])), np.stack([mean / np.linalg.norm(mean), [-1, 0]]).T)


def test_cosine_head_is_fitted_centred_and_its_scale_is_one_of_the_path():
    x, labels = problem()
    model = zoo.new_head(zoo.lenet5(num_classes=0), 3, head="cosine")
    fitted = heads.fit(model, "cosine", x[None], [False], labels, seed=0)
    tail = zoo.split(model, "pre_logits")[1]
    assert (array(tail(x)).argmax(axis=1) == labels).mean() > 0.9
    centered = x - x.mean(axis=0)
    expected = np.stack(
        [(centered / np.linalg.norm(centered, axis=1, keepdims=True))[labels == label].mean(axis=0) for label in range(3)]
    ).T
    expected /= np.linalg.norm(expected, axis=0)
    np.testing.assert_allclose(array(model.get_layer("cosine").kernel), expected, atol=1e-4)
    best = min(fitted.as_dict()["path"], key=lambda row: row["loss"])
    assert fitted.chosen == {"scale": best["scale"]} and len(fitted.path) == len(heads.COSINE_SCALES)


@pytest.mark.slow
def test_stepped_head_learns_what_no_line_separates_and_its_epochs_are_one_of_the_path(monkeypatch):
    monkeypatch.setattr(heads, "EPOCH_CHOICES", (2, 60))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 84)).astype("float32")
    x[:, 2:] = 0
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)  # exclusive or
    keras.utils.set_random_seed(0)
    model = zoo.new_head(zoo.lenet5(num_classes=0), 2, head="hidden")
    fitted = heads.fit(model, "hidden", x[None], [False], labels, seed=0)
    assert fitted.chosen == {"epochs": 60} and len(fitted.history) == 60
    tail = zoo.split(model, "pre_logits")[1]
    assert (array(tail(x)).argmax(axis=1) == labels).mean() > 0.9
    assert max(row["accuracy"] for row in logistic.fit(x[None], [False], labels, seed=0).path) < 0.7


def test_weights_of_the_solved_head_are_those_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    x, labels = problem(images=90)
    x, labels = x[20:], labels[20:].clip(max=1)  # two thirds and one third
    weights = np.where(labels == 0, 3.0, 0.5)
    everything = np.ones((1, len(labels)), bool)
    kernel, bias = logistic.solve(MULTI_CLASS, x[None], labels, everything, np.array([0.01]), lambda: None, weights)
    reference = LogisticRegression(C=1 / (0.01 * weights.sum()), tol=1e-8, max_iter=10_000)
    # Two softmax outputs share the kernel that scikit-learn gives one, so they are penalised half as much.
    reference.C = 2 / (0.01 * weights.sum())
    reference.fit(x.astype(float), labels, sample_weight=weights)
    ours = MULTI_CLASS.probabilities(x @ kernel[0] + bias[0])
    np.testing.assert_allclose(ours, reference.predict_proba(x), atol=3e-3)


@pytest.mark.slow
def test_matrix_of_labels_is_solved_as_one_regression_a_class():
    from sklearn.linear_model import LogisticRegression

    x, numbers = problem()
    labels = np.stack([numbers == 0, numbers != 1, x[:, 3] > 4], axis=1).astype("float32")
    everything = np.ones((1, len(labels)), bool)
    kernel, bias = logistic.solve(MULTI_LABEL, x[None], labels, everything, np.array([0.02]), lambda: None)
    ours = MULTI_LABEL.probabilities(x @ kernel[0] + bias[0])
    for i in range(3):
        one = LogisticRegression(C=1 / (0.02 * len(x)), tol=1e-8, max_iter=10_000).fit(x.astype(float), labels[:, i])
        np.testing.assert_allclose(ours[:, i], one.predict_proba(x)[:, 1], atol=3e-3)
    path = logistic.fit(x[None], [False], labels, seed=0, task=MULTI_LABEL).path
    assert max(row["accuracy"] for row in path) > 0.8


def test_score_of_a_matrix_is_the_loss_and_the_share_of_its_labels():
    guess, labels = np.array([[0.9, 0.2], [0.6, 0.6]]), np.array([[1, 0], [0, 1]])
    loss, accuracy = logistic.score(MULTI_LABEL, guess, labels, np.array([1.0, 3.0]))
    assert loss == pytest.approx(-(np.log(0.9 * 0.8) + 3 * np.log(0.4 * 0.6)) / 4)
    assert accuracy == pytest.approx((1 + 3 * 0.5) / 4)


def test_batches_weigh_or_draw_the_classes_alike():
    labels = np.array([0] * 90 + [1] * 10)
    weights = np.where(labels == 0, 100 / 180, 100 / 20).astype("float32")
    plain = Batches(lambda i, _: i, labels, 16, 0, weights=weights)
    samples, _, weight = (np.concatenate(part) for part in zip(*(plain[i] for i in range(len(plain))), strict=True))
    assert sorted(samples) == list(range(100)) and weight[labels[samples] == 1].sum() == pytest.approx(50)
    drawn = Batches(lambda i, _: i, labels, 16, 0, weights=weights, sampling=True)
    seen = []
    for _ in range(20):
        seen += [drawn[i][1] for i in range(len(drawn))]
        drawn.on_epoch_end()
    assert np.concatenate(seen).mean() == pytest.approx(0.5, abs=0.04) and len(drawn[0]) == 2
