"""The fast head: the same minimum as scikit-learn's, chosen inside the training part."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, python
from scipy.special import softmax

from recipes.compute import threads
from recipes.compute.arrays import Arrays
from recipes.data.store import Store
from recipes.evaluation.tasks import MULTI_CLASS, MULTI_LABEL
from recipes.transfer import logistic, objective
from recipes.transfer.view_features import ViewFeatures


def problem(images=120, features=20, classes=3, noise=2.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    x = rng.normal(size=(classes, features))[labels] + noise * rng.normal(size=(images, features))
    return x.astype("float32"), labels


def probabilities(head, features):
    return softmax(features @ head.kernel + head.bias, axis=1)


# Images, features, classes, views, and whether they have weights; fewer rows than features, and more features than the
# preconditioner has directions, are solved in other ways.
CASES = {
    "plain": (120, 20, 3, 1, False),
    "views and weights": (120, 20, 3, 2, True),
    "two classes": (150, 30, 2, 1, False),
    "fewer rows than features": (60, 400, 4, 2, True),
    "many features": (400, 300, 3, 1, True),
    "three hundred classes": (600, 30, 300, 1, False),
}


def regression(penalty, x, labels, weights):
    """scikit-learn's regression with our penalty; two softmax outputs share the kernel that it gives one."""
    from sklearn.linear_model import LogisticRegression

    strength = (2 if len(set(labels)) == 2 else 1) / (penalty * weights.sum())
    with threads.own():  # many small products, at which BLAS' threads would wait for one another
        return LogisticRegression(C=strength, tol=1e-6, max_iter=10_000).fit(x.astype(float), labels, weights)


# scikit-learn takes eight seconds for the last.
MINIMA = [(case, penalty) for case in CASES for penalty in (1.0, 0.01, 0.0001)][:-1]


@pytest.mark.parametrize(("case", "penalty"), MINIMA)
def test_minimum_is_that_of_scikit_learn(case, penalty):
    images, features, classes, views, is_weighted = CASES[case]
    x, labels = problem(images, features, classes)
    x = x * np.arange(1, features + 1, dtype="float32") ** -0.7 + 1  # as of a network, few directions vary much
    stacked = np.stack([x, x[:, ::-1]])[:views]
    weights = np.random.default_rng(1).integers(1, 4, images) if is_weighted else np.ones(images)
    given = labels, np.ones((1, images), bool), np.array([penalty]), lambda: None
    kernel, bias = logistic.solve(MULTI_CLASS, stacked, *given, weights)
    flat, many = stacked.reshape(-1, features), np.tile(labels, views)
    reference = regression(penalty, flat, many, np.tile(weights, views))
    ours = MULTI_CLASS.probabilities(flat @ kernel[0] + bias[0])
    np.testing.assert_allclose(ours, reference.predict_proba(flat), atol=3e-3)


@pytest.mark.parametrize("library", ["numpy", "keras"])
def test_several_labels_are_a_regression_each_with_any_arrays(library):
    """With the functions that a GPU computes by, the minimum is the same."""
    import keras

    x, numbers = problem(images=90, features=40)
    labels = np.stack([numbers == 0, numbers != 1, x[:, 3] > 0], axis=1).astype("float32")
    arrays = Arrays(np if library == "numpy" else keras.ops)
    given = labels, np.ones((1, 90), bool), np.array([0.02]), lambda: None
    kernel, bias = logistic.solve(MULTI_LABEL, x[None], *given, arrays=arrays)
    ours = MULTI_LABEL.probabilities(x @ kernel[0] + bias[0])
    for i in range(3):
        reference = regression(0.04, x, labels[:, i].astype(int), np.ones(90))
        np.testing.assert_allclose(ours[:, i], reference.predict_proba(x)[:, 1], atol=3e-3)


def guesses_with(ops):
    """Probabilities of two heads, of different pictures and penalties, that a library of arrays gives."""
    x, labels = problem(images=60, features=90)
    used = np.arange(60) % 5 > np.arange(2)[:, None] - 1  # of the second, a fifth is left out
    kernels, biases = logistic.solve(
        MULTI_CLASS, x[None], labels, used, np.array([0.1, 0.01]), lambda: None, arrays=Arrays(ops)
    )
    return softmax(x @ kernels + biases[:, None], axis=2)


@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_arrays_of_every_backend_give_the_same_head(backend, tmp_path):
    pytest.importorskip(backend)
    script = """
import json, sys
sys.path[:0] = sys.argv[1:]
import keras
from test_logistic import guesses_with
print(json.dumps(guesses_with(keras.ops).tolist()))
"""
    found = python(script, ROOT / "tests", Path(__file__).parent, ROOT, cwd=tmp_path, KERAS_BACKEND=backend)
    np.testing.assert_allclose(json.loads(found.splitlines()[-1]), guesses_with(np), atol=2e-3)


def test_the_solver_loads_no_backend(tmp_path):
    script = """
import sys
import numpy as np
from recipes.transfer import logistic
logistic.fit(np.random.default_rng(0).normal(size=(1, 20, 3)), [False], np.arange(20) % 2, 0)
assert not {"keras", "tensorflow", "torch", "jax"} & set(sys.modules)
"""
    python(script, cwd=tmp_path, PYTHONPATH=str(ROOT))


def test_the_path_ends_where_the_loss_has_risen_and_its_best_is_that_of_the_whole(monkeypatch):
    x, labels = problem(images=200, features=60, noise=3.0)
    stacked = np.stack([x, x + 0.1])
    solved = []
    head = logistic.fit(stacked, [False, True], labels, seed=0, tick=lambda: solved.append(0))
    monkeypatch.setattr(logistic, "RISES", len(logistic.PENALTIES))
    whole = logistic.fit(stacked, [False, True], labels, seed=0)
    assert len(head.path) < len(whole.path) == 2 * len(logistic.PENALTIES)
    assert (head.penalty, head.mirrored) == (whole.penalty, whole.mirrored)
    np.testing.assert_array_equal(head.kernel, whole.kernel)
    assert len(solved) == 5 * len(head.path) + 1 < logistic.problems_at_most([False, True], True, 5)


@pytest.mark.parametrize(
    ("losses", "ends"),
    [
        ([1.0, 0.5, 0.52], False),  # one rise
        ([1.0, 0.5, 0.501, 0.502], False),  # none that is clear
        ([1.0, 0.5, 0.52, 0.51], False),  # it falls again
        ([1.0, 0.5, 0.52, 0.53], True),
        ([0.7, 0.8, 0.9], True),  # the strongest penalty is the best
    ],
)
def test_two_clear_rises_end_a_path(losses, ends):
    assert logistic.has_risen(losses) is ends


def test_features_on_the_disk_give_the_head_of_those_in_memory(tmp_path, monkeypatch):
    x, labels = problem(images=100, features=30)
    stacked = np.stack([x, x[:, ::-1]])
    keys = [str(i) for i in range(200)]
    store = Store(tmp_path, (30,), "float32")
    store.add(keys, stacked.reshape(200, 30))
    here = logistic.fit(stacked, [False, True], labels, seed=0)
    monkeypatch.setattr(objective, "MEMORY_BYTES", 0)
    monkeypatch.setattr(objective, "BLOCK_ROWS", 37)
    there = logistic.fit(ViewFeatures(store.rows(keys), 2), [False, True], labels, seed=0)
    assert (there.penalty, there.mirrored) == (here.penalty, here.mirrored)
    np.testing.assert_allclose(probabilities(there, x), probabilities(here, x), atol=2e-3)


def test_no_block_holds_all_pictures_and_classes(monkeypatch):
    """So memory does not grow with their product."""
    x, labels = problem(images=3000, features=8, classes=600)
    sizes = []
    softmax_of = objective.softmax
    monkeypatch.setattr(objective, "BLOCK_NUMBERS", 100_000)
    monkeypatch.setattr(objective, "softmax", lambda logits, ops: sizes.append(logits.size) or softmax_of(logits, ops))
    logistic.solve(MULTI_CLASS, x[None], labels, np.ones((1, 3000), bool), np.array([1.0]), lambda: None)
    assert max(sizes) <= 256 * 600 < 3000 * 600


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
