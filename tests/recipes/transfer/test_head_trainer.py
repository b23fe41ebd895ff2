"""The trainer of heads against Keras' optimisers, layers and losses, and against differences in NumPy."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import ROOT, array, python
from keras import ops

from callbacks.learning_rate import warmup_cosine, warmup_cosine_rates
from callbacks.optimizers import OPTIMIZERS, get_optimizer
from recipes.settings.tuned import HeadSettings
from recipes.transfer import head_pass, head_trainer
from recipes.transfer.head_pass import Rule
from recipes.transfer.head_trainer import BATCH_SIZE, HeadTrainer

TRAIN, FEATURES, CLASSES = 150, 20, 3  # three batches, the last of which is not full


def problem(noise=3.0):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1, 2], [100, 60, 40]))
    means = rng.normal(size=(CLASSES, FEATURES))
    views = 5 + means[labels] + noise * rng.normal(size=(3, len(labels), FEATURES))
    return views.astype("float32"), labels


@pytest.fixture(scope="module")
def heads() -> HeadTrainer:
    views, labels = problem()
    return HeadTrainer({"pre_logits": views}, labels, np.arange(TRAIN), np.arange(TRAIN, len(labels)), CLASSES)


def layers_by_numpy(weights, x):
    """Logits."""
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = np.maximum(x @ kernel + bias, 0)
    return x @ weights[-2] + weights[-1]


def loss_by_numpy(logits, labels):
    logits = logits - logits.max(axis=1, keepdims=True)
    return (np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]).mean()


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_rule_is_keras_optimizer_step_for_step(name):
    rng, steps, rate = np.random.default_rng(1), 12, 0.05
    kernel, bias = rng.normal(size=(5, 3)).astype("float32"), rng.normal(size=3).astype("float32")
    variables = [keras.Variable(kernel, name="kernel"), keras.Variable(bias, name="bias")]
    optimizer = get_optimizer(name, warmup_cosine(rate, steps))
    optimizer.build(variables)
    rules = head_pass.rule(name, warmup_cosine_rates(rate, steps))
    layer = np.concatenate([kernel, bias[None]])
    m, v = np.zeros_like(layer), np.full_like(layer, 0.1 if name == "adagrad" else 0)
    for step in range(steps):
        slopes = rng.normal(size=layer.shape).astype("float32")
        optimizer.apply([ops.convert_to_tensor(slopes[:-1]), ops.convert_to_tensor(slopes[-1])], variables)
        now = Rule(*(np.float32(number[step]) for number in rules))
        layer, m, v = (array(part) for part in head_pass.update(layer, slopes, m, v, now))
        np.testing.assert_allclose(layer[:-1], array(variables[0]), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(layer[-1], array(variables[1]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 37, 640])
def test_learning_rates_are_those_of_keras_schedule(steps):
    expected = [float(warmup_cosine(0.3, steps)(step)) for step in range(0, steps, max(1, steps // 20))]
    np.testing.assert_allclose(warmup_cosine_rates(0.3, steps)[:: max(1, steps // 20)], expected, atol=1e-7)


@pytest.mark.parametrize("sizes", [(4, 3), (4, 6, 3)])
def test_gradients_are_those_of_differences(sizes):
    rng, smoothing = np.random.default_rng(2), 0.1
    layers = [rng.normal(size=(before + 1, behind)) for before, behind in zip(sizes, sizes[1:], strict=False)]
    x, hot, share = rng.normal(size=(9, 4)), np.eye(3)[np.arange(9) % 3], rng.uniform(size=9)
    keep = rng.integers(0, 2, (9, sizes[-2])) / 0.5

    def loss(layers):
        y = x
        for layer in layers[:-1]:
            y = np.maximum(y @ layer[:-1] + layer[-1], 0)
        logits = (y * keep) @ layers[-1][:-1] + layers[-1][-1]
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return -(share * ((hot * (1 - smoothing) + smoothing / 3) * logs).sum(axis=1)).sum()

    small = [layer.astype("float32") for layer in layers]
    last, logits = head_pass.outputs(small, x.astype("float32"), keep.astype("float32"))
    each, slope, _ = head_pass.losses(logits, hot.astype("float32"), smoothing)
    assert float(np.sum(array(each) * share)) == pytest.approx(loss(layers), rel=1e-5)
    slopes = head_pass.gradients(
        small, x.astype("float32"), last, slope * share.astype("float32")[:, None], keep.astype("float32")
    )
    for number, found in enumerate(slopes):
        for place in np.ndindex(layers[number].shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = [layer.copy() for layer in layers]
                moved[number][place] += step
                ends.append(loss(moved))
            assert array(found)[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-4)


@pytest.mark.slow
def test_a_whole_training_is_that_of_keras_layers(heads):
    """Hidden layer, L2, class weights and smoothing: the same batches through `train_on_batch`."""
    settings = HeadSettings(
        kind="hidden",
        units=16,
        l2=3e-3,
        learning_rate=3e-3,
        optimizer="adamw",
        label_smoothing=0.1,
        class_weights=True,
        epochs=6,
        views=2,
    )
    result = heads.train(settings, seed=5)
    center, scale = heads.standardization("pre_logits")
    views, labels = problem()
    x = (views[:, :TRAIN] - center) / scale
    penalty, smooth = keras.regularizers.L2(settings.l2), keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            keras.layers.Dense(16, "relu", kernel_regularizer=penalty),
            keras.layers.Dense(CLASSES, "softmax", kernel_regularizer=penalty),
        ]
    )
    first, _ = head_trainer.first_layers(settings, FEATURES, CLASSES, np.random.default_rng(5))
    model.set_weights([part for layer in map(array, first) for part in (layer[:-1], layer[-1])])
    model.compile(get_optimizer("adamw", warmup_cosine(3e-3, 3 * settings.epochs)), smooth)
    counts = np.bincount(labels[:TRAIN])
    for epoch in range(1, settings.epochs + 1):
        generator = np.random.default_rng((5, epoch))
        order, view = generator.permutation(TRAIN), generator.integers(0, 3, TRAIN)
        for start in range(0, TRAIN, BATCH_SIZE):
            some = order[start : start + BATCH_SIZE]
            weights = TRAIN / CLASSES / counts[labels[some]]
            model.train_on_batch(x[view[start : start + BATCH_SIZE], some], np.eye(CLASSES)[labels[some]], weights)
    for found, expected in zip(result.weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-5)
    held_out = array(model((views[0, TRAIN:] - center) / scale))
    assert result.accuracy == (held_out.argmax(axis=1) == labels[TRAIN:]).mean()
    assert result.loss == pytest.approx(-np.log(held_out[np.arange(50), labels[TRAIN:]]).mean(), rel=1e-4)


@pytest.mark.slow
def test_early_stopping_gives_the_best_epoch_and_its_weights(heads):
    settings = HeadSettings(kind="hidden", units=16, learning_rate=0.03, epochs=40, patience=4)
    result = heads.train(settings, seed=0)
    losses = [row["validation_loss"] for row in result.history]
    assert result.epoch == int(np.argmin(losses)) + 1 and len(losses) == result.epoch + 4 < 40
    assert losses[-1] > result.loss == min(losses) and result.history[-1]["loss"] < result.history[0]["loss"]  # overfitted
    center, scale = heads.standardization("pre_logits")
    views, labels = problem()
    np.testing.assert_allclose(center, views[0, :TRAIN].mean(axis=0, dtype="float64"), rtol=2e-7)
    logits = layers_by_numpy(result.weights, (views[0, TRAIN:] - center) / scale)
    assert result.loss == pytest.approx(loss_by_numpy(logits, labels[TRAIN:]), rel=1e-4)
    assert heads.train(HeadSettings(kind="hidden", units=16, learning_rate=0.03, epochs=40), seed=0).epoch == 40


@pytest.mark.slow
def test_the_same_seed_is_the_same_head_and_numbers_compile_nothing(heads):
    settings = HeadSettings(kind="hidden", units=16, dropout=0.4, epochs=2)
    first = heads.train(settings, seed=3)
    if keras.backend.backend() == "tensorflow":
        before = head_pass.compiled().experimental_get_tracing_count()
    for optimizer in OPTIMIZERS:
        other = HeadSettings(
            kind="hidden",
            units=16,
            dropout=0.1,
            epochs=2,
            optimizer=optimizer,
            l2=0.01,
            l2_schedule="cosine",
            label_smoothing=0.2,
            class_weights=True,
            patience=1,
            views=1,
            learning_rate=0.02,
        )
        assert heads.train(other, seed=3).loss != first.loss
    if keras.backend.backend() == "tensorflow":
        assert head_pass.compiled().experimental_get_tracing_count() == before
    again = heads.train(settings, seed=3)
    assert again.loss == first.loss and all((a == b).all() for a, b in zip(again.weights, first.weights, strict=True))
    assert heads.train(settings, seed=4).loss != first.loss


def test_a_falling_penalty_holds_the_weights_less_than_a_constant_one(heads):
    sizes = []
    for l2, schedule in ((0.1, "constant"), (0.1, "cosine"), (0.0, "constant")):
        settings = HeadSettings(kind="hidden", units=16, l2=l2, l2_schedule=schedule, epochs=20)
        sizes.append(np.square(heads.train(settings, seed=0).weights[0]).sum())
    assert sizes[0] < 0.99 * sizes[1] < 0.95 * sizes[2]


def test_a_loss_that_is_no_number_is_an_error(heads):
    settings = HeadSettings(kind="hidden", units=16, optimizer="sgd", learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="in epoch 1, with sgd at a learning rate of 1e.30"):
        heads.train(settings, seed=0)


def test_the_report_sees_each_epoch_and_may_end_the_training(heads):
    seen = []

    def report(epoch, loss):
        seen.append((epoch, loss))
        if epoch == 3:
            raise StopIteration

    settings = HeadSettings(kind="hidden", units=16)
    with pytest.raises(StopIteration):
        heads.train(settings, 0, report)
    whole = heads.train(settings, 0, last=5)
    assert seen == [(row["epoch"], row["validation_loss"]) for row in whole.history[:3]] and whole.epoch == 5


def test_an_epoch_sees_every_picture_once_in_one_of_its_views(heads):
    rows, shares = heads._order(np.random.default_rng(0), 3, weighted=False)
    seen = rows[shares > 0]
    assert sorted(seen % TRAIN) == list(range(TRAIN)) and set(seen // TRAIN) == {0, 1, 2}
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)  # a mean in each step, also in the last, of 22
    assert heads._order(np.random.default_rng(0), 1, weighted=False)[0].max() < TRAIN
    rows, shares = heads._order(np.random.default_rng(0), 1, weighted=True)
    shares[-1] *= (TRAIN % BATCH_SIZE) / BATCH_SIZE
    by_class = np.bincount(problem()[1][rows[shares > 0]], shares[shares > 0])
    np.testing.assert_allclose(by_class, by_class.mean(), rtol=1e-5)


def test_dropout_drops_its_share_and_keeps_the_mean():
    drawn = np.arange(256, dtype="uint8")
    for rate in (0.0, 0.25, 0.999):
        keep = array(head_pass.dropout_mask(drawn, np.float32(rate)))
        assert (keep == 0).mean() == pytest.approx(rate, abs=1 / 256) and keep.mean() == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_train_the_same_head(heads, backend, tmp_path):
    pytest.importorskip(backend)
    script = """
import json, sys
sys.path[:0] = sys.argv[1:]
import numpy as np
from test_head_trainer import CLASSES, TRAIN, problem
from recipes.settings.tuned import HeadSettings
from recipes.transfer.head_trainer import HeadTrainer
views, labels = problem()
heads = HeadTrainer({"pre_logits": views}, labels, np.arange(TRAIN), np.arange(TRAIN, len(labels)), CLASSES)
print(json.dumps([heads.train(HeadSettings(kind=kind, units=16, dropout=0.3, views=2, epochs=5), 1).loss
                  for kind in ("linear", "hidden")]))
"""
    found = python(script, ROOT / "tests", Path(__file__).parent, ROOT, cwd=tmp_path, KERAS_BACKEND=backend)
    expected = [
        heads.train(HeadSettings(kind=kind, units=16, dropout=0.3, views=2, epochs=5), 1).loss for kind in ("linear", "hidden")
    ]
    np.testing.assert_allclose(json.loads(found.splitlines()[-1]), expected, rtol=1e-4)
