"""The fast head: the same minimum as scikit-learn's, chosen inside the training part."""

import numpy as np
import pytest
from scipy.special import softmax

from recipes.evaluation.tasks import MULTI_CLASS
from recipes.transfer import logistic


def problem(images=120, features=20, classes=3, noise=2.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    x = rng.normal(size=(classes, features))[labels] + noise * rng.normal(size=(images, features))
    return x.astype("float32"), labels


def probabilities(head, features):
    return softmax(features @ head.kernel + head.bias, axis=1)


@pytest.mark.parametrize("penalty", [1.0, 0.01, 0.0001])
@pytest.mark.parametrize("views", [1, 2])
def test_minimum_is_that_of_scikit_learn(penalty, views):
    from sklearn.linear_model import LogisticRegression

    x, labels = problem()
    stacked = np.stack([x, x[:, ::-1]])[:views]
    everything = np.ones((1, len(labels)), bool)
    kernel, bias = logistic.solve(MULTI_CLASS, stacked, labels, everything, np.array([penalty]), lambda: None)
    flat, many = stacked.reshape(-1, x.shape[1]), np.tile(labels, views)
    reference = LogisticRegression(C=1 / (penalty * len(many)), tol=1e-8, max_iter=10_000).fit(flat.astype(float), many)
    ours = MULTI_CLASS.probabilities(flat @ kernel[0] + bias[0])
    np.testing.assert_allclose(ours, reference.predict_proba(flat), atol=3e-3)


def test_problems_solved_together_are_those_solved_alone():
    x, labels = problem()
    used = np.random.default_rng(1).random((4, len(labels))) < 0.7
    penalties = np.array([1.0, 0.1, 0.01, 0.001])
    kernels, biases = logistic.solve(MULTI_CLASS, x[None], labels, used, penalties, lambda: None)
    for i in range(4):
        kernel, bias = logistic.solve(MULTI_CLASS, x[None], labels, used[i : i + 1], penalties[i : i + 1], lambda: None)
        together, alone = (
            MULTI_CLASS.probabilities(x @ kernels[i] + biases[i]),
            MULTI_CLASS.probabilities(x @ kernel[0] + bias[0]),
        )
        np.testing.assert_allclose(together, alone, atol=5e-3)


@pytest.mark.slow
def test_cross_validation_never_sees_the_pictures_it_judges():
    """With labels at random, an honest score is chance; one fold that leaks would be near 1."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(400, 300)).astype("float32"), rng.permutation(np.arange(400) % 2)
    head = logistic.fit(np.stack([x, x]), [False, True], labels, seed=0)
    assert all(abs(row["accuracy"] - 0.5) < 0.1 for row in head.path)


@pytest.mark.slow
def test_mirror_images_that_mislead_are_left_out():
    x, labels = problem(images=200, classes=2, noise=1.0)
    misleading = -x  # mirrored, each class looks like the other
    assert not logistic.fit(np.stack([x, misleading]), [False, True], labels, seed=0).mirrored
    assert logistic.fit(np.stack([x, misleading]), [False, True], labels, seed=0, choose_mirror=False).mirrored


def test_scale_and_offset_of_the_features_do_not_matter():
    x, labels = problem()
    one = logistic.fit(x[None], [False], labels, seed=0)
    other = logistic.fit(1000 * x[None] + 50, [False], labels, seed=0)
    assert one.penalty == other.penalty
    np.testing.assert_allclose(probabilities(one, x), probabilities(other, 1000 * x + 50), atol=0.02)


def test_two_images_of_a_class_are_enough():
    x, labels = problem(images=4, classes=2, noise=0.1)
    head = logistic.fit(x[None], [False], labels, seed=0)
    assert head.folds == 2
    assert (probabilities(head, x).argmax(axis=1) == labels).all()


def test_same_seed_same_head():
    x, labels = problem()
    one, two = (logistic.fit(x[None], [False], labels, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.kernel, two.kernel)
