"""A file that fits no form of a network is refused before anything is asked, by the name of what it is for if there is one."""

import numpy as np
import pytest
from parity import torchvision
from safetensors.numpy import save_file

import zoo
from zoo import WeightsError

pytestmark = pytest.mark.slow


def write_timm(name, path):
    """Write a file of timm's names and shapes, for another number of classes."""
    torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed: its graphs cannot be compared")
    tensors = timm.create_model(name, num_classes=5).state_dict()
    save_file({name: np.zeros(tensor.shape, "float32") for name, tensor in tensors.items()}, path)
    return path


@pytest.mark.parametrize(
    "theirs, ours, given",
    [
        ("convnext_atto", "convnext_atto", "convnext_femto"),
        ("convnextv2_atto", "convnext_v2_atto", "convnext_atto"),
        ("mobilenetv4_conv_small", "mobilenet_v4_conv_small", "mobilenet_v4_conv_medium"),
        ("hgnetv2_b0", "hgnetv2_b0", "hgnetv2_b1"),
        ("tiny_vit_5m_224", "tiny_vit_5m", "tiny_vit_11m"),
        ("swin_tiny_patch4_window7_224", "swin_tiny", "swin_small"),
    ],
)
def test_a_file_of_another_size_is_refused_by_name(theirs, ours, given, tmp_path):
    path = write_timm(theirs, tmp_path / "mine.safetensors")
    with pytest.raises(WeightsError, match=f"does not fit {given}: .*: it is for {ours}, so give that model.$"):
        zoo.get_model(given, weights=path)


@pytest.mark.parametrize("given", ["mobilenet_v3_small", "mobilenet_v4_conv_small"])
def test_of_a_foreign_file_nothing_is_asked(given, tmp_path):
    """The first has two variants by timm's names, files of the second see pixels of two kinds."""
    path = write_timm("resnet18", tmp_path / "mine.safetensors")
    with pytest.raises(WeightsError, match=f"does not fit {given}: it lacks .*: give the model that it was made for"):
        zoo.get_model(given, weights=path)


@pytest.mark.parametrize("given", ["mobilenet", "mobilenet_v2"])
def test_of_foreign_arrays_by_kerass_names_nothing_is_asked(given, tmp_path):
    np.savez(path := tmp_path / "mine.npz", **{"conv/kernel": np.zeros((3, 3, 3, 4)), "dense/kernel": np.zeros((4, 3))})
    with pytest.raises(WeightsError, match=f"does not fit {given}: it lacks .*: give the model that it was made for"):
        zoo.get_model(given, weights=path)
