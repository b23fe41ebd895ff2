"""The mean of the best epochs' weights, by logs made by hand and inside a fit."""

import keras
import numpy as np
import pytest
from helpers import array

from callbacks.averaging import WeightAveraging, interpolate


def run(averaging, values):
    """Drive by hand: the only weight is the number of the epoch."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    averaging.set_model(model)
    averaging.on_train_begin()
    for epoch, value in enumerate(values):
        model.set_weights([np.full((1, 1), epoch)])
        averaging.on_epoch_end(epoch, {averaging.monitor: value})
    averaging.on_train_end()
    return float(model.get_weights()[0][0, 0])


def test_the_best_epochs():
    values = [5.0, 1.0, 4.0, 2.0, float("nan"), 3.0]
    assert run(WeightAveraging(1), values) == 1
    assert run(WeightAveraging(2), values) == pytest.approx((1 + 3) / 2)
    assert run(WeightAveraging(3), values) == pytest.approx((1 + 3 + 5) / 3)
    assert run(WeightAveraging(99), values) == pytest.approx((0 + 1 + 2 + 3 + 5) / 5)
    assert run(WeightAveraging(2, "val_accuracy"), values) == pytest.approx((0 + 2) / 2)


def test_without_any_number_the_weights_stay():
    assert run(WeightAveraging(2), [float("nan")] * 3) == 2


def test_in_the_block_the_model_has_what_it_would_end_with_and_its_own_weights_after_it():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    averaging = WeightAveraging(2)
    averaging.set_model(model)
    averaging.on_train_begin()
    with averaging.averaged():
        pass  # before the first epoch there is nothing to average
    for epoch, value in enumerate([5.0, 1.0, 4.0, 2.0]):
        model.set_weights([np.full((1, 1), epoch)])
        averaging.on_epoch_end(epoch, {"val_loss": value})
        with averaging.averaged():
            assert float(model.get_weights()[0][0, 0]) == (0, 0.5, 1.5, 2)[epoch]
        assert float(model.get_weights()[0][0, 0]) == epoch


@pytest.mark.slow
def test_inside_a_fit():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    seen = []
    record = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(float(array(model.weights[0])[0, 0])))
    x = np.ones((4, 1), "float32")
    model.fit(x, 0 * x, epochs=5, verbose=0, validation_data=(x, 0 * x), callbacks=[record, WeightAveraging(2)])
    assert array(model.weights[0])[0, 0] == pytest.approx(np.mean(seen[-2:])) and seen[-1] < seen[-2]


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="best must be 1 or more"):
        WeightAveraging(0)
    with pytest.raises(ValueError, match="monitors 'val_loss', which is not among the metrics: loss"):
        averaging = WeightAveraging()
        averaging.on_epoch_end(0, {"loss": 1.0})


def test_between_two_states_every_weight_is_on_the_way_and_what_did_not_change_stays():
    layers = [keras.Input((2,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    generator = np.random.default_rng(0)
    start = [generator.normal(size=w.shape).astype("float32") for w in model.weights]
    end = [start[0], *(generator.normal(size=w.shape).astype("float32") for w in model.weights[1:])]
    interpolate(model, start, end, 0.25)
    for before, after, found in zip(start, end, model.get_weights(), strict=True):
        np.testing.assert_allclose(found, 0.75 * before + 0.25 * after, rtol=1e-5)
    assert np.array_equal(model.get_weights()[0], start[0])
    with pytest.raises(ValueError, match="share must be between 0 and 1, found 1.5"):
        interpolate(model, start, end, 1.5)


def test_a_mean_is_brought_back_to_where_a_constraint_wants_it():
    """Halfway between (1, 0) and (0, 1) is (1/2, 1/2), of length 1/√2."""
    dense = keras.layers.Dense(1, use_bias=False, kernel_constraint="unit_norm")
    model = keras.Sequential([keras.Input((2,)), dense])
    interpolate(model, [np.array([[1.0], [0.0]], "float32")], [np.array([[0.0], [1.0]], "float32")], 0.5)
    np.testing.assert_allclose(array(dense.kernel), [[0.5**0.5], [0.5**0.5]], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.fault(
    "Callbacks",
    "WeightAveraging in a fit that validates in some epochs only, or in none",
    "the best of the epochs with validation are averaged; where there is none, the fit is refused at its start",
    "the first epoch without validation ended the training with an error",
)
@pytest.mark.parametrize("frequency, validated", [(2, [1, 3]), ([2, 5], [1, 4])], ids=["every second", "listed"])
def test_epochs_without_validation_are_no_candidates(frequency, validated):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    seen, x = [], np.ones((4, 1), "float32")
    record = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(float(array(model.weights[0])[0, 0])))
    callbacks = [WeightAveraging(2), record]
    model.fit(x, 0 * x, epochs=5, verbose=0, validation_data=(x, 0 * x), validation_freq=frequency, callbacks=callbacks)
    assert array(model.weights[0])[0, 0] == pytest.approx(np.mean([seen[epoch] for epoch in validated]), rel=1e-6)
