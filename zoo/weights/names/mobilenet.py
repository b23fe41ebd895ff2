"""MobileNets in other files."""

import re


def torchvision_v2(layer: str) -> str:
    """`block_3_depthwise_BN` -> `features.4.conv.1.1`; the first block has no expansion: its parts move up by one."""
    stem = {"Conv1": "features.0.0", "bn_Conv1": "features.0.1", "Conv_1": "features.18.0",
            "Conv_1_bn": "features.18.1", "predictions": "classifier.1"}  # fmt: skip
    if layer in stem:
        return stem[layer]
    block, part, norm = re.fullmatch(r"(?:block_(\d+)|expanded_conv)_(expand|depthwise|project)(_BN)?", layer).groups()
    at = {"expand": 0, "depthwise": 1, "project": 2}[part] - (block is None)
    prefix = f"features.{int(block or 0) + 1}.conv"
    if part == "project":  # not wrapped together with its norm, unlike the other two
        return f"{prefix}.{at + bool(norm)}"
    return f"{prefix}.{at}.{int(bool(norm))}"
