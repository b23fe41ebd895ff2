"""DenseNets against keras.applications, torchvision and timm."""

import re

import h5py
import numpy as np
import pytest
from helpers import array, pixels, randomize, write_legacy
from keras import applications
from parity import CLASSES, OURS, close, torchvision, with_keras, with_torch

import zoo

slow = pytest.mark.slow


@slow
@pytest.mark.parametrize(
    "name, function, sizes",
    [
        ("densenet121", "DenseNet121", (64, 75)),
        ("densenet169", "DenseNet169", (32,)),
        ("densenet201", "DenseNet201", (32,)),
    ],
)
def test_keras(name, function, sizes, tmp_path):
    with_keras(name, applications.densenet, function, tmp_path, sizes)


@slow
def test_the_official_files_have_slashes_in_names(tmp_path):
    theirs = randomize(
        applications.DenseNet121(weights=None, classes=CLASSES, classifier_activation=None, input_shape=(32, 32, 3))
    )
    path = write_legacy(theirs, tmp_path / "weights.h5")
    renamed = {"conv1_conv": "conv1/conv", "conv1_bn": "conv1/bn", "predictions": "fc1000"}
    with h5py.File(path, "r+") as file:
        for new, old in renamed.items():
            del file[new]
            group = file.create_group(old)
            group.attrs["weight_names"] = [f"{old}/{v.name}:0".encode() for v in theirs.get_layer(new).weights]
            for v in theirs.get_layer(new).weights:
                group[f"{old}/{v.name}:0"] = array(v)
        file.attrs["layer_names"] = [renamed.get(layer.name, layer.name).encode() for layer in theirs.layers]
    x = pixels(2, 32, 32, 3)
    expected = array(theirs(applications.densenet.preprocess_input(x.astype(np.float32))))
    close(array(zoo.densenet121(weights=path, input_shape=(32, 32, 3), **OURS)(x)), expected)


@slow
@pytest.mark.parametrize(
    "name, sizes", [("densenet121", (64,)), ("densenet161", (64,)), ("densenet169", (32,)), ("densenet201", (32,))]
)
def test_torchvision(name, sizes, tmp_path):
    with_torch(name, torchvision().models.get_model(name, num_classes=CLASSES), tmp_path, sizes)


@slow
def test_the_files_that_torchvision_publishes_are_spelled_with_a_dot(tmp_path):
    theirs = torchvision().models.densenet121(num_classes=CLASSES)

    def old(module, state, *_):
        for name in list(state):
            state[re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", name)] = state.pop(name)

    theirs.register_state_dict_post_hook(old)
    assert "features.denseblock1.denselayer1.norm.1.weight" in theirs.state_dict()
    with_torch("densenet121", theirs, tmp_path, (32,))


@slow
def test_timm_has_the_graph_and_the_names_of_torchvision(tmp_path):
    torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed: its graphs cannot be compared")
    with_torch("densenet121", timm.create_model("densenet121", num_classes=CLASSES), tmp_path, (64,))
