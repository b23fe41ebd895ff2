"""ConvNeXt gives the logits of keras.applications, torchvision and timm."""

import h5py
import pytest
from helpers import array, pixels, randomize, write, write_legacy
from keras import applications
from parity import CLASSES, OURS, close, torchvision, with_keras, with_torch

import zoo

slow = pytest.mark.slow
KERAS = {
    "convnext_tiny": "ConvNeXtTiny",
    "convnext_small": "ConvNeXtSmall",
    "convnext_base": "ConvNeXtBase",
    "convnext_large": "ConvNeXtLarge",
    "convnext_xlarge": "ConvNeXtXLarge",
}


@slow
@pytest.mark.parametrize("name", KERAS)
def test_keras(name, tmp_path):
    # Grouped convolutions of keras.applications are slow on the CPU: the deep ones at the smallest size only.
    sizes = (64, 75) if name == "convnext_tiny" else (32,)
    with_keras(name, applications.convnext, KERAS[name], tmp_path, sizes=sizes)


@slow
@pytest.mark.parametrize("name", [name for name in KERAS if name != "convnext_xlarge"])
def test_torchvision(name, tmp_path):
    theirs = getattr(torchvision().models, name)(num_classes=CLASSES)
    with_torch(name, theirs, tmp_path, sizes=(64, 75) if name == "convnext_tiny" else (32,))


@slow
def test_timm(tmp_path):  # one of them: the names differ from torchvision's, the graph does not
    torchvision()
    theirs = pytest.importorskip("timm").create_model("convnext_tiny", num_classes=CLASSES)
    with_torch("convnext_tiny", theirs, tmp_path, variant="timm")


@slow
@pytest.mark.deep
def test_layer_scale_by_any_name(tmp_path):
    """Keras 2 wrote it as a bare variable, Keras 3 by number."""
    theirs = randomize(
        applications.ConvNeXtTiny(weights=None, classes=CLASSES, classifier_activation=None, input_shape=(32, 32, 3))
    )
    x = pixels(2, 32, 32, 3)
    expected = array(theirs(x))
    legacy = write_legacy(theirs, tmp_path / "weights.h5")
    with h5py.File(legacy, "r+") as file:
        for layer in filter(lambda name: name.endswith("layer_scale"), file):
            group = file[layer]
            group["Variable:0"] = group[group.attrs["weight_names"][0]]
            group.attrs["weight_names"] = [b"Variable:0"]
    for path in (legacy, write(theirs, tmp_path / "current.weights.h5")):
        ours = zoo.convnext_tiny(weights=path, input_shape=(32, 32, 3), **OURS)
        close(array(ours(x)), expected)
