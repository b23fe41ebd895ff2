"""Folded norms: the same answers and the same training, of every layer that may be folded, and of no other."""

import keras
import numpy as np
import pytest
from helpers import pixels, randomize
from keras import layers

import zoo
from recipes.compute.folding import foldable, folded


def network(name="mobilenet", **options):
    return randomize(zoo.get_model(name, num_classes=3, weights=None, input_shape=(32, 32, 3), **options))


def after_steps(model, is_folded):
    """The weights that three steps leave, from the same start."""
    start, x = model.get_weights(), pixels(8, 32, 32, 3).astype("float32")
    model.compile(keras.optimizers.SGD(1e-2), "sparse_categorical_crossentropy", jit_compile=False)
    with folded(foldable(model, in_training=True) if is_folded else []):
        for _ in range(3):
            model.train_on_batch(x, np.arange(8) % 3)
    trained = model.get_weights()
    model.set_weights(start)
    return start, trained


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.slow
def test_training_is_the_same(learns):
    model = network(alpha=0.25)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
            layer.gamma.trainable = layer.beta.trainable = learns
    (start, plain), (_, found) = (after_steps(model, is_folded) for is_folded in (False, True))
    moved = [np.abs(a - b).max() for a, b in zip(plain, start, strict=True)]
    assert sum(step > 0 for step in moved) == len(model.trainable_variables)
    for expected, other, step in zip(plain, found, moved, strict=True):
        assert np.abs(other - expected).max() <= 1e-3 * step
    assert not any("call" in vars(layer) for layer in model.layers if layer.weights)


def test_a_norm_that_learns_its_statistics_is_folded_when_it_is_asked_alone():
    model = network(alpha=0.25)
    assert not foldable(model, in_training=True)
    norms = sum(isinstance(layer, layers.BatchNormalization) for layer in model.layers)
    assert len(foldable(model, in_training=False)) == norms > 20


def test_only_what_nothing_else_takes_is_folded():
    """Beside a pair: a map that is taken twice, a convolution with an activation, one called twice, a norm of another axis."""
    inputs = keras.Input((8, 8, 3))
    good = layers.BatchNormalization(name="good")(layers.Conv2D(3, 3, padding="same")(inputs))
    twice = layers.Conv2D(3, 3, padding="same")(good)
    x = layers.add([layers.BatchNormalization()(twice), twice])
    x = layers.BatchNormalization()(layers.Conv2D(3, 1, activation="relu")(x))
    shared = layers.Conv2D(3, 1)
    x = layers.BatchNormalization()(shared(layers.BatchNormalization()(shared(x))))
    x = layers.BatchNormalization(axis=1)(layers.Conv2D(3, 1)(x))
    model = randomize(keras.Model(inputs, x))
    pairs = foldable(model, in_training=False)
    assert [norm.name for _, norm in pairs] == ["good"]
    picture = pixels(1, 8, 8, 3).astype("float32")
    expected = model(picture, training=False)
    with folded(pairs):
        found = model(picture, training=False)
    assert np.abs(np.subtract(found, expected)).max() <= 1e-5 * np.abs(expected).max()
