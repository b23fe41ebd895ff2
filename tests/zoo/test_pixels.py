"""Pixels that are not in 0..255 are noticed, at once and once; others, and what is saved or compiled, know nothing of it."""

import copy
import json
import zipfile

import keras
import numpy as np
import pytest
from helpers import ROOT, array, pixels, python
from keras import layers

import zoo
from zoo.pixels import MAX_BATCHES, complaint

PICTURES = pixels(2, 32, 32, 1)
UNIT = PICTURES / 255
STANDARDISED = np.random.default_rng(0).normal(size=(2, 32, 32, 1))


@pytest.mark.slow
@pytest.mark.fault(
    "Models",
    "a network of the zoo is given pixels in 0..1, or those that another library has standardised",
    "one warning at the first eager call, or array given to fit, evaluate or predict, which says what is expected",
    "the network scales them a second time and answers, only worse",
)
@pytest.mark.parametrize(
    "batch, says", [(UNIT, r"in 0\.\.1 \(from 0 to 1\)"), (STANDARDISED, "standardised"), (UNIT * 2 - 1, r"in -1\.\.1")]
)
def test_other_pixels_are_noticed_once(batch, says):
    sentence = rf"lenet5 takes pixels in 0\.\.255, RGB or grey, .* seem to be {says}"
    for act in (lambda m: m(batch), lambda m: m.predict(batch, verbose=0), lambda m: m.predict(x=batch, verbose=0)):
        model = zoo.lenet5()
        with pytest.warns(UserWarning, match=sentence) as caught:
            act(model)
        assert len(caught) == 1
        act(model)
    model = zoo.lenet5()
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match=sentence) as caught:
        model.fit(batch, np.zeros(2), verbose=0)
    assert caught[0].filename == __file__


@pytest.mark.slow
def test_arrays_for_other_methods_or_parts_are_noticed():
    for act in (
        lambda net: net.predict_on_batch(UNIT),
        lambda net: zoo.new_head(net, 2).predict(UNIT, verbose=0),
        lambda net: zoo.split(net, "stage2")[0].predict(UNIT, verbose=0),
        lambda net: zoo.features(zoo.new_head(net, 2), ["stage2"]).predict(UNIT, verbose=0),
    ):
        with pytest.warns(UserWarning, match=r"lenet5 takes pixels in 0\.\.255") as caught:
            act(zoo.lenet5())
        assert len(caught) == 1 and caught[0].filename == __file__
    for given in ({"image": UNIT}, [UNIT]):  # of which Keras says, too, that they are of another form
        with pytest.warns(UserWarning) as caught:
            zoo.lenet5().predict(given, verbose=0)
        assert str(caught[0].message).startswith("lenet5 takes pixels in 0..255")


def test_the_network_notices_inside_another_model_and_in_parts():
    inputs = keras.Input((32, 32, 1))
    for make in (
        lambda net: keras.Model(inputs, layers.Dense(2)(net(inputs))),
        lambda net: keras.Sequential([net, layers.Dense(2)]),
        lambda net: zoo.new_head(net, 2),
        lambda net: zoo.split(net, "stage2")[0],
        lambda net: keras.Model(net.input, net.get_layer("stage1").output),
    ):
        with pytest.warns(UserWarning, match="lenet5 takes pixels in 0..255"):
            make(zoo.lenet5())(UNIT)


@pytest.mark.slow
def test_what_may_be_a_picture_is_no_alarm():
    sharp = np.zeros((1, 32, 32, 1)) + 255.0 * (np.arange(32)[:, None] > 15)
    sharp = array(keras.ops.image.resize(sharp, (64, 64), interpolation="bicubic"))
    assert sharp.min() < -10  # bicubic overshoots, and is not clipped
    for batch in (PICTURES, PICTURES.astype("float32"), sharp, np.zeros((1, 8, 8, 3)), np.ones((1, 8, 8, 3)), PICTURES > 127):
        assert complaint(np.float32(batch)) is None
    assert complaint(np.float32(PICTURES) - np.float32(103.939)) and complaint(sharp / 255)
    model = zoo.lenet5()
    for batch in (np.zeros((2, 32, 32, 1)), PICTURES, PICTURES > 127, np.float16(PICTURES)):
        model(batch)
        model.predict(batch, verbose=0)


def test_a_black_batch_says_nothing_and_the_next_is_looked_at():
    model = zoo.lenet5()
    for _ in range(2 * MAX_BATCHES):
        model(np.zeros((1, 32, 32, 1)))
    with pytest.warns(UserWarning, match="lenet5 takes pixels"):
        model(UNIT)


def test_nothing_is_looked_at_after_the_first_batches():
    model = zoo.lenet5()
    for _ in range(MAX_BATCHES):
        model(PICTURES)
    model(UNIT)


def test_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = zoo.lenet5()
    finally:
        keras.config.set_dtype_policy("float32")
    model(PICTURES)
    with pytest.warns(UserWarning, match="lenet5 takes pixels"):
        model(UNIT)


def test_copies_and_files_are_plain_keras(tmp_path):
    model = zoo.lenet5(weights="mnist")
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        config = json.loads(archive.read("config.json"))
    assert {layer["module"] for layer in config["config"]["layers"]} == {"keras.layers"} and config[
        "class_name"
    ] == "Functional"
    for other in (keras.models.load_model(tmp_path / "m.keras"), keras.models.clone_model(model), copy.deepcopy(model)):
        other.set_weights(model.get_weights())
        assert "predict" not in vars(other) and "call" not in vars(other.layers[1])
        other(UNIT)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_on_other_backends(backend, tmp_path):
    pytest.importorskip(backend)
    code = """
import warnings, numpy as np, zoo
pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1))
for act in (lambda m, x: m(x), lambda m, x: m.predict(x, verbose=0)):
    model = zoo.lenet5()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for x in (np.zeros((2, 32, 32, 1)), pictures, pictures / 255, pictures / 255):
            act(model, x)
    print([str(w.message)[:25] for w in caught if w.category is UserWarning])
"""
    assert python(code, cwd=tmp_path, PYTHONPATH=str(ROOT), KERAS_BACKEND=backend) == "['lenet5 takes pixels in 0.']\n" * 2
