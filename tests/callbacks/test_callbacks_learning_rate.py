"""The finder on losses made by hand and on a fit whose curve is known; warm-up and cosine at their corners."""

import csv

import keras
import numpy as np
import pytest
from helpers import array

from callbacks.learning_rate import LearningRateFinder, warmup_cosine
from callbacks.optimizers import LayerwiseRates


def model(rate=0.1, wrap=lambda optimizer: optimizer):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(wrap(keras.optimizers.SGD(rate, momentum=0.9)), "mse")
    return model


X = np.ones((32, 1), "float32")


def test_warm_up_and_cosine():
    schedule = warmup_cosine(0.4, 100)
    assert [float(schedule(step)) for step in (0, 5, 10, 55, 100)] == pytest.approx([0.0, 0.2, 0.4, 0.2, 0.0], abs=1e-6)
    assert float(warmup_cosine(0.4, 3)(1)) == pytest.approx(0.4)


def test_the_suggestion_is_where_the_loss_falls_fastest():
    finder = LearningRateFinder()
    finder.rates = [10.0**-i for i in range(9, 0, -1)]
    finder.losses = [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 5.0, 50.0]
    assert finder.suggestion in (1e-5, 1e-4)
    assert finder.smoothed[0] == pytest.approx(1.0) and finder.smoothed[1] == pytest.approx(1.0)
    finder.losses = [1.0 + i for i in range(9)]
    assert finder.suggestion is None


@pytest.mark.parametrize("wrap", [lambda o: o, lambda o: LayerwiseRates(o, {})], ids=["plain", "layerwise"])
@pytest.mark.slow
def test_inside_a_fit(wrap, capsys, tmp_path):
    """Losses are those of the batch, rates rise by equal factors, and nothing is left behind."""
    one = model(wrap=wrap)
    finder = LearningRateFinder(1e-4, 1e-1, steps=7)
    history = one.fit(X, 0 * X, 8, epochs=50, verbose=0, callbacks=[finder])
    assert len(history.epoch) == 2  # four steps an epoch
    np.testing.assert_allclose(finder.rates, np.geomspace(1e-4, 1e-1, 7))
    w, v, expected = 1.0, 0.0, []
    for rate in finder.rates:
        expected.append(w**2)
        v = 0.9 * v - rate * 2 * w
        w += v
    np.testing.assert_allclose(finder.losses, expected, rtol=1e-4)
    assert array(one.weights[0])[0, 0] == 1.0 and float(one.optimizer.learning_rate) == pytest.approx(0.1)
    assert int(one.optimizer.iterations) == 0 and not any(np.any(array(v)) for v in one.optimizer.variables[-1:])
    assert f"Suggested learning rate: {finder.suggestion:.2g}" in capsys.readouterr().out
    finder.save(tmp_path / "rates.csv", tmp_path / "rates.png")
    with open(tmp_path / "rates.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == finder.losses
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")


def test_it_ends_when_the_loss_explodes():
    finder = LearningRateFinder(1.0, 1e6, steps=100, verbose=False)
    model().fit(X, 0 * X, 8, epochs=50, verbose=0, callbacks=[finder])
    assert 2 <= len(finder.rates) < 20


def test_what_cannot_be_is_refused():
    one = model(keras.optimizers.schedules.CosineDecay(0.1, 10))
    with pytest.raises(TypeError, match="its learning rate is not settable"):  # Keras' own words
        one.fit(X, X, verbose=0, callbacks=[LearningRateFinder()])
    with pytest.raises(ValueError, match="0 < lowest < highest"):
        LearningRateFinder(0.1, 0.01)
