"""Optimisers by name, and rates by layer: single steps against NumPy, also inside a compiled fit."""

import keras
import numpy as np
import pytest
from helpers import array, named

import zoo
from callbacks.optimizers import OPTIMIZERS, LayerwiseRates, decayed_rates, get_optimizer

STAGES = ["stage1", "stage2", "pre_logits"]
DECAY = 0.5
# The stage that each layer of LeNet-5 belongs to: its rate.
RATES = {"c1": DECAY**3, "c3": DECAY**2, "c5": DECAY, "f6": DECAY, "predictions": 1.0}


def lenet():
    return zoo.lenet5(weights=None)


def data(seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (8, 32, 32, 1)).astype("uint8"), np.arange(8) % 10


def gradients(model, x, y, before):
    """By a step of plain gradient descent with rate 1, from the weights `before`."""
    model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(x, y, 8, verbose=0, shuffle=False)
    gradient = {name: before[name] - value for name, value in named(model).items()}
    model.set_weights(list(before.values()))
    return gradient


def copies(model):
    return {name: value.copy() for name, value in named(model).items()}


def one_fit(model, optimizer, x, y, steps=1):
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(x, y, 8, epochs=steps, verbose=0, shuffle=False)


def test_the_rates_of_each_stage():
    assert {**decayed_rates(lenet(), STAGES, DECAY), "predictions": 1.0} == RATES


@pytest.mark.slow
def test_one_step_of_adam_every_stage():
    """Adam's first step is rate · g / (|g| + ε'), whatever the gradient's size: scaling gradients would change nothing."""
    model, (x, y) = lenet(), data()
    before = copies(model)
    gradient = gradients(model, x, y, before)
    optimizer = LayerwiseRates(keras.optimizers.Adam(0.01, epsilon=1e-5), decayed_rates(model, STAGES, DECAY))
    one_fit(model, optimizer, x, y)
    for name, after in named(model).items():
        g = gradient[name].astype(np.float64)
        m, v = 0.1 * g, 0.001 * g**2
        step = 0.01 * np.sqrt(1 - 0.999) / (1 - 0.9) * m / (np.sqrt(v) + 1e-5)
        expected = before[name] - RATES[name.split("/")[0]] * step
        np.testing.assert_allclose(after, expected, atol=2e-4 * RATES[name.split("/")[0]], err_msg=name)
        assert (after != before[name]).any(), name


@pytest.mark.slow
def test_two_steps_of_momentum_every_stage():
    """v ← 0.9 v - rate · g; the slot is the inner optimizer's own, the layer's rate multiplies what is added to w."""
    model, (x, y) = lenet(), data()
    w = copies(model)
    rates = decayed_rates(model, STAGES, DECAY)
    v = {name: 0.0 for name in w}
    start = list(w.values())
    for _ in range(2):
        gradient = gradients(model, x, y, w)
        for name in w:
            v[name] = 0.9 * v[name] - 0.1 * gradient[name]
            w[name] = (w[name] + RATES[name.split("/")[0]] * v[name]).astype("float32")
        model.set_weights(list(w.values()))
    model.set_weights(start)
    one_fit(model, LayerwiseRates(get_optimizer("momentum", 0.1), rates), x, y, steps=2)
    for name, after in named(model).items():
        np.testing.assert_allclose(after, w[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ("sgd", "adam") else pytest.mark.deep) for name in OPTIMIZERS]
)
@pytest.mark.slow
def test_without_rates_it_is_the_inner_optimizer_bit_for_bit(name):
    results = []
    for wrap in (lambda o: o, lambda o: LayerwiseRates(o, {})):
        model = keras.utils.set_random_seed(0) or lenet()
        one_fit(model, wrap(get_optimizer(name, 0.01, 0.1)), *data(), steps=3)
        results.append(model.get_weights())
    for plain, wrapped in zip(*results, strict=True):
        np.testing.assert_array_equal(plain, wrapped)


@pytest.mark.slow
def test_a_rate_of_zero_moves_nothing_and_slots_go_on():
    model = lenet()
    before = copies(model)
    optimizer = LayerwiseRates(keras.optimizers.Adam(0.01), {"c?": 0.0})
    one_fit(model, optimizer, *data(), steps=3)
    for name, after in named(model).items():
        assert np.array_equal(after, before[name]) == (name[0] == "c"), name
    assert int(optimizer.iterations) == 3
    momenta = [slot for slot in optimizer.inner.variables if slot.path.endswith("_momentum")]
    assert len(momenta) == len(model.trainable_variables) and all(np.any(array(slot)) for slot in momenta)


@pytest.mark.slow
def test_rates_change_inside_a_compiled_fit():
    model, moved = lenet(), []
    optimizer = LayerwiseRates(keras.optimizers.SGD(0.01), {"*": 0.0})

    class Change(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.before = self.model.get_weights()
            optimizer.set_rates({"*": float(epoch == 1)})

        def on_epoch_end(self, epoch, logs=None):
            moved.append(any((a != b).any() for a, b in zip(self.model.get_weights(), self.before, strict=True)))

    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(*data(), 8, epochs=3, verbose=0, callbacks=[Change()])
    assert moved == [False, True, False]


@pytest.mark.slow
def test_configuration_and_slots_survive_saving(tmp_path):
    model = lenet()
    one_fit(model, LayerwiseRates(get_optimizer("momentum", 0.01), {"c?": 0.25, "f6": 0.5}), *data(), steps=2)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert again.optimizer.rates == {"c?": 0.25, "f6": 0.5} and again.optimizer.inner.momentum == 0.9
    for a, b in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(array(a), array(b))
    for one in (model, again):
        one.fit(*data(1), 8, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_with_a_schedule_and_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = lenet()
    finally:
        keras.config.set_dtype_policy("float32")
    before = copies(model)
    rate = keras.optimizers.schedules.CosineDecay(0.01, 10)
    one_fit(model, keras.optimizers.LossScaleOptimizer(LayerwiseRates(keras.optimizers.Adam(rate), {"c1": 0.0})), *data())
    moved = {name.split("/")[0] for name, after in named(model).items() if (after != before[name]).any()}
    assert moved == {"c3", "c5", "f6", "predictions"}


def test_a_pattern_that_matches_nothing_is_an_error():
    with pytest.raises(ValueError, match="no trainable layer matches conv9; there are c1, c3, c5, f6, predictions"):
        one_fit(lenet(), LayerwiseRates(keras.optimizers.SGD(0.1), {"conv9": 0.5}), *data())
    with pytest.raises(ValueError, match="use_ema"):
        LayerwiseRates(keras.optimizers.SGD(0.1, use_ema=True), {})


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.slow
def test_weight_decay_is_decoupled_and_spares_biases_and_norms(name):
    """Labels without weight give no gradient: what moves is the decay alone, w ← w - 0.1 · 0.5 · w."""
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, bias_initializer="ones")(inputs)
    x = keras.layers.LayerNormalization(beta_initializer="ones")(x)
    model = keras.Model(inputs, x)
    before = copies(model)
    model.compile(get_optimizer(name, 0.1, weight_decay=0.5), "mse")
    zeros = np.zeros((4, 4), "float32")
    model.fit(zeros[:, :3], zeros, sample_weight=np.zeros(4), verbose=0)
    for variable, after in named(model).items():
        expected = before[variable] * (0.95 if variable.endswith("kernel") else 1)
        np.testing.assert_allclose(after, expected, rtol=1e-6, err_msg=variable)


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ValueError, match="no optimizer 'lion': there are sgd, momentum, nesterov, .*, adamw"):
        get_optimizer("lion", 0.1)


def around(base):
    inputs = keras.Input((32, 32, 1))
    return keras.Model(inputs, keras.layers.Dense(3, name="top")(base(inputs)), name="around")


@pytest.mark.slow
@pytest.mark.fault(
    "Callbacks",
    "decayed_rates and GradualUnfreezing on a network inside another model, or on a Sequential one",
    "they work as on the network itself",
    "they ended in an error of Keras",
)
@pytest.mark.parametrize("make", [around, lambda base: keras.Sequential([base, keras.layers.Dense(3, name="top")])])
def test_rates_of_a_network_inside_another_model(make):
    model = make(zoo.lenet5(weights=None, num_classes=0))
    rates = decayed_rates(model, zoo.stages(model), DECAY)
    assert {**rates, "predictions": 1.0} == RATES
    before = [array(v).copy() for v in model.weights]
    model.compile(LayerwiseRates(keras.optimizers.SGD(0.1), dict.fromkeys(rates, 0.0)), "mse", jit_compile=False)
    model.fit(data()[0], np.ones((8, 3)), verbose=0)
    moved = ["/".join(v.path.split("/")[-2:]) for v, old in zip(model.weights, before, strict=True) if (array(v) != old).any()]
    assert moved == ["top/kernel", "top/bias"]


class Around(keras.Model):
    """A network inside a class of a user's own."""

    def __init__(self):
        super().__init__(name="mine")
        self.base, self.top = zoo.lenet5(weights=None, num_classes=0), keras.layers.Dense(3)

    def call(self, x):
        return self.top(self.base(x))


@pytest.mark.fault(
    "Callbacks",
    "decayed_rates on a class of a user's own, a model that is not built, or layers of one name",
    "refused, with the name of the model and what to do",
    "the order of the layers, or which of them is meant, cannot be known",
)
def test_a_model_whose_layers_cannot_be_told_is_refused():
    with pytest.raises(ValueError, match="mine is of the class Around, .*: give the functional model inside it, 'lenet5'"):
        decayed_rates(Around(), ["stage1"], DECAY)
    with pytest.raises(ValueError, match="late is a Sequential model without a size of input: begin it with keras.Input"):
        decayed_rates(keras.Sequential([keras.layers.Dense(2)], name="late"), ["stage1"], DECAY)
    inputs = keras.Input((32, 32, 1))
    twins = keras.Model(inputs, keras.layers.Dense(3, name="f6")(zoo.lenet5(weights=None, num_classes=0)(inputs)), name="twins")
    with pytest.raises(ValueError, match="twins has layers called 'f6' before and behind 'pre_logits'"):
        decayed_rates(twins, ["stage1", "pre_logits"], DECAY)
    with pytest.raises(ValueError, match="lenet5 has no stage 'stage9': its stages are stage1, stage2, pre_logits"):
        decayed_rates(lenet(), ["stage9"], DECAY)
