"""The temperature: found where it was put, by an independent minimisation, and never from a few pictures that are all right."""

import math

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from recipes.evaluation.calibration import at_temperature, best_temperature, logits
from recipes.evaluation.tasks import MULTI_CLASS, MULTI_LABEL


def drawn(count=4_000, classes=4, seed=0):
    """Logits, and labels that are drawn by them: a network with these is right as often as it is sure."""
    generator = np.random.default_rng(seed)
    found = 2 * generator.normal(size=(count, classes))
    labels = np.array([generator.choice(classes, p=row) for row in softmax(found, axis=1)])
    return found, labels


@pytest.mark.parametrize("wrong", [0.4, 1.0, 2.5])
def test_what_logits_were_multiplied_by_is_found(wrong):
    true, labels = drawn()
    assert best_temperature(MULTI_CLASS, labels, softmax(wrong * true, axis=1)) == pytest.approx(wrong, rel=0.06)


def test_no_temperature_has_a_lower_loss():
    true, labels = drawn(300)
    guess = softmax(3 * true, axis=1)
    best = best_temperature(MULTI_CLASS, labels, guess, spread=math.inf)
    losses = {t: log_loss(labels, at_temperature(MULTI_CLASS, guess, t)) for t in (best, 0.97 * best, 1.03 * best, 1.0)}
    assert min(losses, key=losses.get) == best


def test_weights_are_copies():
    true, labels = drawn(60)
    guess, weights = softmax(3 * true, axis=1), np.arange(60) % 3 + 1
    copied = best_temperature(MULTI_CLASS, np.repeat(labels, weights), np.repeat(guess, weights, axis=0), spread=math.inf)
    assert best_temperature(MULTI_CLASS, labels, guess, weights, math.inf) == pytest.approx(copied, rel=1e-4)


def test_few_pictures_that_are_all_right_do_not_make_a_network_sure_of_everything():
    guess = np.tile([0.7, 0.3], (10, 1))
    assert 0.3 < best_temperature(MULTI_CLASS, np.zeros(10, int), guess) < 1
    assert best_temperature(MULTI_CLASS, np.zeros(10, int), guess, spread=math.inf) < 0.1


def test_each_label_has_a_logit_of_its_own():
    generator = np.random.default_rng(0)
    true = 2 * generator.normal(size=(3_000, 3))
    labels = (generator.random(true.shape) < expit(true)).astype("float32")
    assert best_temperature(MULTI_LABEL, labels, expit(2 * true)) == pytest.approx(2, rel=0.06)
    np.testing.assert_allclose(at_temperature(MULTI_LABEL, expit(2 * true), 2.0), expit(true), atol=1e-6)


def test_there_and_back_again():
    guess = softmax(np.random.default_rng(0).normal(0, 20, (50, 5)), axis=1)  # some of them vanish in single precision
    back = at_temperature(MULTI_CLASS, at_temperature(MULTI_CLASS, guess, 1.7), 1 / 1.7)
    np.testing.assert_allclose(back, guess, atol=1e-9)
    assert np.isfinite(logits(MULTI_LABEL, np.array([[0.0, 1.0]]))).all()
