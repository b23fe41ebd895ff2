"""Pure maps from this zoo's names, which are those of keras.applications, to the names in other files."""

import re

# What older official Keras files call the classifier.
KERAS_CLASSIFIERS = ("predictions", "Logits", "probs", "fc1000", "conv_preds")

TORCH_VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def torchvision_vgg(blocks: tuple[int, ...]):
    """`block2_conv1` -> `features.5`: torchvision numbers convolutions, ReLUs and poolings in one sequence."""
    index, table = 0, {"fc1": "classifier.0", "fc2": "classifier.3", "predictions": "classifier.6"}
    for block, convolutions in enumerate(blocks, start=1):
        for conv in range(1, convolutions + 1):
            table[f"block{block}_conv{conv}"] = f"features.{index}"
            index += 2
        index += 1
    return table.__getitem__


def torchvision_resnet(layer: str) -> str:
    """`conv2_block1_3_bn` -> `layer1.0.bn3`; the shortcut `conv2_block1_0_conv` -> `layer1.0.downsample.0`."""
    if layer == "predictions":
        return "fc"
    if layer in ("conv1_conv", "conv1_bn"):
        return layer.removeprefix("conv1_") + "1"
    stage, block, index, kind = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(conv|bn)", layer).groups()
    prefix = f"layer{int(stage) - 1}.{int(block) - 1}"
    if index == "0":
        return f"{prefix}.downsample.{0 if kind == 'conv' else 1}"
    return f"{prefix}.{kind}{index}"


def torchvision_mobilenet_v2(layer: str) -> str:
    """`block_3_depthwise_BN` -> `features.4.conv.1.1`; the first block has no expansion, so its parts move up by one."""
    stem = {"Conv1": "features.0.0", "bn_Conv1": "features.0.1", "Conv_1": "features.18.0", "Conv_1_bn": "features.18.1",
            "predictions": "classifier.1"}  # fmt: skip
    if layer in stem:
        return stem[layer]
    block, part, norm = re.fullmatch(r"(?:block_(\d+)|expanded_conv)_(expand|depthwise|project)(_BN)?", layer).groups()
    at = {"expand": 0, "depthwise": 1, "project": 2}[part] - (block is None)
    prefix = f"features.{int(block or 0) + 1}.conv"
    if part == "project":  # not wrapped together with its norm, unlike the other two
        return f"{prefix}.{at + bool(norm)}"
    return f"{prefix}.{at}.{int(bool(norm))}"
