"""VGGs against keras.applications and torchvision."""

import keras
import numpy as np
import pytest
from keras import applications
from parity import CLASSES, torchvision, with_keras, with_torch

from zoo.layers import adaptive_average

slow = pytest.mark.slow


@slow
@pytest.mark.deep
def test_keras(tmp_path):
    with_keras("vgg19", applications.vgg19, "VGG19", tmp_path, (224,), "keras1")  # as its official file is spelled


@slow
@pytest.mark.parametrize(
    "name, sizes",
    [
        ("vgg11", (75,)),
        ("vgg13", (64,)),
        ("vgg16", (64,)),
        ("vgg19", (64,)),
        ("vgg11_bn", (64,)),
        ("vgg13_bn", (64,)),
        ("vgg16_bn", (64,)),
        ("vgg19_bn", (64,)),
    ],
)
def test_torchvision(name, sizes, tmp_path):
    with_torch(name, torchvision().models.get_model(name, num_classes=CLASSES, init_weights=False), tmp_path, sizes)


@slow
def test_adaptive_average_is_pytorchs_at_open_sizes():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its pooling cannot be compared")
    image = keras.Input((None, None, 3))
    model = keras.Model(image, adaptive_average(image, 7))
    for size in ((1, 1), (1, 3), (7, 7), (5, 9), (30, 14)):
        x = np.random.default_rng(0).standard_normal((2, *size, 3)).astype(np.float32)
        theirs = torch.nn.AdaptiveAvgPool2d(7)(torch.from_numpy(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
        np.testing.assert_allclose(model.predict(x, verbose=0), theirs, atol=1e-6)
