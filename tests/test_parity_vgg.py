"""VGGs against keras.applications (VGG-16: test_zoo_parity.py) and torchvision."""

import pytest
from keras import applications
from parity import CLASSES, torchvision, with_keras, with_torch

slow = pytest.mark.slow


@slow
def test_keras(tmp_path):
    with_keras("vgg19", applications.vgg19, "VGG19", tmp_path, (224,), "keras1")  # as its official file is spelled


@slow
@pytest.mark.parametrize(
    "name, sizes",
    [("vgg11", (75,)), ("vgg13", (64,)), ("vgg16", (64,)), ("vgg19", (64,)),
     ("vgg11_bn", (64,)), ("vgg13_bn", (64,)), ("vgg16_bn", (64,)), ("vgg19_bn", (64,))],
)  # fmt: skip
def test_torchvision(name, sizes, tmp_path):
    with_torch(name, torchvision().models.get_model(name, num_classes=CLASSES, init_weights=False), tmp_path, sizes)
