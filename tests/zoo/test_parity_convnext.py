"""ConvNeXt, and its second version, give the logits of keras.applications, torchvision and timm."""

import h5py
import numpy as np
import pytest
from helpers import array, pixels, randomize, write, write_legacy
from keras import applications
from parity import CLASSES, OURS, answers, close, randomize_torch, torchvision, with_keras, with_torch

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


# timm's names: the graph is torchvision's, and the smallest have 1 × 1 convolutions for the perceptrons' matrices.
TIMM = {
    "convnext_atto": "convnext_atto",
    "convnext_femto": "convnext_femto",
    "convnext_pico": "convnext_pico",
    "convnext_nano": "convnext_nano",
    "convnext_tiny": "convnext_tiny",
    "convnext_v2_atto": "convnextv2_atto",
    "convnext_v2_femto": "convnextv2_femto",
    "convnext_v2_pico": "convnextv2_pico",
    "convnext_v2_nano": "convnextv2_nano",
    "convnext_v2_tiny": "convnextv2_tiny",
    "convnext_v2_base": "convnextv2_base",
}


def timm_model(name, **options):
    torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed: its graphs cannot be compared")
    return timm.create_model(TIMM[name], **{"num_classes": CLASSES, **options})


@slow
@pytest.mark.parametrize("name", TIMM)
def test_timm(name, tmp_path):
    with_torch(name, timm_model(name), tmp_path, variant="timm")


@slow
@pytest.mark.parametrize(
    "name, conv_mlp", [("convnext_atto", False), pytest.param("convnext_tiny", True, marks=pytest.mark.deep)]
)
def test_perceptrons_as_matrices_or_as_convolutions(name, conv_mlp, tmp_path):
    """A fine-tuned file may hold either, whichever the network's own are."""
    theirs = timm_model(name, conv_mlp=conv_mlp)
    assert theirs.state_dict()["stages.0.blocks.0.mlp.fc1.weight"].ndim == (4 if conv_mlp else 2)
    with_torch(name, theirs, tmp_path, sizes=(64,), variant="timm")


@slow
def test_dinov3s_files_without_a_classifier(tmp_path, monkeypatch, capsys):
    """The features of timm's, with the last norm; a classifier begins anew where it is asked for."""
    theirs = randomize_torch(timm_model("convnext_tiny", num_classes=0))
    from safetensors.torch import save_file

    save_file(theirs.state_dict(), tmp_path / "convnext_tiny.dinov3_lvd1689m.safetensors")
    monkeypatch.setenv("ZOO_MIRROR", str(tmp_path))
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    x = pixels(1, 64, 75, 3)
    ours = zoo.convnext_tiny(weights="lvd1689m_timm_dinov3", input_shape=x.shape[1:])
    close(array(ours(x)), answers(theirs, x))
    assert (ours.origin.variant, ours.origin.preprocessing, ours.origin.resize) == ("timm", "torch", 224)
    assert "DINOv3-License" in capsys.readouterr().err
    with_head = zoo.convnext_tiny(weights="lvd1689m_timm_dinov3", num_classes=7, input_shape=x.shape[1:])
    np.testing.assert_array_equal(array(zoo.features(with_head, ["pre_logits"])(x)), array(ours(x)))
    assert with_head.output_shape == (None, 7) and capsys.readouterr().err == ""  # it is in the cache


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
