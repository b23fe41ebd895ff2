"""MobileNet V1 and V2 against keras.applications, and the same answers through every kind of file."""

import numpy as np
import pytest
from helpers import KINDS, array, pixels, randomize, write, write_legacy
from keras import applications
from parity import CLASSES, OURS, close, randomize_torch, torchvision, with_keras
from safetensors.numpy import save_file

import zoo

slow = pytest.mark.slow
TWINS = {
    "mobilenet": (applications.mobilenet, "MobileNet"),
    "mobilenet_v2": (applications.mobilenet_v2, "MobileNetV2"),
    "resnet50": (applications.resnet50, "ResNet50"),
}


@pytest.mark.parametrize(
    "name, alpha",
    [
        ("mobilenet", 0.25),
        pytest.param("mobilenet_v2", 0.35, marks=slow),
        *[pytest.param(name, 1.0, marks=[slow, pytest.mark.deep]) for name in ("mobilenet", "mobilenet_v2")],
    ],
)
@pytest.mark.slow
def test_mobilenets_at_even_and_odd_sizes(name, alpha, tmp_path):
    with_keras(name, *TWINS[name], tmp_path, sizes=(64, 75, 33), alpha=alpha)  # odd at every, and at some resolutions


@slow
@pytest.mark.parametrize(
    "name, options, kind",
    [
        *[pytest.param("mobilenet", {"alpha": 0.25}, kind, marks=slow if kind != "model.keras" else ()) for kind in KINDS],
        pytest.param("mobilenet_v2", {"alpha": 0.35}, "current.weights.h5", marks=slow),
        # Its convolutions have biases: two variables that a file numbers, and an old form of the file names.
        pytest.param("resnet50", {}, "current.weights.h5", marks=slow),
        pytest.param("resnet50", {}, "model.keras", marks=[slow, pytest.mark.deep]),
    ],
)
def test_every_kind_of_file(name, options, kind, tmp_path):
    module, function = TWINS[name]
    more = dict(weights=None, classes=CLASSES, classifier_activation=None, input_shape=(32, 32, 3))
    theirs = randomize(getattr(module, function)(**more, **options))
    path = write(theirs, tmp_path / kind)
    variant = "keras" if kind.startswith("arrays") else None  # those hold numbers alone: nothing tells
    ours = getattr(zoo, name)(weights=path, variant=variant, input_shape=(32, 32, 3), **options, **OURS)
    x = pixels(3, 32, 32, 3)
    close(array(ours(x)), array(theirs(module.preprocess_input(x.astype(np.float32)))))


@pytest.mark.slow
def test_notop_files_of_keras_applications(tmp_path):
    theirs = applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_shape=(64, 64, 3), pooling="avg")
    path = write_legacy(randomize(theirs), tmp_path / "notop.h5")
    ours = zoo.mobilenet(alpha=0.25, weights=path, num_classes=0, input_shape=(64, 64, 3))
    x = pixels(2, 64, 64, 3)
    close(array(ours(x)), array(theirs(applications.mobilenet.preprocess_input(x.astype(np.float32)))))


@slow
@pytest.mark.parametrize("kind", ["zip.pth", "legacy.pth", "wrapped.pth", "arrays.safetensors"])
def test_every_kind_of_torch_file(kind, tmp_path):
    theirs = randomize_torch(torchvision().models.mobilenet_v2(num_classes=CLASSES))
    import torch

    path, state = tmp_path / kind, theirs.state_dict()
    if kind == "zip.pth":
        torch.save(state, path)
    elif kind == "legacy.pth":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif kind == "wrapped.pth":
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}, "best": 0.9}, path)
    else:
        save_file({k: v.numpy() for k, v in state.items()}, path)
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x = pixels(2, 64, 64, 3)
    with torch.no_grad():
        expected = theirs((torch.from_numpy(x).permute(0, 3, 1, 2) / 255 - mean) / std).numpy()
    close(array(zoo.mobilenet_v2(weights=path, input_shape=(64, 64, 3), **OURS)(x)), expected)
