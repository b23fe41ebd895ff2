"""Every callback beside every other in one fit, and all at once: no error, and a model of stock layers at the end."""

import itertools

import keras
import numpy as np
import pytest
import resumable

from callbacks.averaging import WeightAveraging
from callbacks.checkpoint import TrainingState
from callbacks.early_stopping import IntervalEarlyStopping
from callbacks.learning_rate import LearningRateFinder
from callbacks.optimizers import LayerwiseRates
from callbacks.regularization import DropoutScheduler, L2Scheduler
from callbacks.schedules import Linear
from callbacks.unfreezing import GradualUnfreezing

MAKE = {
    "early_stopping": lambda: IntervalEarlyStopping(2, patience=9, restore_best_weights=True),
    "l2": lambda: L2Scheduler(Linear(0.0, 1e-3, over=3)),
    "dropout": lambda: DropoutScheduler(Linear(0.0, 0.5, over=12), by="step"),
    "unfreezing": lambda: GradualUnfreezing({0: "drop", 2: None}, batch_norm="train"),
    "finder": lambda: LearningRateFinder(steps=14, highest=0.1, verbose=False),
    "averaging": lambda: WeightAveraging(2),
}


def fit(names, folder=None):
    keras.utils.set_random_seed(0)
    model = resumable.network()
    model.compile(
        LayerwiseRates(keras.optimizers.Adam(0.01), {}), "binary_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    before = repr(model.get_config())
    data = resumable.Batches(0)
    callbacks = [MAKE[name]() for name in names]
    if folder:
        callbacks = TrainingState(folder, callbacks).callbacks
    history = model.fit(data, epochs=4, verbose=0, shuffle=False, validation_data=(data.x, data.y), callbacks=callbacks)
    assert history.epoch == [0, 1, 2, 3] and np.isfinite(history.history["loss"]).all()
    assert set(names) & {"l2", "dropout"} <= set(history.history)
    assert repr(model.get_config()) == before and all(v.regularizer is None for v in model.weights)
    return model, callbacks


@pytest.mark.slow
def test_all_at_once_in_both_orders(tmp_path):
    for i, names in enumerate((list(MAKE), list(MAKE)[::-1])):
        model, callbacks = fit(names, tmp_path / str(i))
        for callback in callbacks[1:]:
            again = MAKE[names[callbacks.index(callback) - 1]]()
            again.set_state(callback.get_state())
            assert repr(again.get_state()) == repr(callback.get_state())


@pytest.mark.deep
@pytest.mark.slow
@pytest.mark.parametrize("pair", list(itertools.combinations([*MAKE, "state"], 2)), ids="-".join)
def test_in_pairs(pair, tmp_path):
    fit([name for name in pair if name != "state"], tmp_path if "state" in pair else None)
