"""Weights for a model that is built already: copies find their origin again, or are refused."""

import copy
import pickle

import keras
import numpy as np
import pytest
from helpers import array, pixels, randomize, write
from keras import layers
from tensors import refused

import zoo

PICTURES = pixels(2, 32, 32, 3)
SMALL = {"input_shape": (32, 32, 3), "num_classes": 3}


@pytest.fixture(scope="module")
def published(shared):
    """What the published ResNet-20 answers."""
    return array(zoo.resnet20(weights=shared / "weights" / "resnet20-12fca82f.th")(PICTURES))


def again(model, tmp_path):
    """The model from a file."""
    model.save(tmp_path / "again.keras")
    return keras.models.load_model(tmp_path / "again.keras")


COPIES = {
    "clone_model": lambda model, tmp_path: keras.models.clone_model(model),
    "deepcopy": lambda model, tmp_path: copy.deepcopy(model),
    "pickle": lambda model, tmp_path: pickle.loads(pickle.dumps(model)),
    "load_model": again,
    "keras.Model": lambda model, tmp_path: keras.Model(model.input, model.output),
}


@pytest.mark.slow
@pytest.mark.fault(
    "Weights",
    "zoo.load_weights on a copy by clone_model, deepcopy, pickle or load_model, which drop a model's origin",
    "the origin is found again: PyTorch's files are read, and files for another form refused",
    "nobody would know how the file's names and axes become the copy's",
)
@pytest.mark.parametrize(
    "make",
    [pytest.param(make, marks=() if name == "clone_model" else pytest.mark.slow) for name, make in COPIES.items()],
    ids=COPIES,
)
def test_a_copy_takes_pytorchs_file(make, published, shared, tmp_path):
    path = shared / "weights" / "resnet20-12fca82f.th"
    other = make(zoo.resnet20(), tmp_path)
    zoo.load_weights(other, path)
    np.testing.assert_allclose(array(other(PICTURES)), published, rtol=1e-5, atol=1e-6)
    assert other.origin.name == "resnet20" and other.origin.weights == str(path)


@pytest.mark.slow
def test_a_copy_refuses_another_form(tmp_path):
    keras_form, torch_form = (zoo.mobilenet_v2(variant=variant, alpha=0.35, **SMALL) for variant in ("keras", "torch"))
    keras_form.save(tmp_path / "theirs.keras")
    other = keras.models.clone_model(torch_form)
    before = other.get_weights()
    refused(tmp_path / "theirs.keras", "is for variant|is of another", lambda path: zoo.load_weights(other, path))
    assert all((a == b).all() for a, b in zip(before, other.get_weights(), strict=True)) and not getattr(other, "origin", None)
    mine = keras.models.clone_model(keras_form)
    zoo.load_weights(mine, tmp_path / "theirs.keras")
    assert (mine.origin.variant, mine.origin.preprocessing) == ("keras", "tf")


@pytest.mark.slow
def test_a_part_is_known_by_its_layers_and_its_copy_too(tmp_path):
    base = zoo.resnet20()
    body = keras.Model(base.input, base.get_layer("stage2").output, name="resnet20")
    whole = array(randomize(body, seed=1)(PICTURES))
    for kind in ("body.weights.h5", "body.keras", "arrays.npz"):
        write(body, tmp_path / kind)
        for other in (keras.models.clone_model(body), zoo.split(zoo.resnet20(), "stage2")[0], body):
            randomize(other, seed=2)
            zoo.load_weights(other, tmp_path / kind)
            assert other.origin.name == "resnet20" and not other.origin.classes
            np.testing.assert_allclose(array(other(PICTURES)), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_copy_of_an_unknown_width_must_be_told(tmp_path):
    model = randomize(zoo.mobilenet(alpha=0.4, **SMALL))
    model.save_weights(tmp_path / "w.weights.h5")
    other = keras.models.clone_model(model)
    refused(
        tmp_path / "w.weights.h5",
        r"mobilenet is a copy that does not say where it comes from, .* copy\.origin = model\.origin",
        lambda path: zoo.load_weights(other, path),
    )
    other.origin = model.origin
    zoo.load_weights(other, tmp_path / "w.weights.h5")
    np.testing.assert_allclose(array(other(PICTURES)), array(model(PICTURES)), rtol=1e-5)


def test_a_failed_file_changes_nothing(tmp_path):
    model = zoo.lenet5(weights="mnist")
    zoo.lenet5(num_classes=3).save_weights(tmp_path / "three.weights.h5")
    before = model.origin
    refused(tmp_path / "three.weights.h5", "2 shapes differ", lambda path: zoo.load_weights(model, path))
    assert model.origin is before and model.origin.classes == tuple("0123456789")


def test_a_network_of_a_users_own_is_filled_as_it_is(tmp_path):
    def make():
        inner = [layers.Conv2D(3, 3, name="a"), layers.Flatten(), layers.Dense(2, name="b")]
        return keras.Sequential([keras.Input((4, 4, 1)), *inner], name="lenet5")

    model, other = make(), make()
    model.save_weights(tmp_path / "w.weights.h5")
    zoo.load_weights(other, tmp_path / "w.weights.h5")
    assert all((a == b).all() for a, b in zip(model.get_weights(), other.get_weights(), strict=True))


def test_a_file_for_the_network_inside_says_which_model_to_give(tmp_path):
    network, inputs = zoo.lenet5(), keras.Input((32, 32, 1))
    network.save_weights(tmp_path / "own.weights.h5")
    wrapper = keras.Model(inputs, keras.layers.Dense(2)(network(inputs)), name="wrapper")
    with pytest.raises(
        zoo.WeightsError, match=r"wrapper, which holds the network lenet5: .* give model\.get_layer\('lenet5'\)"
    ):
        zoo.load_weights(wrapper, tmp_path / "own.weights.h5")
    zoo.load_weights(wrapper.get_layer("lenet5"), tmp_path / "own.weights.h5")
