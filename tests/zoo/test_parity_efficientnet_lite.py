"""EfficientNet-Lite gives the logits of timm's network, from files of both layouts."""

import pytest
from helpers import array, pixels
from parity import CLASSES, close, randomize_torch, torchvision, with_torch

import zoo

slow = pytest.mark.slow
NAMES = [f"efficientnet_lite{i}" for i in range(5)]
GAIN = 0.7  # of the random kernels: these nets are deep
LITE = ((127 / 255,) * 3, (128 / 255,) * 3)
SIZES = (64, 75)  # even and odd


def each(names):
    return pytest.mark.parametrize("name", [pytest.param(name, marks=slow) for name in names])


def timm_model(name):
    torchvision()  # timm imports it
    timm = pytest.importorskip("timm", reason="timm is not installed: its graphs cannot be compared")
    return timm.create_model(name, num_classes=CLASSES)


@each(NAMES)
def test_timm(name, tmp_path):
    with_torch(name, timm_model(name), tmp_path, SIZES, graph="timm", gain=GAIN)


@each(NAMES)
def test_timm_from_tensorflow(name, tmp_path):
    more = dict(graph="keras", gain=GAIN, preprocessing="lite")
    with_torch(name, timm_model(f"tf_{name}"), tmp_path, SIZES, statistics=LITE, **more)


# What the packages call the tensors of a block, in the order that they and timm have: the first expands nothing.
BLOCK = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")


def in_the_packages_names(state):
    """timm's tensors under the names of the package efficientnet-lite-pytorch, whose blocks are counted through."""
    ends = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
    modules = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    blocks = list(dict.fromkeys(module.rpartition(".")[0] for module in modules if module.startswith("blocks.")))
    names = dict(ends)
    for number, block in enumerate(blocks):
        parts = [module for module in modules if module.startswith(f"{block}.")]
        names |= {part: f"_blocks.{number}.{word}" for part, word in zip(parts, BLOCK[-len(parts) :], strict=True)}
    return {f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": tensor for name, tensor in state.items()}


@each(["efficientnet_lite0", "efficientnet_lite4"])
def test_the_packages_names(name, tmp_path):
    import torch

    theirs = randomize_torch(timm_model(f"tf_{name}"), GAIN)
    torch.save(in_the_packages_names(theirs.state_dict()), tmp_path / "weights.pth")
    options = dict(num_classes=CLASSES, activation=None, input_shape=(64, 64, 3))
    with pytest.raises(ValueError, match="whose files need different preprocessing, and does not say its own"):
        zoo.get_model(name, weights=tmp_path / "weights.pth", **options)
    model = zoo.get_model(name, weights=tmp_path / "weights.pth", preprocessing="lite", **options)
    x = pixels(2, 64, 64, 3)
    with torch.no_grad():
        expected = theirs((torch.from_numpy(x).float().permute(0, 3, 1, 2) - 127) / 128).numpy()
    close(array(model(x)), expected)
