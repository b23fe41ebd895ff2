"""MobileNets in other files."""

import re
from collections.abc import Iterable, Sequence
from itertools import chain

from zoo.weights.names import Rename, inverted

Rows = Sequence[Sequence[tuple[str, ...]]]  # the parts of each block; a row has the blocks of one width, as in timm
V1_BLOCKS = (1, 2, 2, 6, 2)  # how many a stage of V1 has
V2_BLOCKS = (1, 2, 3, 4, 3, 3, 1)  # how many a row of V2's table 2 has


def timm_v1(layer: str) -> str:
    """Map `conv_dw_3_bn` -> `blocks.1.1.bn1`."""
    ends = {"conv1": "conv_stem", "conv1_bn": "bn1", "predictions": "classifier"}
    if layer in ends:
        return ends[layer]
    kind, block, norm = re.fullmatch(r"conv_(dw|pw)_(\d+)(_bn)?", layer).groups()
    part = f"bn{1 if kind == 'dw' else 2}" if norm else f"conv_{kind}"
    return f"blocks.{_in_rows(int(block) - 1, V1_BLOCKS)}.{part}"


def torchvision_v2(layer: str) -> str:
    """Map `block_3_depthwise_BN` -> `features.4.conv.1.1`; the first block has no expansion: its parts move up by one."""
    stem = {
        "Conv1": "features.0.0",
        "bn_Conv1": "features.0.1",
        "Conv_1": "features.18.0",
        "Conv_1_bn": "features.18.1",
        "predictions": "classifier.1",
    }
    if layer in stem:
        return stem[layer]
    block, part, norm = _v2_block(layer)
    at = {"expand": 0, "depthwise": 1, "project": 2}[part] - (block == 0)
    prefix = f"features.{block + 1}.conv"
    if part == "project":  # not wrapped together with its norm, unlike the other two
        return f"{prefix}.{at + norm}"
    return f"{prefix}.{at}.{int(norm)}"


def timm_v2(layer: str) -> str:
    """Map `block_3_depthwise_BN` -> `blocks.2.0.bn2`."""
    ends = {"Conv1": "conv_stem", "bn_Conv1": "bn1", "Conv_1": "conv_head", "Conv_1_bn": "bn2", "predictions": "classifier"}
    if layer in ends:
        return ends[layer]
    block, part, norm = _v2_block(layer)
    parts = ("expand", "depthwise", "project")[block == 0 :]
    return f"blocks.{_in_rows(block, V2_BLOCKS)}.{inverted.timm(parts, part, norm)}"


def torchvision_v3(rows: Rows) -> Rename:
    """Map `expanded_conv_3_depthwise_bn` -> `features.4.block.1.1`."""
    blocks = list(chain(*rows))
    last = f"features.{len(blocks) + 1}"
    ends = {
        "conv": "features.0.0",
        "conv_bn": "features.0.1",
        "conv_1": f"{last}.0",
        "conv_1_bn": f"{last}.1",
        "conv_2": "classifier.0",
        "predictions": "classifier.3",
    }

    def rename(layer: str) -> str:
        if layer in ends:
            return ends[layer]
        block, part, norm = _v3_block(layer)
        return f"features.{block + 1}.{inverted.torchvision(blocks[block], part, norm)}"

    return rename


def timm_v3(rows: Rows) -> Rename:
    """Map `expanded_conv_3_depthwise_bn` -> `blocks.2.0.bn2`."""
    blocks = list(chain(*rows))
    last = f"blocks.{len(rows)}.0"
    ends = {
        "conv": "conv_stem",
        "conv_bn": "bn1",
        "conv_1": f"{last}.conv",
        "conv_1_bn": f"{last}.bn1",
        "conv_2": "conv_head",
        "predictions": "classifier",
    }

    def rename(layer: str) -> str:
        if layer in ends:
            return ends[layer]
        block, part, norm = _v3_block(layer)
        return f"blocks.{_in_rows(block, map(len, rows))}.{inverted.timm(blocks[block], part, norm)}"

    return rename


def timm_v4(layer: str) -> str:
    """Map `block3_1_expand_bn` -> `blocks.2.0.pw_exp.bn`, and so on by the kind of the block, which its parts' names tell."""
    ends = {
        "stem_conv": "conv_stem",
        "stem_conv_bn": "bn1",
        "last_conv": "blocks.4.0.conv",
        "last_conv_bn": "blocks.4.0.bn1",
        "head_conv": "conv_head",
        "head_conv_bn": "norm_head",
        "predictions": "classifier",
    }
    convolutions = {"conv": ("conv", "bn1"), "fused_expand": ("conv_exp", "bn1"), "fused_project": ("conv_pwl", "bn2")}
    universal = {"start": "dw_start", "expand": "pw_exp", "middle": "dw_mid", "project": "pw_proj"}
    if layer in ends:
        return ends[layer]
    row, place, part, norm = re.fullmatch(r"block(\d)_(\d+)_(\w+?)(_bn)?", layer).groups()
    if part in convolutions:
        module = convolutions[part][norm is not None]
    else:
        module = f"{universal[part]}.{'bn' if norm else 'conv'}"
    return f"blocks.{int(row) - 2}.{int(place) - 1}.{module}"


def _v2_block(layer: str) -> tuple[int, str, bool]:
    block, part, norm = re.fullmatch(r"(?:block_(\d+)|expanded_conv)_(expand|depthwise|project)(_BN)?", layer).groups()
    return int(block or 0), part, norm is not None


def _v3_block(layer: str) -> tuple[int, str, bool]:
    part = r"(expand|depthwise|project|squeeze_excite_conv|squeeze_excite_conv_1)"
    block, part, norm = re.fullmatch(rf"expanded_conv_(?:(\d+)_)?{part}(_bn)?", layer).groups()
    part = {"squeeze_excite_conv": "squeeze", "squeeze_excite_conv_1": "excite"}.get(part, part)
    return int(block or 0), part, norm is not None


def _in_rows(block: int, lengths: Iterable[int]) -> str:
    """Name the block of that number `row.block`."""
    return [f"{row}.{place}" for row, length in enumerate(lengths) for place in range(length)][block]
