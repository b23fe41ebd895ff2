"""GoogLeNet and Inception v3 in other files."""

import re

V1_STEM = {"conv1_7x7_s2": "conv1", "conv2_3x3_reduce": "conv2", "conv2_3x3": "conv3"}
V1_BRANCHES = {
    "1x1": "branch1",
    "3x3_reduce": "branch2.0",
    "3x3": "branch2.1",
    "5x5_reduce": "branch3.0",
    "5x5": "branch3.1",
    "pool_proj": "branch4.1",
}

# Branches of the modules of Inception v3, in the order in which keras.applications makes their convolutions.
V3_STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
DOUBLE = ("3x3dbl_1", "3x3dbl_2", "3x3dbl_3")
A = ("1x1", "5x5_1", "5x5_2", *DOUBLE, "_pool")
B = ("3x3", *DOUBLE)
C = ("1x1", "7x7_1", "7x7_2", "7x7_3", *(f"7x7dbl_{i}" for i in range(1, 6)), "_pool")
D = ("3x3_1", "3x3_2", *(f"7x7x3_{i}" for i in range(1, 5)))
E = ("1x1", "3x3_1", "3x3_2a", "3x3_2b", "3x3dbl_1", "3x3dbl_2", "3x3dbl_3a", "3x3dbl_3b", "_pool")
V3_MODULES = {"5b": A, "5c": A, "5d": A, "6a": B, "6b": C, "6c": C, "6d": C, "6e": C, "7a": D, "7b": E, "7c": E}
V3 = (*V3_STEM, *(f"Mixed_{module}.branch{part}" for module, parts in V3_MODULES.items() for part in parts))


def torchvision_v1(layer: str) -> str:
    """Map `inception_3a_5x5_reduce_bn` -> `inception3a.branch3.0.bn`."""
    heads = {"predictions": "fc2", "fc": "fc1", "conv": "conv.conv", "conv_bn": "conv.bn"}
    if layer == "predictions":
        return "fc"
    if layer.startswith("aux"):
        aux, _, part = layer.partition("_")
        return f"{aux}.{heads[part]}"
    kind = "bn" if layer.endswith("_bn") else "conv"
    layer = layer.removesuffix("_bn")
    if layer in V1_STEM:
        return f"{V1_STEM[layer]}.{kind}"
    module, part = re.fullmatch(r"inception_(\d[a-e])_(\w+)", layer).groups()
    return f"inception{module}.{V1_BRANCHES[part]}.{kind}"


def torchvision_v3(layer: str) -> str:
    """Map `conv2d_5` -> `Mixed_5b.branch1x1.conv`; `aux1_conv0_bn` -> `AuxLogits.conv0.bn`."""
    heads = {"predictions": "fc", "aux1_predictions": "AuxLogits.fc"}
    if layer in heads:
        return heads[layer]
    if layer.startswith("aux1_"):
        conv, _, norm = layer.removeprefix("aux1_").partition("_")
        return f"AuxLogits.{conv}.{norm or 'conv'}"
    kind, number = re.fullmatch(r"(conv2d|batch_normalization)(?:_(\d+))?", layer).groups()
    return f"{V3[int(number or 0)]}.{'conv' if kind == 'conv2d' else 'bn'}"
