"""The same weights give the same logits as elsewhere, through a file in the official layout: the comparison itself.

All weights are random, batch norm's statistics included: defaults would hide a wrong epsilon, order or padding.
"""

import re

import numpy as np
import pytest
from helpers import array, pixels, randomize, write_legacy

import zoo

CLASSES = 5
OURS = {"num_classes": CLASSES, "activation": None}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

# Our names and those of keras.applications for the same graphs.
TWINS = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "inception_v3": "InceptionV3",
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
    "resnet152": "ResNet152",
    "resnet50v2": "ResNet50V2",
    "resnet101v2": "ResNet101V2",
    "resnet152v2": "ResNet152V2",
    "densenet121": "DenseNet121",
    "densenet169": "DenseNet169",
    "densenet201": "DenseNet201",
    "xception": "Xception",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_small": "MobileNetV3Small",
    "mobilenet_v3_large": "MobileNetV3Large",
    **{f"efficientnet_b{i}": f"EfficientNetB{i}" for i in range(8)},
    **{f"efficientnet_v2_{s.lower()}": f"EfficientNetV2{s}" for s in ("B0", "B1", "B2", "B3", "S", "M", "L")},
    **{f"convnext_{s.lower()}": f"ConvNeXt{s}" for s in ("Tiny", "Small", "Base", "Large", "XLarge")},
}


def close(found, expected):
    """The largest difference is below a ten-thousandth of the logits' range."""
    assert found.shape == expected.shape and np.isfinite(expected).all() and np.ptp(expected) > 0.01
    assert np.abs(found - expected).max() < 1e-4 * np.ptp(expected)


def with_keras(name, module, function, tmp_path, sizes=(64, 75), spelling="keras2", ours=None, gain=1.0, **options):
    """Our builder `name` against `module.function` of keras.applications, at even and odd sizes (the first writes the file).

    `options` go to both builders, `ours` to our own.
    """

    def official(size):
        more = dict(weights=None, classes=CLASSES, classifier_activation=None, input_shape=(size, size, 3))
        return getattr(module, function)(**more, **options)

    theirs = randomize(official(sizes[0]), gain=gain)
    path = write_legacy(theirs, tmp_path / "weights.h5", spelling)
    for size in sizes:
        model = zoo.get_model(name, weights=path, input_shape=(size, size, 3), **OURS, **options, **(ours or {}))
        assert model.origin.variant == "keras"
        at_size = official(size)
        at_size.set_weights(theirs.get_weights())
        x = pixels(2, size, size, 3)
        expected = array(at_size(module.preprocess_input(x.astype(np.float32))))
        close(array(model(x)), expected)
    path.unlink()  # up to a gigabyte


def torchvision():
    """The package, whose compiled operators (for detection) need not fit the installed PyTorch."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its graphs cannot be compared")
    operators = torch.library.Library("torchvision", "FRAGMENT")  # which may be opened again
    for name in ("nms", "qnms"):
        try:
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        except RuntimeError:
            pass  # the compiled operators are there
    return pytest.importorskip("torchvision", reason="torchvision is not installed: its graphs cannot be compared")


def in_torchvision(name):
    """What torchvision calls a network of the zoo: Swin's sizes have one letter there."""
    return re.sub(r"^(swin_[tsb])\w+", r"\1", name)


def untrained(name, device="cpu", **options):
    """torchvision's network of that name with its 1,000 classes; its values are PyTorch's defaults."""
    models = torchvision().models
    import torch

    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False  # with it, they warn
    with torch.device(device):
        return models.get_model(in_torchvision(name), weights=None, **options)


def cifar(depth, classes=CLASSES):
    """Option A from torchvision's block, with the names of github.com/akamaster/pytorch_resnet_cifar10."""
    block = torchvision().models.resnet.BasicBlock
    import torch
    from torch import nn

    class OptionA(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.zeros = channels // 4

        def forward(self, x):
            return nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.zeros, self.zeros))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
            self.layer1 = nn.Sequential(*[block(16, 16) for _ in range(depth)])
            self.layer2 = nn.Sequential(block(16, 32, 2, OptionA(32)), *[block(32, 32) for _ in range(depth - 1)])
            self.layer3 = nn.Sequential(block(32, 64, 2, OptionA(64)), *[block(64, 64) for _ in range(depth - 1)])
            self.linear = nn.Linear(64, classes)

        def forward(self, x):
            x = self.layer1(torch.relu(self.bn1(self.conv1(x))))
            return self.linear(self.layer3(self.layer2(x)).mean((2, 3)))

    return Net()


def randomize_torch(model, gain=1.0):
    """Random weights of a torch.nn.Module, and statistics that no default would hide, as in `helpers.randomize`."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
            elif tensor.ndim > 1 and name.endswith("weight"):
                torch.nn.init.kaiming_normal_(tensor).mul_(gain)
            elif tensor.is_floating_point():  # biases, means, and scales away from 1
                tensor.normal_(0, 0.1).add_(1.0 if name.endswith(("weight", ".scale")) else 0.0)
    return model.eval()


def answers(theirs, x, statistics=IMAGENET):
    """What a torch.nn.Module says to pixels `(batch, height, width, 3)` in 0..255."""
    import torch

    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in statistics)
    with torch.no_grad():
        return theirs((torch.from_numpy(x).permute(0, 3, 1, 2) / 255 - mean) / std).numpy()


def with_torch(name, theirs, tmp_path, sizes=(64, 75), statistics=IMAGENET, variant="torch", graph=None, gain=1.0, **options):
    """Our builder `name` against a torch.nn.Module of CLASSES classes, through its state_dict; `options` go to ours.

    `variant` is what the file's names must tell us; `graph` is told instead where they cannot.
    """
    import torch

    path = tmp_path / "weights.pth"
    torch.save(randomize_torch(theirs, gain).state_dict(), path)
    for size in sizes:
        model = zoo.get_model(name, weights=path, input_shape=(size, size, 3), variant=graph, **OURS, **options)
        assert model.origin.variant == (graph or variant)
        x = pixels(2, size, size, 3)
        close(array(model(x)), answers(theirs, x, statistics))
    ours = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    spare = model.origin.spare
    assert ours == sum(p.numel() for n, p in theirs.named_parameters() if p.requires_grad and not n.startswith(spare))
    path.unlink()
