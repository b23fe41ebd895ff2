"""Stages thaw when the plan says, inside one compiled fit; slots go on; batch norm keeps its mode."""

import keras
import numpy as np
import pytest
from helpers import array

import zoo
from callbacks.optimizers import LayerwiseRates, layerwise
from callbacks.unfreezing import GradualUnfreezing

pytestmark = pytest.mark.slow

PLAN = {0: "pre_logits", 2: "stage2", 4: None}
X, Y = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 1)).astype("uint8"), np.arange(16) % 10


class Moves(keras.callbacks.Callback):
    """The layers whose weights change, epoch by epoch."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.before = {v.path: array(v).copy() for v in self.model.weights}

    def on_epoch_end(self, epoch, logs=None):
        moved = [v.path for v in self.model.weights if (array(v) != self.before[v.path]).any()]
        self.epochs.append({path.split("/")[-2] for path in moved})


def lenet(inner=None, rates=None):
    model = zoo.lenet5(weights=None)
    model.compile(
        LayerwiseRates(inner or keras.optimizers.Adam(1e-3), rates or {}), "sparse_categorical_crossentropy", jit_compile=False
    )
    return model


def fit(model, *callbacks, epochs=5):
    return model.fit(X, Y, 8, epochs=epochs, verbose=0, shuffle=False, callbacks=list(callbacks))


def test_stages_thaw_by_plan():
    model, moves = lenet(), Moves()
    history = fit(model, GradualUnfreezing(PLAN), moves)
    head, last, everything = {"predictions"}, {"predictions", "c5", "f6"}, {"predictions", "c5", "f6", "c3", "c1"}
    assert moves.epochs == [head, head, last, last, everything]
    assert history.history["frozen"] == [4, 4, 2, 2, 0]


def test_the_head_trains_as_with_frozen_layers_and_its_slots_survive_the_thaw():
    """Bit for bit: at the thaw Adam's moments are those of a fit in which the body has a rate of 0 throughout."""
    gradual, still = lenet(), lenet(rates={"c?": 0.0, "f6": 0.0})
    still.set_weights(gradual.get_weights())
    slots = []

    def record(epoch, logs):
        if epoch == 2:
            slots.extend(array(v).copy() for v in gradual.optimizer.inner.variables)

    fit(gradual, GradualUnfreezing(PLAN), keras.callbacks.LambdaCallback(on_epoch_begin=record), epochs=3)
    fit(still, epochs=2)
    for kept, expected in zip(slots, still.optimizer.inner.variables, strict=True):
        np.testing.assert_array_equal(kept, array(expected))
    assert int(gradual.optimizer.iterations) == 6


def test_the_first_step_after_a_thaw_is_of_ordinary_length():
    """Of a constant gradient, Adam's step is its rate; slots that start empty would make it √(1000) · 0.1 = 3.2 times that."""
    inputs = keras.Input((1,))
    x = keras.layers.Identity(name="cut")(keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="a")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="b")(x))
    model.compile(LayerwiseRates(keras.optimizers.Adam(1e-3), {}), lambda y, p: keras.ops.mean(p, axis=-1), jit_compile=False)
    steps = []

    class Steps(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.before = float(array(self.model.get_layer("a").kernel)[0, 0])

        def on_epoch_end(self, epoch, logs=None):
            steps.append(self.before - float(array(self.model.get_layer("a").kernel)[0, 0]))

    ones = np.ones((4, 1), "float32")
    model.fit(ones, ones, epochs=52, verbose=0, callbacks=[GradualUnfreezing({0: "cut", 50: None}), Steps()])
    assert not any(steps[:50]) and steps[50] == pytest.approx(1e-3, rel=0.1)


def test_own_rates_hold_for_what_has_thawed_and_come_back():
    model = lenet(keras.optimizers.SGD(0.1), {"c1": 0.25})
    fit(model, GradualUnfreezing(PLAN), epochs=1)
    assert layerwise(model.optimizer).rates == {"c1": 0.25}


def test_traced_once():
    count = []

    def loss(y, prediction):
        count.append(1)
        return keras.losses.sparse_categorical_crossentropy(y, prediction)

    model = zoo.lenet5(weights=None)
    model.compile(LayerwiseRates(keras.optimizers.SGD(0.1), {}), loss, jit_compile=False)
    counts = []
    record = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: counts.append(len(count)))
    fit(model, GradualUnfreezing(PLAN), record)
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch does not trace: each step calls the loss")
    assert counts[0] == counts[-1]


def with_batch_norm(trainable):
    inputs = keras.Input((8,))
    x = keras.layers.BatchNormalization(name="bn")(keras.layers.Dense(8, name="a")(inputs))
    x = keras.layers.Identity(name="cut")(x)
    model = keras.Model(inputs, keras.layers.Dense(1, name="b")(x))
    model.get_layer("bn").trainable = trainable
    model.compile(LayerwiseRates(keras.optimizers.Adam(1e-3), {}), "mse")
    return model


@pytest.mark.parametrize("trainable, batch_norm", [(False, "inference"), (True, "train")])
def test_batch_norm(trainable, batch_norm):
    model = with_batch_norm(trainable)
    bn, seen = model.get_layer("bn"), []
    x = np.random.default_rng(0).standard_normal((16, 8)).astype("float32")

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model  # noqa: B018
            seen.append([array(v).copy() for v in (bn.gamma, bn.moving_mean)])

    model.fit(x, x[:, :1], epochs=4, verbose=0, callbacks=[GradualUnfreezing({0: "cut", 2: None}, batch_norm), Watch()])
    moved = [[bool((a != b).any()) for a, b in zip(*pair, strict=True)] for pair in zip(seen, seen[1:], strict=False)]
    assert moved == ([[False, False]] * 3 if not trainable else [[False, True], [True, True], [True, True]])


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="must say what is frozen from epoch 0 on"):
        GradualUnfreezing({1: None})
    with pytest.raises(ValueError, match='batch_norm must be "inference" or "train"'):
        GradualUnfreezing(PLAN, "frozen")
    with pytest.raises(ValueError, match="Batch norm of frozen stages would train: bn. Make it untrainable before compile"):
        x = np.zeros((4, 8), "float32")
        with_batch_norm(True).fit(x, x[:, :1], verbose=0, callbacks=[GradualUnfreezing({0: "cut"})])
    model = zoo.lenet5(weights=None)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    with pytest.raises(ValueError, match="LayerwiseRates.*it has Adam"):
        fit(model, GradualUnfreezing(PLAN))
    with pytest.raises(ValueError, match="lenet5 has no stage 'stage9': its stages are stage1, stage2, pre_logits"):
        fit(lenet(), GradualUnfreezing({0: "pre_logits", 9: "stage9"}))


def test_a_network_inside_another_model_thaws_by_plan():
    inputs = keras.Input((32, 32, 1))
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax", name="top")(zoo.lenet5(weights=None, num_classes=0)(inputs)))
    model.compile(LayerwiseRates(keras.optimizers.Adam(1e-3), {}), "sparse_categorical_crossentropy", jit_compile=False)
    moves = Moves()
    fit(model, GradualUnfreezing({0: "pre_logits", 1: "stage2", 2: None}), moves, epochs=3)
    assert moves.epochs == [{"top"}, {"top", "c5", "f6"}, {"top", "c5", "f6", "c3", "c1"}]


def test_a_class_of_a_users_own_is_refused_at_the_start_of_fit():
    class Mine(keras.Model):
        def __init__(self):
            super().__init__(name="mine")
            self.base, self.top = zoo.lenet5(weights=None, num_classes=0), keras.layers.Dense(10, "softmax")

        def call(self, x):
            return self.top(self.base(x))

    model = Mine()
    model.compile(LayerwiseRates(keras.optimizers.Adam(1e-3), {}), "sparse_categorical_crossentropy", jit_compile=False)
    with pytest.raises(ValueError, match="mine is of the class Mine, .*: give the functional model inside it, 'lenet5'"):
        fit(model, GradualUnfreezing(PLAN))
