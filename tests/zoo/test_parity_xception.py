"""Xception against keras.applications, through every kind of file, the official one's included."""

import h5py
import numpy as np
import pytest
from helpers import array, pixels, randomize, write
from keras import applications
from parity import CLASSES, OURS, close, with_keras

import zoo

pytestmark = pytest.mark.slow


def test_keras(tmp_path):
    with_keras("xception", applications.xception, "Xception", tmp_path, (96, 75, 71))


def official(**options):
    return randomize(
        applications.Xception(weights=None, classes=CLASSES, classifier_activation=None, input_shape=(71, 71, 3), **options)
    )


def same(theirs, path):
    x = pixels(2, 71, 71, 3)
    expected = array(theirs(applications.xception.preprocess_input(x.astype(np.float32))))
    close(array(zoo.xception(weights=path, input_shape=(71, 71, 3), **OURS)(x)), expected)


@pytest.mark.parametrize("kind", ["current.weights.h5", "arrays.safetensors"])
@pytest.mark.deep
@pytest.mark.slow
def test_every_kind_of_file(kind, tmp_path):
    theirs = official()
    same(theirs, write(theirs, tmp_path / kind))


def test_the_official_file_numbers_its_layers(tmp_path):
    """As Keras 1 wrote it: no layer had a name of its own, and each was numbered when it was built."""
    theirs, counts = official(), {}
    kinds = {
        "Conv2D": "convolution2d",
        "SeparableConv2D": "separableconvolution2d",
        "BatchNormalization": "batchnormalization",
        "Dense": "dense",
    }
    variables = {"kernel": "W", "bias": "b", "moving_mean": "running_mean", "moving_variance": "running_std"}
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        layer_names = []
        for layer in in_order_of_building(theirs):
            kind = kinds[type(layer).__name__]
            counts[kind] = counts.get(kind, 0) + 1
            name = f"{kind}_{counts[kind]}"
            layer_names.append(name.encode())
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}_{variables.get(v.name, v.name)}:0".encode() for v in layer.weights]
            for v in layer.weights:
                group[f"{name}_{variables.get(v.name, v.name)}:0"] = array(v)
        file.attrs["layer_names"] = layer_names
    assert counts == {"convolution2d": 6, "separableconvolution2d": 34, "batchnormalization": 40, "dense": 1}
    same(theirs, tmp_path / "weights.h5")


def in_order_of_building(model):
    """The layers with weights, the four shortcuts before the blocks that they belong to."""

    def rank(layer):
        shortcut = layer.name.startswith(("conv2d", "batch_normalization"))
        if layer.name == "predictions":
            return 15, 0, 0
        if not shortcut:
            block, part = layer.name.removesuffix("_bn").removeprefix("block").split("_")
            return int(block), int(part[-1]), layer.name.endswith("_bn")
        channels = layer.weights[0].shape[-1]
        return {128: 2, 256: 3, 728: 4, 1024: 13}[channels], 0, layer.name.startswith("batch")

    return sorted((layer for layer in model.layers if layer.weights), key=rank)
