"""Curves against values worked out by hand."""

import keras
import pytest

from callbacks.schedules import Constant, Cosine, Linear, Piecewise, Step

CURVES = {
    Constant(0.3): {0: 0.3, 7: 0.3},
    Linear(0.0, 0.5, over=10): {0: 0.0, 5: 0.25, 10: 0.5, 99: 0.5},
    Linear(1.0, 0.0, over=4): {1: 0.75, 4: 0.0, 5: 0.0},
    Cosine(1.0, 0.0, over=4): {0: 1.0, 1: 0.8535533905932737, 2: 0.5, 4: 0.0, 5: 0.0},
    Cosine(0.0, 0.2, over=2): {0: 0.0, 1: 0.1, 2: 0.2},
    Step(0.8, 0.5, every=3): {0: 0.8, 2: 0.8, 3: 0.4, 6: 0.2},
    Piecewise((2, 5), (0.0, 0.1, 0.2)): {0: 0.0, 1: 0.0, 2: 0.1, 4: 0.1, 5: 0.2, 50: 0.2},
}


@pytest.mark.parametrize("curve", CURVES, ids=str)
def test_values(curve):
    assert {time: curve(time) for time in CURVES[curve]} == pytest.approx(CURVES[curve])


@pytest.mark.parametrize("curve", CURVES, ids=str)
def test_keras_writes_and_reads_it(curve):
    written = keras.saving.serialize_keras_object(curve)
    again = keras.saving.deserialize_keras_object(written)
    assert type(again) is type(curve) and [again(t) for t in range(12)] == [curve(t) for t in range(12)]


def test_keras_own_callback_takes_a_curve():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    scheduler = keras.callbacks.LearningRateScheduler(Step(0.8, 0.5, every=1))
    x = keras.ops.ones((4, 2))
    history = model.fit(x, x[:, :1], epochs=3, verbose=0, callbacks=[scheduler]).history
    assert history["learning_rate"] == pytest.approx([0.8, 0.4, 0.2])


@pytest.mark.parametrize("boundaries, values", [((1,), (0.0,)), ((3, 2), (0.0, 0.1, 0.2))])
def test_a_wrong_piecewise_is_refused(boundaries, values):
    with pytest.raises(ValueError, match="rising boundaries"):
        Piecewise(boundaries, values)
