"""AlexNet, SqueezeNet and local response normalisation against PyTorch."""

import keras
import numpy as np
import pytest
from helpers import array, named, pixels, randomize
from parity import CLASSES, OURS, close, torchvision, with_torch

import zoo
from zoo.layers import local_response_norm, max_pool_ceil


def features(*shape):
    return np.random.default_rng(0).normal(0, 60, shape).astype(np.float32)


@pytest.mark.parametrize("size, alpha, beta, k", [(5, 1e-4, 0.75, 2.0), (5, 2e-5, 0.75, 1.0), (3, 1e-3, 0.5, 1.0)])
@pytest.mark.slow
def test_local_response_norm_by_hand_and_in_torch(size, alpha, beta, k):
    x = features(2, 4, 5, 7)
    found = array(local_response_norm(keras.ops.convert_to_tensor(x), size, alpha, beta, k, name="norm"))
    expected = np.zeros_like(x)
    for c in range(7):
        near = x[..., max(0, c - size // 2) : c + size // 2 + 1]
        expected[..., c] = x[..., c] / (k + alpha * (near**2).sum(axis=-1)) ** beta
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its layer cannot be compared")
    layer = torch.nn.LocalResponseNorm(size, alpha * size, beta, k)  # its alpha is divided by the number of channels
    theirs = layer(torch.from_numpy(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found, theirs, rtol=1e-5)


def test_local_response_norm_of_large_activations_in_half_precision():
    """Their squares are beyond float16."""
    x = np.full((1, 1, 1, 3), 2000, np.float16)
    inputs = keras.Input((1, 1, 3), dtype="float16")
    keras.config.set_dtype_policy("mixed_float16")
    try:
        outputs = local_response_norm(inputs, name="norm")
    finally:
        keras.config.set_dtype_policy("float32")
    found = array(keras.Model(inputs, outputs)(x))
    assert found.dtype == np.float16
    np.testing.assert_allclose(found[0, 0, 0, 1], 2000 / (2 + 1e-4 * 3 * 2000.0**2) ** 0.75, rtol=5e-3)


@pytest.mark.parametrize("shape", [(7, 7), (8, 8), (7, 8), (8, 9), (5, 6), (3, 4), (2, 2)])
def test_pooling_whose_last_window_sticks_out(shape):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its layer cannot be compared")
    x = np.maximum(features(1, *shape, 2), 0)
    expected = torch.nn.MaxPool2d(3, 2, ceil_mode=True)(torch.from_numpy(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    for size in (shape, (None, None)):
        inputs = keras.Input((*size, 2))
        model = keras.Model(inputs, max_pool_ceil(inputs, name="pool"))
        np.testing.assert_array_equal(array(model(x)), expected.numpy())


@pytest.mark.slow
def test_alexnet_of_torchvision(tmp_path):
    theirs = torchvision().models.alexnet(num_classes=CLASSES)
    with_torch("alexnet", theirs, tmp_path, sizes=(224, 75))


@pytest.mark.slow
def test_alexnet_of_the_paper():
    """Written again with PyTorch's layers, at the paper's size."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its graphs cannot be compared")
    nn, theirs = torch.nn, {}

    def conv(name, channels, filters, kernel_size, groups=1, **options):
        theirs[name] = nn.Conv2d(channels, filters, kernel_size, groups=groups, **options)
        return theirs[name], nn.ReLU()

    def dense(name, channels, units):
        theirs[name] = nn.Linear(channels, units)
        return theirs[name]

    norm = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
    graph = nn.Sequential(
        *conv("conv1", 3, 96, 11, stride=4),
        norm,
        nn.MaxPool2d(3, 2),
        *conv("conv2", 96, 256, 5, 2, padding=2),
        norm,
        nn.MaxPool2d(3, 2),
        *conv("conv3", 256, 384, 3, padding=1),
        *conv("conv4", 384, 384, 3, 2, padding=1),
        *conv("conv5", 384, 256, 3, 2, padding=1),
        nn.MaxPool2d(3, 2),
        nn.Flatten(),
        dense("fc6", 9216, 4096),
        nn.ReLU(),
        dense("fc7", 4096, 4096),
        nn.ReLU(),
        dense("predictions", 4096, CLASSES),
    )
    ours = randomize(zoo.alexnet(**OURS))
    weights = named(ours)
    with torch.no_grad():
        for name, layer in theirs.items():
            kernel = weights[f"{name}/kernel"]
            if name == "fc6":  # (y, x, channel) -> (channel, y, x)
                kernel = kernel.reshape(6, 6, 256, 4096).transpose(2, 0, 1, 3).reshape(9216, 4096)
            layer.weight.copy_(torch.from_numpy(np.moveaxis(kernel, (-1, -2), (0, 1)).copy()))
            layer.bias.copy_(torch.from_numpy(weights[f"{name}/bias"]))
    x = pixels(2, 227, 227, 3)
    with torch.no_grad():
        bgr = torch.from_numpy(x[..., ::-1] - np.array([104, 117, 123], np.float32)).permute(0, 3, 1, 2)
        close(array(ours(x)), graph(bgr).numpy())


@pytest.mark.parametrize("name, sizes", [("squeezenet1_0", (224, 75)), ("squeezenet1_1", (224, 75, 96))])
@pytest.mark.slow
def test_squeezenet_of_torchvision(name, sizes, tmp_path):
    theirs = getattr(torchvision().models, name)(num_classes=CLASSES)
    with_torch(name, theirs, tmp_path, sizes=sizes)
