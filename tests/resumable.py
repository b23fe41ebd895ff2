"""A small run with everything in it that a resume can lose, for test_callbacks_checkpoint.py and its processes."""

import random
import time
from pathlib import Path

import keras
import numpy as np

from callbacks.checkpoint import TrainingState
from callbacks.early_stopping import IntervalEarlyStopping
from callbacks.optimizers import LayerwiseRates
from callbacks.regularization import DropoutScheduler, L2Scheduler
from callbacks.schedules import Linear
from callbacks.state import snapshot


class Batches(keras.utils.PyDataset):
    """The order of an epoch is a function of (seed, epoch); the noise comes from the generators that a state must hold."""

    def __init__(self, epoch):
        super().__init__()
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((64, 8)).astype("float32")
        self.y = (self.x.sum(axis=1, keepdims=True) > 0).astype("float32")
        self.epoch = epoch
        self.on_epoch_begin()

    def on_epoch_begin(self):
        self.order = np.random.default_rng((1, self.epoch)).permutation(64)

    def on_epoch_end(self):
        self.epoch += 1

    def __len__(self):
        return 4

    def __getitem__(self, batch):
        time.sleep(0.002)  # so that a kill is likely to come within a step
        samples = self.order[16 * batch :][:16]
        return self.x[samples], self.y[samples]


class Noise(keras.callbacks.Callback):
    """Draws from Python's and NumPy's generators each epoch, and puts what it has drawn into the weights."""

    def on_epoch_begin(self, epoch, logs=None):
        bias = self.model.get_layer("out").bias
        bias.assign(bias + 1e-3 * (random.random() + np.random.random()))


def network():
    inputs = keras.Input((8,))
    x = keras.layers.Dense(16, name="dense")(inputs)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.Dropout(0.3, name="drop")(keras.layers.Activation("relu")(x))
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", name="out")(x))


def run(folder: Path, epochs: int, *more, **options):
    """(model, history) of the whole run, resumed from the folder."""
    keras.utils.set_random_seed(0)
    model = network()
    model.compile(
        LayerwiseRates(keras.optimizers.Adam(0.01), {"dense": 0.5}),
        "binary_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    state = TrainingState(
        folder / "state",
        [
            IntervalEarlyStopping(4, patience=30, restore_best_weights=True, verbose=False),
            L2Scheduler(Linear(0.0, 1e-2, over=epochs)),
            DropoutScheduler(Linear(0.0, 0.5, over=epochs)),
        ],
        **options,
    )
    validation = Batches(0)
    history = model.fit(
        Batches(state.initial_epoch if state.initial_epoch < epochs else epochs),
        epochs=epochs,
        verbose=0,
        shuffle=False,
        validation_data=(validation.x, validation.y),
        initial_epoch=state.initial_epoch,
        callbacks=[*state.callbacks, *more],
    )
    return model, history


def process(folder: Path, epochs: int, stepped):
    """What a process does that may be killed: `stepped` gets a word after each step; result.npz holds weights and history."""
    tell = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: stepped.send("training"))
    model, history = run(folder, epochs, Noise(), tell)
    weights = {f"weight{i}": snapshot(v) for i, v in enumerate(model.weights)}
    np.savez(folder / "result.npz", epochs=history.epoch, **weights, **history.history)
