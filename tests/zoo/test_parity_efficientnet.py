"""EfficientNets give the logits of keras.applications, torchvision and timm."""

from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from helpers import array, pixels, randomize, write_legacy
from keras import applications
from parity import CLASSES, IMAGENET, close, torchvision, with_keras, with_torch

import zoo

slow = pytest.mark.slow
V1 = [f"efficientnet_b{i}" for i in range(8)]
V2 = [f"efficientnet_v2_{size}" for size in ("b0", "b1", "b2", "b3", "s", "m", "l")]
OFFICIAL = {name: f"EfficientNet{name.removeprefix('efficientnet_').replace('_', '').upper()}" for name in V1 + V2}
GAIN = 0.7  # of the random kernels: these nets are deep
HALF = ((0.5,) * 3,) * 2


def each(names):
    return pytest.mark.parametrize("name", [pytest.param(name, marks=slow) for name in names])


def sizes(name):
    """Even and odd; the deep ones, of the same blocks, at a small size that is even at first and odd in the end."""
    return (64, 75) if name.endswith(("b0", "_s")) else (48,)


def with_statistics(official, std_power=2, **options):
    """keras.applications' model, whose normalisation is part of its weights, as trained."""
    model = official(**options)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            mean, std = np.float32(IMAGENET)
            layer.set_weights([mean, std**std_power, np.zeros(())])
            layer.finalize_state()
    return model


@each(V1 + V2)
def test_keras(name, tmp_path):
    function = partial(with_statistics, getattr(applications, OFFICIAL[name]))
    module = SimpleNamespace(**{OFFICIAL[name]: function}, preprocess_input=lambda x: x)
    with_keras(name, module, OFFICIAL[name], tmp_path, sizes(name), gain=GAIN)


@slow
def test_the_official_files_hold_the_deviation_where_keras_expects_the_variance(tmp_path, monkeypatch):
    """keras.applications divides by its root twice, when it loads its official files; the sum of it is mode "torch"."""
    raw = partial(applications.EfficientNetB0, classifier_activation=None)
    path = write_legacy(randomize(with_statistics(raw, std_power=1, weights=None)), tmp_path / "official.h5")
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: path)
    x = pixels(1, 224, 224, 3)
    expected = array(raw(weights="imagenet")(x.astype(np.float32)))
    close(array(zoo.efficientnet_b0(weights=path, activation=None)(x)), expected)


@each([*V1, *V2[4:]])
def test_torchvision(name, tmp_path):
    models = torchvision().models
    statistics = HALF if name == "efficientnet_v2_l" else IMAGENET
    theirs = getattr(models, name)(num_classes=CLASSES)
    with_torch(name, theirs, tmp_path, sizes(name), statistics=statistics, gain=GAIN)


@each(["efficientnet_b0", "efficientnet_b5"])  # two depths and epsilons: the map is one for all
def test_timm(name, tmp_path):
    with_torch(name, timm_model(name), tmp_path, sizes(name), graph="timm", gain=GAIN, preprocessing="torch")


# The weights that Google trained, with timm's names: the graph is that of keras.applications.
@each(["efficientnet_b0"])
def test_timm_from_tensorflow(name, tmp_path):
    with_torch(name, timm_model(f"tf_{name}"), tmp_path, sizes(name), graph="keras", gain=GAIN, preprocessing="torch")


@each(["efficientnet_v2_b0", "efficientnet_v2_s"])
def test_timm_v2_from_tensorflow(name, tmp_path):
    statistics = ((128 / 255,) * 3,) * 2 if name.endswith("_s") else IMAGENET
    theirs = timm_model(f"tf_{name.replace('net_', 'net')}")
    with_torch(name, theirs, tmp_path, sizes(name), statistics=statistics, variant="keras", gain=GAIN)


def timm_model(name):
    torchvision()  # timm imports it
    timm = pytest.importorskip("timm", reason="timm is not installed: its graphs cannot be compared")
    return timm.create_model(name, num_classes=CLASSES)
