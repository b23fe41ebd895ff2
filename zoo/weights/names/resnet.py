"""ResNet in other files."""

import re


def torchvision(layer: str) -> str:
    """Map `conv2_block1_3_bn` -> `layer1.0.bn3`; the shortcut `conv2_block1_0_conv` -> `layer1.0.downsample.0`."""
    if layer == "predictions":
        return "fc"
    if layer in ("conv1_conv", "conv1_bn"):
        return layer.removeprefix("conv1_") + "1"
    stage, block, index, kind = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(conv|bn)", layer).groups()
    prefix = f"layer{int(stage) - 1}.{int(block) - 1}"
    if index == "0":
        return f"{prefix}.downsample.{0 if kind == 'conv' else 1}"
    return f"{prefix}.{kind}{index}"


def cifar(layer: str) -> str:
    """Map as torchvision does, but for the classifier: github.com/akamaster/pytorch_resnet_cifar10."""
    return "linear" if layer == "predictions" else torchvision(layer)
