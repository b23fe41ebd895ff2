"""Penalties against sums worked out in NumPy, in a compiled fit."""

import keras
import numpy as np
import pytest
from helpers import array, named

import zoo
from callbacks.penalties import l2_sp
from callbacks.regularization import L2Scheduler
from callbacks.schedules import Constant

X, Y = np.zeros((4, 32, 32, 1), "uint8"), np.zeros(4, int)


def compiled(model, rate=0.0):
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    return model


def kernels(model):
    return {name: value.astype(float) for name, value in named(model).items() if name.endswith("kernel")}


def penalty(model, *callbacks):
    """What the loss of a compiled fit holds beyond the error."""
    found = model.fit(X, Y, verbose=0, callbacks=list(callbacks)).history["loss"][0]
    outputs = array(model(X))
    return found + float(np.mean(np.log(outputs[:, 0])))


def test_l1_and_l2_on_a_built_model():
    model = zoo.lenet5(weights=None)
    zoo.regularize(model, l2=0.01, l1=0.02)
    expected = sum(0.01 * np.sum(w**2) + 0.02 * np.sum(np.abs(w)) for w in kernels(model).values())
    assert penalty(compiled(model)) == pytest.approx(expected, rel=1e-5)
    again = keras.Model.from_config(model.get_config())
    assert again.get_layer("c1").kernel_regularizer.get_config() == {"l1": 0.02, "l2": 0.01}


@pytest.mark.slow
def test_l2_sp_is_the_heads_l2_at_the_start_and_grows_with_the_distance():
    model = zoo.lenet5(weights=None)
    l2_sp(model, start=0.5, head=0.25)
    compiled(model)
    start = kernels(model)
    head = 0.125 * np.sum(start["predictions/kernel"] ** 2)
    assert penalty(model) == pytest.approx(head, rel=1e-5)
    for layer in ("c1", "f6", "predictions"):  # in the same traced step
        model.get_layer(layer).kernel.assign(model.get_layer(layer).kernel + 0.1)
    distance = 0.01 * (start["c1/kernel"].size + start["f6/kernel"].size)
    expected = 0.25 * distance + 0.125 * np.sum(kernels(model)["predictions/kernel"] ** 2)
    assert penalty(model) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_l2_sp_pulls_back():
    """Without any gradient but the penalty's: the distance shrinks by 1 - rate · α a step, the head by 1 - rate · β."""
    model = zoo.lenet5(weights=None)
    l2_sp(model, start=0.5, head=0.25)
    start = kernels(model)
    compiled(model, 0.1)
    model.get_layer("c3").kernel.assign(model.get_layer("c3").kernel + 1)
    model.fit(X, Y, sample_weight=np.zeros(4), epochs=2, verbose=0)
    after = kernels(model)
    np.testing.assert_allclose(after["c3/kernel"] - start["c3/kernel"], 0.95**2, rtol=1e-5)
    np.testing.assert_allclose(after["predictions/kernel"], start["predictions/kernel"] * 0.975**2, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(after["f6/kernel"], start["f6/kernel"], atol=1e-7)


@pytest.mark.slow
def test_frozen_layers_add_nothing_and_a_scheduler_adds_to_it():
    model = zoo.lenet5(weights=None)
    l2_sp(model, start=0.5, head=0.25)
    zoo.freeze(model, "pre_logits")
    compiled(model)
    square = np.sum(kernels(model)["predictions/kernel"] ** 2)
    model.get_layer("c1").kernel.assign(model.get_layer("c1").kernel + 1)
    assert penalty(model) == pytest.approx(0.125 * square, rel=1e-4)
    assert penalty(model, L2Scheduler(Constant(1.0))) == pytest.approx(1.125 * square, rel=1e-4)


def test_what_is_saved_is_the_model_without_it(tmp_path):
    model = zoo.lenet5(weights=None, l2=0.1)
    l2_sp(model, start=0.5, head=0.25)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert all(v.regularizer is None for v in again.weights)


def test_a_head_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="no layer 'top' with a kernel: it has c1, c3, c5, f6, predictions"):
        l2_sp(zoo.lenet5(weights=None), 0.1, 0.1, new="top")
