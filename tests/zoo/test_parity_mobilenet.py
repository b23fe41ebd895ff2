"""MobileNets of all versions give the logits of keras.applications, torchvision and timm."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import array, pixels, randomize, write_legacy
from keras import applications
from parity import CLASSES, OURS, close, torchvision, with_keras, with_torch

import zoo

slow = pytest.mark.slow
MODULE = SimpleNamespace(**vars(applications), preprocess_input=lambda x: x)  # V3 preprocesses inside
V3 = {"mobilenet_v3_small": "MobileNetV3Small", "mobilenet_v3_large": "MobileNetV3Large"}


@pytest.mark.parametrize(
    "name, alpha",
    [
        ("mobilenet_v3_small", 0.75),
        pytest.param("mobilenet_v3_small", 1.0, marks=slow),
        pytest.param("mobilenet_v3_large", 0.75, marks=slow),
        pytest.param("mobilenet_v3_large", 1.0, marks=slow),
        pytest.param("mobilenet_v3_large", 1.25, marks=slow),  # the last layer grows too
    ],
)
@pytest.mark.slow
def test_v3_of_keras(name, alpha, tmp_path):
    with_keras(name, MODULE, V3[name], tmp_path, alpha=alpha)


@pytest.mark.slow
def test_v3_files_of_before_keras_3(tmp_path):
    """The official files call the layers `expanded_conv_1/expand/BatchNorm`, which Keras 3 forbids."""

    def called(name):
        name = name.replace("bn", "BatchNorm").replace("logits", "Logits")
        name = re.sub(r"^(expanded_conv(?:_\d+)?)_", r"\1/", name)
        name = re.sub(r"_(BatchNorm)$", r"/\1", name)
        return re.sub(r"(?<!d_)conv(?=$|/|_\d)", "Conv", name.replace("squeeze_excite_", "squeeze_excite/"))

    theirs = applications.MobileNetV3Small(weights=None, classes=CLASSES, input_shape=(64, 64, 3), classifier_activation=None)
    called_so = {called(layer.name) for layer in theirs.layers if layer.weights}
    assert {
        "Conv/BatchNorm",
        "expanded_conv/depthwise",
        "expanded_conv_1/expand/BatchNorm",
        "Logits",
        "expanded_conv_3/squeeze_excite/Conv_1",
        "Conv_1",
        "Conv_1/BatchNorm",
        "Conv_2",
    } <= called_so
    path = write_legacy(randomize(theirs), tmp_path / "weights.h5", called=called)
    x = pixels(2, 64, 64, 3)
    close(array(zoo.mobilenet_v3_small(weights=path, input_shape=(64, 64, 3), **OURS)(x)), array(theirs(x.astype(np.float32))))


@slow
@pytest.mark.parametrize("name", ["mobilenet_v2", *V3])
def test_torchvision(name, tmp_path):
    models = torchvision().models
    with_torch(name, getattr(models, name)(num_classes=CLASSES), tmp_path)


TIMM = [
    ("mobilenet_v3_small", "mobilenetv3_small_050", {"alpha": 0.5}),
    pytest.param("mobilenet_v3_small", "mobilenetv3_small_075", {"alpha": 0.75}, marks=slow),
    pytest.param("mobilenet_v3_small", "mobilenetv3_small_100", {}, marks=slow),
    pytest.param("mobilenet_v3_large", "mobilenetv3_large_100", {}, marks=slow),
    pytest.param("mobilenet_v2", "mobilenetv2_050", {"alpha": 0.5}, marks=slow),
    pytest.param("mobilenet_v2", "mobilenetv2_100", {}, marks=slow),
    pytest.param("mobilenet_v2", "mobilenetv2_140", {"alpha": 1.4}, marks=slow),
]


@pytest.mark.parametrize("name, theirs, options", TIMM)
@pytest.mark.slow
def test_timm(name, theirs, options, tmp_path):
    torchvision()  # timm imports it
    timm = pytest.importorskip("timm", reason="timm is not installed: its graphs cannot be compared")
    if name != "mobilenet_v2":  # timm's names are those of its ports of TensorFlow's, too, and some files see other pixels
        options = options | {"graph": "timm", "preprocessing": "torch"}
    with_torch(name, timm.create_model(theirs, num_classes=CLASSES), tmp_path, variant="timm", **options)


HALF = ((0.5,) * 3,) * 2


@slow
@pytest.mark.parametrize(
    "theirs, alpha", [("mobilenetv1_100", 1.0), pytest.param("mobilenetv1_125", 1.25, marks=pytest.mark.deep)]
)
def test_v1_of_timm(theirs, alpha, tmp_path):
    torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed: its graphs cannot be compared")
    theirs = timm.create_model(theirs, num_classes=CLASSES)
    with_torch("mobilenet", theirs, tmp_path, statistics=HALF, variant="timm", alpha=alpha)


@slow
@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_v4_of_timm(size, tmp_path):
    """Their files do not say which pixels they saw: those of one recipe saw -1..1."""
    torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed: its graphs cannot be compared")
    theirs = timm.create_model(f"mobilenetv4_conv_{size}", num_classes=CLASSES)
    with_torch(f"mobilenet_v4_conv_{size}", theirs, tmp_path, variant="timm", preprocessing="torch")


# The weights that Google trained, with timm's names: the graph is that of keras.applications.
@slow
@pytest.mark.parametrize(
    "name, theirs, alpha",
    [
        ("mobilenet_v3_small", "tf_mobilenetv3_small_075", 0.75),
        ("mobilenet_v3_large", "tf_mobilenetv3_large_100", 1.0),
    ],
)
def test_timm_from_tensorflow(name, theirs, alpha, tmp_path):
    torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed: its graphs cannot be compared")
    with_torch(
        name,
        timm.create_model(theirs, num_classes=CLASSES),
        tmp_path,
        statistics=HALF,
        graph="keras",
        preprocessing=HALF,
        alpha=alpha,
    )
