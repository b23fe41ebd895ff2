"""One phase: what is frozen stays, bit for bit; batches are the seed's; a rate that diverges is said."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from helpers import array

import zoo
from recipes.data.batches import Batches
from recipes.errors import UserError
from recipes.transfer import training
from recipes.transfer.strategies import Phase

PHASE = Phase("fine-tune", 1, 1e-2, "stage4", augment=True)


def batches(images=16, size=32, classes=3, seed=0):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (images, size, size, 3), np.uint8), np.arange(images) % classes
    return Batches(lambda samples, _: x[samples], y, 8, seed)


def test_each_epoch_has_its_own_order_and_a_seed_repeats_it():
    def orders(seed):
        sequence = Batches(lambda samples, _: samples, np.arange(50), 8, seed)
        epochs = []
        for _ in range(3):
            epochs.append(np.concatenate([sequence[i][0] for i in range(len(sequence))]).tolist())
            sequence.on_epoch_end()
        return epochs

    first = orders(0)
    assert all(sorted(epoch) == list(range(50)) for epoch in first)
    assert first[0] != first[1] != first[2] != first[0]
    assert orders(0) == first and orders(1) != first


def test_training_that_ends_early_says_where(capsys):
    """The count alone, 6/6 steps, would look like all that was planned."""
    recorder = training.History(replace(PHASE, name="trial of large", epochs=3), 6)
    recorder.set_state({"rows": [{"epoch": 1}]})
    recorder.on_train_end()
    assert capsys.readouterr().err == "trial of large  6/6 steps  done before  ended after 1 of 3 epochs\n"


@pytest.mark.slow
def test_fit_sees_another_order_in_every_epoch_the_same_with_the_same_seed():
    """Through Keras itself, which reads ahead and looks at a batch or two before it begins."""

    def seen(seed):
        orders = []
        sequence = Batches(
            lambda samples, _: orders.append(tuple(samples)) or samples[:, None].astype("float32"), np.zeros(40, int), 40, seed
        )
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
        model.fit(sequence, epochs=3, verbose=0, shuffle=False)
        return orders

    orders = seen(0)
    assert len(set(orders[-3:])) == 3 and all(sorted(order) == list(range(40)) for order in orders)
    assert seen(0) == orders


@pytest.mark.parametrize("batch_norm", ["inference", pytest.param("adapt", marks=pytest.mark.deep)])
@pytest.mark.slow
def test_frozen_layers_and_statistics_stay_bit_for_bit(batch_norm, tmp_path):
    model = zoo.mobilenet_v2(alpha=0.35, input_shape=(32, 32, 3), num_classes=3)
    phase = replace(PHASE, batch_norm=batch_norm)
    before = {v.path: array(v) for v in model.weights}
    frozen = {id(v) for layer in zoo.split(model, "stage4")[0].layers for v in layer.weights}
    training.train(training.prepare(model, phase, 2), phase, batches(), None, tmp_path)
    moved = {v.path for v in model.weights if not np.array_equal(before[v.path], array(v))}
    assert not moved & {v.path for v in model.weights if id(v) in frozen}
    assert "predictions/kernel" in {"/".join(path.split("/")[-2:]) for path in moved}
    statistics = [v.path for v in model.weights if "moving" in v.name and id(v) not in frozen]
    assert statistics and all((path in moved) == (batch_norm == "adapt") for path in statistics)


@pytest.mark.slow
def test_training_behind_the_cut_trains_the_model_itself(tmp_path):
    model = zoo.lenet5()
    phase = Phase("fine-tune", 1, 1e-2, "stage1", augment=False)
    part = training.prepare(model, phase, 2)
    before = [array(v) for v in model.get_layer("c3").weights]
    x, y = np.random.default_rng(0).random((16, 14, 14, 6), "float32"), np.arange(16) % 10
    training.train(part, phase, Batches(lambda samples, _: x[samples], y, 8, 0), None, tmp_path)
    assert all((old != array(new)).any() for old, new in zip(before, model.get_layer("c3").weights, strict=True))


@pytest.mark.slow
def test_a_diverging_loss_is_a_sentence_not_a_model(tmp_path):
    model = zoo.lenet5(activation=None)  # logits where probabilities belong: the logarithm of a negative number
    phase = Phase("train", 3, 1e30, None, augment=True, batch_norm="adapt")
    x, y = np.full((16, 32, 32, 1), 255, np.uint8), np.arange(16) % 10
    model.get_layer("c1").kernel.assign(np.full((5, 5, 1, 6), np.nan))
    with pytest.raises(UserError, match="Training has diverged: the loss became nan in epoch 1"):
        training.train(
            training.prepare(model, phase, 2), phase, Batches(lambda samples, _: x[samples], y, 8, 0), None, tmp_path
        )


@pytest.mark.parametrize("threads", [pytest.param(0, marks=pytest.mark.deep), 2])
@pytest.mark.slow
def test_a_training_cut_off_goes_on_to_the_same_weights_and_history(threads, tmp_path):
    """Cut off in the second of three epochs, in another order each, with a warm-up that does not begin again."""
    x, y = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 1), np.uint8), np.arange(40) % 10
    phase = Phase("train", 3, 1e-2, None, augment=True, batch_norm="adapt")

    def result(folder, cut_off=False):
        reads = []

        def read(samples, generator):
            reads.append(len(samples))
            if cut_off and len(reads) > 12:
                raise KeyboardInterrupt
            return x[samples] + generator.integers(0, 9, (len(samples), 1, 1, 1), np.uint8)

        keras.utils.set_random_seed(0)
        model = zoo.lenet5(dropout=0.3)
        batches = Batches(read, y, 8, 0, threads=threads)
        rows = training.train(training.prepare(model, phase, 2), phase, batches, None, folder)
        return model.get_weights(), [{k: v for k, v in row.items() if k != "seconds"} for row in rows]

    expected, history = result(tmp_path / "whole")
    with pytest.raises(BaseException):  # noqa: B017, PT011 - TensorFlow makes its own of what its thread meets
        result(tmp_path / "cut", cut_off=True)
    found, rows = result(tmp_path / "cut")
    assert rows == history and len(rows) == 3
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_the_state_folder_depends_on_weights_and_settings():
    keras.utils.set_random_seed(0)
    model = zoo.lenet5()
    first = training.state_folder(model, PHASE, [1, 2])
    assert training.state_folder(model, PHASE, [1, 2]) == first
    assert training.state_folder(model, replace(PHASE, epochs=2), [1, 2]) != first
    model.get_layer("c1").bias.assign_add([1e-3] * 6)
    assert training.state_folder(model, PHASE, [1, 2]) != first
