"""The lecture's rule on logs made by hand, where the model's only weight is the number of the epoch; and inside a fit."""

import keras
import numpy as np
import pytest
from helpers import array

from callbacks.averaging import WeightAveraging
from callbacks.early_stopping import IntervalEarlyStopping


def model_of_one_weight():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    return model


def run(stopper, values, monitor="val_loss", start=0, model=None):
    """Drive by hand; (epochs done, the weight at the end)."""
    model = model or model_of_one_weight()
    stopper.set_model(model)
    model.stop_training = False
    if not start:
        stopper.on_train_begin()
    done = start
    for epoch, value in enumerate(values[start:], start):
        model.set_weights([np.full((1, 1), epoch)])
        stopper.on_epoch_end(epoch, {"loss": 1.0} if value is None else {"loss": 1.0, monitor: value})
        done = epoch + 1
        if model.stop_training:
            break
    stopper.on_train_end()
    return done, float(model.get_weights()[0][0, 0])


def stopper(interval=2, **options):
    return IntervalEarlyStopping(interval, verbose=False, **options)


def test_the_lectures_rule_every_ten_epochs():
    """Worse at epoch 40 than at epoch 30: the model of epoch 30, whatever lay between."""
    values = [9.0] * 60
    values[9], values[19], values[29], values[39] = 0.5, 0.4, 0.3, 0.31
    values[34] = 0.1
    assert run(IntervalEarlyStopping(verbose=False), values) == (40, 29)


def test_equal_is_not_worse():
    assert run(stopper(), [1.0] * 6) == (6, 5)


def test_min_delta_asks_for_more():
    values = [9, 1.0, 9, 0.95, 9, 0.6]
    assert run(stopper(), values) == (6, 5)
    assert run(stopper(min_delta=0.1), values) == (4, 1)


def test_patience_counts_checks_and_compares_with_the_last_good_one():
    values = [9, 1.0, 9, 1.2, 9, 1.1, 9, 0.1]
    assert run(stopper(), values) == (4, 1)
    assert run(stopper(patience=2), values) == (6, 1)
    assert run(stopper(patience=3), values) == (8, 7)
    assert run(stopper(patience=2), [9, 1.0, 9, 1.2, 9, 0.9, 9, 1.0, 9, 0.8]) == (10, 9)


def test_no_check_before_the_start_epoch():
    values = [9, 0.1, 9, 1.0, 9, 0.9, 9, 2.0]
    assert run(stopper(start_from_epoch=4), values) == (8, 5)


def test_higher_is_better_for_an_accuracy():
    values = [0, 0.5, 0, 0.7, 0, 0.6]
    assert run(stopper(monitor="val_accuracy"), values, "val_accuracy") == (6, 3)
    assert run(stopper(monitor="val_dice", mode="max"), values, "val_dice") == (6, 3)
    with pytest.raises(ValueError, match="Is 'val_dice' better lower or higher"):
        stopper(monitor="val_dice")


def test_best_of_the_whole_run_also_when_it_was_not_stopped():
    values = [9, 0.1, 9, 1.0, 9, 0.5]
    assert run(stopper(patience=9), values) == (6, 5)
    assert run(stopper(patience=9, restore_best_weights=True), values) == (6, 1)


def test_no_number_is_worse_than_any():
    assert run(stopper(), [9, 1.0, 9, float("nan")]) == (4, 1)
    assert run(stopper(), [9, float("nan")]) == (2, 1)  # nothing to go back to


def test_a_missing_metric_is_an_error_that_lists_what_there_is():
    with pytest.raises(ValueError, match="monitors 'val_loss', which is not among the metrics: loss. Was validation_data"):
        run(stopper(), [None, None])
    with pytest.raises(ValueError, match="'accuracy', which is not among the metrics: loss, val_loss"):
        run(stopper(monitor="accuracy"), [1.0])  # at once, not at the first check


def test_epochs_without_validation_between_checks_are_fine():
    assert run(stopper(), [None, 1.0, None, 2.0]) == (4, 1)


@pytest.mark.parametrize("cut", range(1, 8))
def test_state_goes_over_to_another_callback(cut):
    values = [9, 1.0, 9, 0.8, 9, 0.9, 9, 0.9]
    whole = run(stopper(patience=2), values)
    first, second, model = stopper(patience=2), stopper(patience=2), model_of_one_weight()
    first.set_model(model)
    first.on_train_begin()
    for epoch in range(cut):
        model.set_weights([np.full((1, 1), epoch)])
        first.on_epoch_end(epoch, {"val_loss": values[epoch]})
    second.set_model(model)
    second.on_train_begin()
    second.set_state(first.get_state())
    assert run(second, values, start=cut, model=model) == whole == (8, 3)


def test_a_strange_state_is_refused():
    with pytest.raises(ValueError, match="IntervalEarlyStopping remembers"):
        stopper().set_state({"wait": 3})


def test_inside_a_fit():
    """The rate is too high, so that the loss grows: stopped at the second check with the weights of the first."""
    weights = []
    model = model_of_one_weight()
    model.set_weights([np.ones((1, 1))])
    model.compile(keras.optimizers.SGD(1.5), "mse")
    record = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(array(model.weights[0]).copy()))
    x = np.ones((4, 1), "float32")
    history = model.fit(x, 0 * x, epochs=20, verbose=0, validation_data=(x, 0 * x), callbacks=[record, stopper(3)])
    assert len(history.epoch) == 6
    np.testing.assert_array_equal(array(model.weights[0]), weights[2])
    assert weights[5] != weights[2]


@pytest.mark.parametrize("options", [{"interval": 0}, {"patience": 0}, {"min_delta": -1.0}])
def test_senseless_options_are_refused(options):
    with pytest.raises(ValueError, match="must be"):
        IntervalEarlyStopping(**options)


@pytest.mark.slow
@pytest.mark.fault(
    "Callbacks",
    "IntervalEarlyStopping in a fit that validates in some epochs only",
    "each check waits for the next epoch with validation",
    "a check without a metric ended the training with an error",
)
@pytest.mark.parametrize(
    "interval, frequency, checks",
    [(2, 1, [2, 4, 6, 8, 10]), (2, 3, [3, 6, 9]), (4, 3, [6, 9]), (3, 2, [4, 6, 10]), (4, [1, 2, 5, 10], [5, 10])],
    ids=str,
)
def test_checks_wait_for_the_next_validation(interval, frequency, checks):
    class Watched(IntervalEarlyStopping):
        def sync(self):  # each good check reads the weights
            seen.append(self.params["epoch"])
            return super().sync()

    seen, model, x = [], model_of_one_weight(), np.ones((4, 1), "float32")
    model.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=False)
    watched = Watched(interval, verbose=False)
    count = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: watched.params.update(epoch=epoch + 1))
    options = dict(validation_data=(x, 0 * x), validation_freq=frequency, callbacks=[count, watched])
    assert len(model.fit(x, 0 * x, epochs=10, verbose=0, **options).epoch) == 10
    assert seen == checks


@pytest.mark.fault(
    "Callbacks",
    "a callback that monitors a metric of validation in a fit without any",
    "refused at the start of fit",
    "the error came after the first epochs",
)
def test_a_fit_that_never_validates_is_refused_before_it_trains():
    model, x, begun = model_of_one_weight(), np.ones((4, 1), "float32"), []
    count = keras.callbacks.TerminateOnNaN()
    count.on_epoch_begin = lambda epoch, logs=None: begun.append(epoch)
    for callback in (stopper(), WeightAveraging()):
        name = type(callback).__name__
        with pytest.raises(ValueError, match=f"{name} monitors 'val_loss': give fit validation_data"):
            model.fit(x, x, verbose=0, epochs=4, callbacks=[count, callback])
        with pytest.raises(ValueError, match="validation_freq=9 validates in none of the 4 epochs"):
            model.fit(x, x, verbose=0, epochs=4, callbacks=[count, callback], validation_data=(x, x), validation_freq=9)
        assert not begun
    model.fit(x, x, verbose=0, callbacks=[stopper()], validation_data=(x, x), validation_freq=9)  # no check is due


def test_a_metric_that_another_callback_adds_is_as_good():
    add = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(val_error=float(epoch)))
    model, x = model_of_one_weight(), np.ones((4, 1), "float32")
    history = model.fit(x, x, verbose=0, epochs=9, callbacks=[add, stopper(monitor="val_error")])
    assert len(history.epoch) == 4
    with pytest.raises(ValueError, match="monitors 'val_x_loss', which is not among the metrics: loss, val_error"):
        model.fit(x, x, verbose=0, callbacks=[add, stopper(monitor="val_x_loss")])
