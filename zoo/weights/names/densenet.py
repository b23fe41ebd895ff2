"""DenseNet in other files."""

import re

STEM = {"conv1_conv": "features.conv0", "conv1_bn": "features.norm0", "bn": "features.norm5", "predictions": "classifier"}


def torchvision(layer: str) -> str | tuple[str, str]:
    """Map `conv2_block1_1_bn` -> `features.denseblock1.denselayer1.norm2`, `pool2_conv` -> `features.transition1.conv`.

    It is `norm.2` in the files that torchvision publishes, which are older than its module.
    """
    if layer in STEM:
        return STEM[layer]
    if transition := re.fullmatch(r"pool(\d)_(conv|bn)", layer):
        return f"features.transition{int(transition[1]) - 1}.{_kind(transition[2])}"
    stage, block, index, kind = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(conv|bn)", layer).groups()
    prefix = f"features.denseblock{int(stage) - 1}.denselayer{block}.{_kind(kind)}"
    number = int(index) + (kind == "bn")
    return f"{prefix}{number}", f"{prefix}.{number}"


def first_keras(layer: str) -> str:
    """Map `conv1_bn` -> `conv1/bn`: the official files are older than Keras' rule against slashes."""
    return re.sub("^conv1_(conv|bn)$", r"conv1/\1", layer)


def _kind(kind: str) -> str:
    return {"conv": "conv", "bn": "norm"}[kind]
