"""Heads of a new task: what they compute, that they are cut, frozen and saved like any other, and other poolings."""

import keras
import numpy as np
import pytest
from helpers import array, pixels, python, randomize

import zoo
from zoo.heads import HEADS, standardize


@pytest.fixture(scope="module")
def body():
    return randomize(zoo.mobilenet(alpha=0.25, num_classes=0, input_shape=(64, 64, 3)))


def features(model, x):
    return array(zoo.split(model, "pre_logits")[0](x))


@pytest.mark.slow
def test_cosine_head_is_the_scaled_softmax_of_cosines_computed_by_hand(body):
    model = zoo.new_head(body, 3, head="cosine")
    mean = np.linspace(0, 1, 256).astype("float32")
    standardize(model, mean, 0.3)
    kernel = np.random.default_rng(0).normal(size=(256, 3)).astype("float32")
    kernel /= np.linalg.norm(kernel, axis=0)
    model.get_layer("cosine").set_weights([kernel])
    model.get_layer("scale").set_weights([np.array([[7.0]])])
    x = pixels(4, 64, 64, 3)
    f = features(model, x) - mean
    logits = 7 * f @ kernel / np.linalg.norm(f, axis=1, keepdims=True)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(array(model(x)), expected, atol=1e-5)


def test_training_keeps_the_directions_of_the_cosine_head_at_length_one(body):
    model = zoo.new_head(body, 3, head="cosine")
    part = zoo.split(model, "pre_logits")[1]
    part.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy", jit_compile=False)
    before = array(model.get_layer("cosine").kernel)
    part.train_on_batch(np.random.default_rng(0).normal(size=(8, 256)), np.arange(8) % 3)
    after = array(model.get_layer("cosine").kernel)
    assert np.abs(after - before).max() > 1e-3 and array(model.get_layer("scale").kernel) != 10
    np.testing.assert_allclose(np.linalg.norm(after, axis=0), 1, atol=1e-5)


def test_hidden_and_dropout_see_standardised_features(body):
    x = pixels(2, 64, 64, 3)
    for head in ("dropout", "hidden"):
        model = zoo.new_head(body, 3, head=head, activation=None)
        standardize(model, np.full(256, 0.5, "float32"), 2.0)
        y = (features(model, x) - 0.5) / 2
        if head == "hidden":
            y = np.maximum(y @ array(model.get_layer("hidden").kernel) + array(model.get_layer("hidden").bias), 0)
        np.testing.assert_allclose(array(model(x)), y @ array(model.get_layer("predictions").kernel), atol=1e-4)


@pytest.mark.parametrize("pooling", ["max", "both"])
def test_pooling_is_that_of_the_last_feature_map(pooling, body):
    model = zoo.new_head(body, 3, pooling=pooling)
    x = pixels(2, 64, 64, 3)
    feature_map = array(zoo.features(body, ["stage5"])(x))
    expected = feature_map.max(axis=(1, 2))
    if pooling == "both":
        expected = np.concatenate([feature_map.mean(axis=(1, 2)), expected], axis=1)
    np.testing.assert_allclose(features(model, x), expected, atol=1e-5)
    assert zoo.stages(model) == zoo.stages(body)
    zoo.freeze(model, "pre_logits")
    assert [layer.name for layer in model.layers if layer.trainable_weights] == ["predictions"]


def test_what_cannot_be_pooled_or_is_unknown_is_refused(body):
    with pytest.raises(ValueError, match="lenet5 does not end in an average"):
        zoo.new_head(zoo.lenet5(num_classes=0), 3, pooling="max")
    with pytest.raises(ValueError, match="no pooling 'median'"):
        zoo.new_head(body, 3, pooling="median")
    with pytest.raises(ValueError, match="no head 'oracle': choose one of linear, dropout, hidden, cosine"):
        zoo.new_head(body, 3, head="oracle")


@pytest.mark.slow
@pytest.mark.slow
def test_every_head_loads_where_zoo_cannot_be_imported(tmp_path):
    body, x = randomize(zoo.lenet5(num_classes=0)), pixels(3, 32, 32, 1)
    np.save(tmp_path / "x.npy", x)
    for head in HEADS:
        model = zoo.new_head(body, 4, head=head)
        standardize(model, np.linspace(0, 1, 84).astype("float32"), 0.5)
        model.save(tmp_path / f"{head}.keras")
        np.save(tmp_path / f"{head}.npy", array(model(x)))
    python(
        "import sys, keras, numpy as np\n"
        "for head in sys.argv[1:]:\n"
        "    model = keras.models.load_model(f'{head}.keras')\n"
        "    np.testing.assert_allclose(np.asarray(model(np.load('x.npy'))), np.load(f'{head}.npy'), atol=1e-6)\n"
        "assert 'zoo' not in sys.modules",
        *HEADS,
        cwd=tmp_path,
    )
