"""What a scheduler sets acts inside one compiled fit: against values worked out by hand, with the step traced once."""

import keras
import numpy as np
import pytest
from helpers import array, named

import zoo
from callbacks.regularization import DropoutScheduler, L2Scheduler
from callbacks.schedules import Constant, Linear, Piecewise

X = np.full((64, 4), 0.25, "float32")
Y = np.zeros((64, 1000), "float32")


class Traces:
    """A loss that counts how often it is called from Python; compiled, that is how often it is traced."""

    count = 0

    def __call__(self, y, prediction):
        self.count += 1
        return keras.ops.mean(keras.ops.square(prediction - y), axis=-1)


def ones(rate=0.0):
    """All outputs are 1 without dropout; the sum of the squared weights is 4000; a rate of 0 keeps them so."""
    inputs = keras.Input((4,))
    x = keras.layers.Dense(1000, use_bias=False, kernel_initializer="ones", name="dense")(inputs)
    model = keras.Model(inputs, keras.layers.Dropout(rate, name="drop")(x))
    loss = Traces()
    model.compile(keras.optimizers.SGD(0.0), loss)
    return model, loss


def fit(model, *callbacks, epochs=5, **options):
    return model.fit(X, Y, 32, epochs=epochs, verbose=0, callbacks=list(callbacks), **options).history


@pytest.mark.slow
def test_l2_from_zero_changes_the_compiled_loss():
    model, _ = ones()
    history = fit(model, L2Scheduler(Linear(0.0, 1e-3, over=4)), validation_data=(X, Y))
    expected = [1 + 4000 * e * 0.25e-3 for e in range(5)]
    assert history["loss"] == pytest.approx(expected) and history["val_loss"] == pytest.approx(expected)
    assert history["l2"] == pytest.approx([e * 0.25e-3 for e in range(5)])


def test_l2_moves_the_weights_as_it_should():
    """With zero inputs only the penalty has a gradient: w ← w - 0.1 · 2 · value · w, a step an epoch."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = np.zeros((8, 1), "float32")
    model.fit(x, x, 8, epochs=3, verbose=0, callbacks=[L2Scheduler(Piecewise((1, 2), (0.0, 0.5, 2.0)))])
    assert array(model.weights[0])[0, 0] == pytest.approx((1 - 0.1) * (1 - 0.4))


def test_dropout_from_zero_changes_the_compiled_loss():
    """Of N ones n are kept and divided by 1 - r: a loss of n / N / (1 - r)², with n near (1 - r) N; at rate 1, 0."""
    model, _ = ones()
    history = fit(model, DropoutScheduler(Linear(0.0, 1.0, over=4)))
    assert history["dropout"] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert history["loss"][0] == 1.0 and history["loss"][4] == 0.0
    for rate, loss in zip(history["dropout"][1:4], history["loss"][1:4], strict=True):
        kept = loss * (1 - rate) ** 2 * Y.size
        assert kept == pytest.approx(round(kept), abs=0.1)
        assert kept / Y.size == pytest.approx(1 - rate, abs=0.01)


def test_dropouts_expectation_is_the_output_without_it():
    """Keras scales by 1 / (1 - r) in training, the lecture by 1 - r afterwards: both agree in the mean."""
    seen = []
    model, _ = ones()
    scheduler = DropoutScheduler(Constant(0.3))
    probe = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(array(model(X, training=True)).copy()))
    fit(model, scheduler, probe, epochs=2)
    for outputs in seen:
        assert set(np.unique(outputs).round(5)) == {0.0, np.float32(1 / 0.7).round(5)}
        assert outputs.mean() == pytest.approx(1, abs=0.02)  # the standard deviation of this mean is 0.0026
    assert (seen[0] != seen[1]).any()  # another mask each time
    np.testing.assert_array_equal(array(model(X)), 1)


@pytest.mark.slow
def test_a_seed_repeats_the_masks():
    def losses():
        inputs = keras.Input((4,))
        x = keras.layers.Dense(50, kernel_initializer="ones")(inputs)
        model = keras.Model(inputs, keras.layers.Dropout(0.0, seed=3)(x))
        model.compile(keras.optimizers.SGD(0.0), "mse")
        return model.fit(X, Y[:, :50], epochs=3, verbose=0, callbacks=[DropoutScheduler(Constant(0.5))]).history["loss"]

    first = losses()
    assert losses() == first and len(set(first)) == 3


def test_both_together_are_traced_once():
    model, loss = ones()
    counts = []
    count = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: counts.append(loss.count))
    fit(model, L2Scheduler(Linear(0.0, 1.0, over=4)), DropoutScheduler(Linear(0.0, 0.5, over=4)), count)
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch does not trace: each step calls the loss")
    assert counts[0] == counts[-1]


def test_by_step():
    model, _ = ones()
    seen = []
    probe = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    history = fit(model, L2Scheduler(Linear(0.0, 4e-3, over=4), by="step"), probe, epochs=3)  # 2 steps an epoch
    steps = [1, 5, 9, 13, 17, 17]
    assert seen == pytest.approx([1, 3, 9, 11, 17, 17])  # running means of an epoch
    assert history["loss"] == pytest.approx([np.mean(steps[:2]), np.mean(steps[2:4]), np.mean(steps[4:])])
    assert history["l2"] == pytest.approx([1e-3, 3e-3, 4e-3])


@pytest.mark.slow
def test_after_the_fit_all_is_as_before(tmp_path):
    model, _ = ones(0.25)
    before = repr(model.get_config())
    saved = tmp_path / "during.keras"
    save = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: model.save(saved))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    variables = [id(v) for v in model.variables]
    fit(model, L2Scheduler(Constant(1.0)), DropoutScheduler(Constant(0.9)), save, epochs=1)
    assert [id(v) for v in model.variables] == variables
    for one in (model, keras.models.load_model(saved)):  # also what is saved meanwhile
        assert type(one.get_layer("drop")) is keras.layers.Dropout and one.get_layer("drop").rate == 0.25
        assert len(one.weights) == 1 and one.get_layer("dense").kernel.regularizer is None
        assert "call" not in vars(one.get_layer("drop"))
    assert repr(model.get_config()) == before
    loss = model.fit(X, Y, 32, verbose=0).history["loss"][0]
    assert loss * 0.75**2 == pytest.approx(0.75, abs=0.01)  # the rate that it was built with, no penalty


def test_an_interrupted_fit_can_be_undone():
    model, _ = ones()
    scheduler = L2Scheduler(Constant(1.0))

    def stop(epoch, logs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, scheduler, keras.callbacks.LambdaCallback(on_epoch_end=stop))
    assert model.get_layer("dense").kernel.regularizer is not None
    scheduler.detach()
    assert model.get_layer("dense").kernel.regularizer is None


@pytest.mark.slow
def test_a_second_fit_starts_from_the_same_variables():
    model, _ = ones()
    variables = [id(v) for v in model.variables]
    scheduler = DropoutScheduler(Constant(0.5))
    for _ in range(2):
        loss = fit(model, scheduler, epochs=1)["loss"][0]
        assert loss * 0.25 == pytest.approx(0.5, abs=0.01)
        assert [id(v) for v in model.variables] == variables


@pytest.mark.slow
def test_layers_by_pattern_and_on_top_of_their_own_penalty():
    model = zoo.lenet5(weights=None, l2=0.5)
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    x, y = np.zeros((4, 32, 32, 1), "uint8"), np.zeros(4, int)
    squares = {name: float(np.sum(w.astype(float) ** 2)) for name, w in named(model).items() if name.endswith("kernel")}
    without = float(model.evaluate(x, y, verbose=0))
    schedulers = [L2Scheduler(Constant(2.0), "c[13]"), L2Scheduler(Constant(3.0), "f6", name="l2_f6")]
    history = model.fit(x, y, verbose=0, callbacks=schedulers)
    expected = without + 2 * (squares["c1/kernel"] + squares["c3/kernel"]) + 3 * squares["f6/kernel"]
    assert history.history["loss"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_frozen_layers_add_nothing():
    model = zoo.lenet5(weights=None)
    zoo.freeze(model, "pre_logits")
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    x, y = np.zeros((4, 32, 32, 1), "uint8"), np.zeros(4, int)
    before = model.evaluate(x, y, verbose=0)
    loss = model.fit(x, y, verbose=0, callbacks=[L2Scheduler(Constant(1.0))]).history["loss"][0]
    assert loss == pytest.approx(before + np.sum(named(model)["predictions/kernel"] ** 2), rel=1e-5)


def test_a_noise_shape_drops_whole_samples():
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, keras.layers.Dropout(0.2, noise_shape=(None, 1, 1, 1))(inputs))
    seen = []
    x = np.ones((200, 4, 4, 3), "float32")
    head = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones")(model.output))
    head.compile(keras.optimizers.SGD(0.0), "mse")
    probe = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(array(model(x, training=True)).copy()))
    head.fit(x, x[..., :1], verbose=0, callbacks=[DropoutScheduler(Constant(0.5)), probe])
    flat = seen[0].reshape(200, -1)
    assert (flat == flat[:, :1]).all() and set(np.unique(flat)) == {0.0, 2.0}


def test_mixed_precision():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(1000, use_bias=False, kernel_initializer="ones", dtype="mixed_float16")(inputs)
    model = keras.Model(inputs, keras.layers.Dropout(0.0, dtype="mixed_float16")(x))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = fit(model, L2Scheduler(Constant(1e-3)), DropoutScheduler(Constant(0.5)), epochs=1)
    assert history["loss"][0] == pytest.approx(4 + 2.0, rel=0.02)


@pytest.mark.fault(
    "Callbacks",
    "L2Scheduler on a model that holds others, with attention and recurrent layers",
    "the loss grows by the penalty on every kernel that Keras itself would penalise",
    "it was on the outermost layers alone, without a word",
)
@pytest.mark.slow
def test_l2_reaches_kernels_inside_models_wrappers_and_cells():
    def build(penalty=None):
        own = dict(kernel_regularizer=penalty)
        inner = keras.Sequential(
            [keras.Input((6, 4)), keras.layers.TimeDistributed(keras.layers.Dense(4, **own))], name="inner"
        )
        inputs = keras.Input((6, 4))
        x = inner(inputs)
        x = keras.layers.MultiHeadAttention(2, 3, name="attention", **own)(x, x)
        cell = keras.layers.GRU(3, recurrent_regularizer=penalty, **own)
        return keras.Model(inputs, keras.layers.Dense(1, name="out", **own)(keras.layers.Bidirectional(cell)(x)))

    theirs, ours = build(keras.regularizers.L2(0.5)), build()
    ours.set_weights(theirs.get_weights())
    x, y = np.zeros((4, 6, 4), "float32"), np.zeros((4, 1), "float32")
    for model in (theirs, ours):
        model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    expected = theirs.evaluate(x, y, verbose=0)
    loss = ours.fit(x, y, verbose=0, callbacks=[L2Scheduler(Constant(0.5))]).history["loss"][0]
    assert len(theirs.losses) == 10 and loss == pytest.approx(expected, rel=1e-5)
    assert not ours.losses
    attention = sum(np.sum(array(v) ** 2) for v in ours.get_layer("attention").weights if v.name == "kernel")
    alone = ours.fit(x, y, verbose=0, callbacks=[L2Scheduler(Constant(0.5), "attention")]).history["loss"][0]
    assert alone == pytest.approx(0.5 * attention + ours.evaluate(x, y, verbose=0), rel=1e-5)


def masks(layer, rate, shape=(400, 6, 50), inside=False):
    """What a layer that was built with a rate of 0 makes of ones in the training step of a fit."""
    inputs, seen = keras.Input(shape[1:]), []
    if inside:
        inner = keras.Input(shape[1:])
        x = keras.Model(inner, layer(inner), name="inner")(inputs)
    else:
        x = layer(inputs)
    body = keras.Model(inputs, x)
    model = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="zeros")(x))
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    x = np.ones(shape, "float32")
    probe = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(array(body(x, training=True)).copy()))
    model.fit(x[:4], x[:4, ..., :1], verbose=0, callbacks=[DropoutScheduler(Constant(rate)), probe])
    np.testing.assert_array_equal(array(body(x)), 1)
    return seen[0]


@pytest.mark.slow
@pytest.mark.fault(
    "Callbacks",
    "DropoutScheduler on SpatialDropout, GaussianDropout, AlphaDropout, or inside another model",
    "each drops at the scheduled rate in its own way",
    "they kept the rate that they were built with, without a word",
)
@pytest.mark.parametrize("inside", [False, True], ids=["own", "inside"])
def test_every_kind_of_dropout_follows_the_curve(inside):
    plain = masks(keras.layers.Dropout(0.0), 0.25, inside=inside)
    assert set(np.unique(plain).round(4)) == {0.0, np.float32(4 / 3).round(4)} and plain.mean() == pytest.approx(1, abs=0.01)
    channels = masks(keras.layers.SpatialDropout1D(0.0), 0.25, inside=inside)
    assert (channels == channels[:, :1]).all() and (channels == 0).mean() == pytest.approx(0.25, abs=0.02)
    noise = masks(keras.layers.GaussianDropout(0.0), 0.2, inside=inside)  # a variance of 0.2 / 0.8
    assert noise.mean() == pytest.approx(1, abs=0.01) and noise.std() == pytest.approx(0.5, abs=0.01)
    alpha = masks(keras.layers.AlphaDropout(0.0), 0.25, inside=inside)
    lowest = -1.7580993408473766
    scale = ((1 - 0.25) * (1 + 0.25 * lowest**2)) ** -0.5
    expected = {np.float32(scale * (value - lowest * 0.25)).round(4) for value in (1, lowest)}
    assert set(np.unique(alpha).round(4)) == expected and (alpha < 0).mean() == pytest.approx(0.25, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("first", [False, True], ids=["channels last", "channels first"])
def test_whole_maps_are_dropped_where_the_channels_are(first):
    layer = keras.layers.SpatialDropout2D(0.0, data_format="channels_first" if first else "channels_last")
    maps = masks(layer, 0.5, (50, 4, 5, 6))
    whole = maps[:, :, :1, :1] if first else maps[:, :1, :1]
    assert (maps == whole).all() and 0.4 < (whole == 0).mean() < 0.6


def test_two_models_with_layers_of_one_name_have_two_generators():
    inputs, x, names = keras.Input((50,)), None, []
    for _ in range(2):
        inner = keras.Input((50,))
        x = keras.Model(inner, keras.layers.Dropout(0.0, name="drop")(inner))(inputs if x is None else x)
        names.append(x)
    body = keras.Model(inputs, names)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    seen, ones_ = [], np.ones((100, 50), "float32")
    probe = keras.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: seen.extend(map(array, body(ones_, training=True))))
    model.fit(ones_, ones_[:, :1], verbose=0, callbacks=[DropoutScheduler(Constant(0.5)), probe])
    assert (seen[0] == 0).mean() == pytest.approx(0.5, abs=0.05) and (seen[1] == 0).mean() == pytest.approx(0.75, abs=0.05)
    assert len(model.variables) == 2


def attention(rate):
    """Attention over five tokens, and a layer of dropout beside it."""
    inputs = keras.Input((5, 4))
    x = keras.layers.MultiHeadAttention(1, 4, dropout=rate, name="attention")(inputs, inputs)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dropout(0.0, name="drop")(x)))


@pytest.mark.slow
def test_attention_takes_part_if_it_was_built_with_dropout():
    """At rate 1 it gives nothing but its bias, which is 0 at the start."""
    x = np.random.default_rng(0).standard_normal((8, 5, 4)).astype("float32")
    for rate in (0.5, 0.0):
        model = attention(rate)
        model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
        scheduler = DropoutScheduler(Constant(1.0), "attention")
        if not rate:
            with pytest.raises(ValueError, match="dropout in no layer named 'attention'"):
                model.fit(x, x[..., :1], verbose=0, callbacks=[scheduler])
            continue
        loss = model.fit(x, x[..., :1], verbose=0, callbacks=[scheduler]).history["loss"][0]
        assert loss == pytest.approx(np.mean(x[..., 0] ** 2), rel=1e-5)


class Dropping(keras.layers.Layer):
    """A layer of a user's own that drops by itself."""

    def __init__(self, rate, **options):
        super().__init__(**options)
        self.rate = rate

    def call(self, x, training=False):
        return keras.random.dropout(x, self.rate) if training else x


@pytest.mark.slow
@pytest.mark.fault(
    "Callbacks",
    "DropoutScheduler on a recurrent layer's own dropout, or a user's own layer",
    "refused at the start of fit, with the layer's name",
    "the rate is written into the compiled step and would stay what it was",
)
@pytest.mark.parametrize(
    "layer, says",
    [
        (lambda: keras.layers.LSTM(2, dropout=0.1, name="rnn"), r"the dropout of 'rnn/lstm_cell\w*' \(LSTMCell\) during a fit"),
        (lambda: keras.layers.Bidirectional(keras.layers.GRU(2, recurrent_dropout=0.1)), "the recurrent_dropout of 'bidir"),
        (lambda: keras.Sequential([Dropping(0.5, name="own"), keras.layers.Flatten()], name="in"), r"rate of 'in/own' \(Dropp"),
    ],
    ids=["lstm", "gru", "own"],
)
def test_dropout_that_cannot_be_set_is_refused(layer, says):
    inputs = keras.Input((3, 2))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dropout(0.1, name="drop")(layer()(inputs))))
    model.compile("sgd", "mse", run_eagerly=True)
    x = np.zeros((4, 3, 2), "float32")
    with pytest.raises(ValueError, match=says):
        model.fit(x, x[:, 0, :1], verbose=0, callbacks=[DropoutScheduler(Constant(0.2))])
    model.fit(x, x[:, 0, :1], verbose=0, callbacks=[DropoutScheduler(Constant(0.2), "drop")])


def test_noise_cannot_drop_everything():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.GaussianDropout(0.1, name="noise")(inputs))
    model.compile("sgd", "mse", jit_compile=False)
    with pytest.raises(ValueError, match="The rate of 'noise' must be below 1, the curve of 'dropout' gives 1"):
        model.fit(X, X, verbose=0, callbacks=[DropoutScheduler(Constant(1.0))])


@pytest.mark.parametrize(
    "scheduler, says",
    [
        (lambda: DropoutScheduler(Constant(1.5)), "between 0 and 1, the curve of 'dropout' gives 1.5"),
        (lambda: L2Scheduler(Constant(-1.0)), "0 or more, the curve of 'l2' gives -1.0"),
        (lambda: L2Scheduler(Constant(0.1), "conv*"), r"functional has kernels in no layer named 'conv\*'"),
        (lambda: DropoutScheduler(Constant(0.1), "x"), "dropout in no layer named 'x'"),
        (lambda: L2Scheduler(Constant(0.1), by="batch"), 'by must be "epoch" or "step"'),
    ],
)
def test_what_cannot_be_is_refused(scheduler, says):
    model, _ = ones()
    model.name = "functional"
    with pytest.raises(ValueError, match=says):
        fit(model, scheduler())
