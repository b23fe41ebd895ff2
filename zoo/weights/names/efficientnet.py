"""EfficientNet, EfficientNetV2 and EfficientNet-Lite in other files."""

import re
from collections.abc import Sequence

from zoo.weights.names import Rename, inverted

Rows = Sequence[tuple[str, ...]]  # the parts of the blocks of each row

PARTS = {
    "expand_conv": "expand",
    "expand_bn": "expand",
    "dwconv": "depthwise",
    "dwconv2": "depthwise",
    "bn": "depthwise",
    "se_reduce": "squeeze",
    "se_expand": "excite",
    "project_conv": "project",
    "project_bn": "project",
}


def torchvision(rows: Rows) -> Rename:
    """Map `block2a_dwconv` -> `features.2.0.block.1.0`."""
    top = f"features.{len(rows) + 1}"
    ends = {
        "stem_conv": "features.0.0",
        "stem_bn": "features.0.1",
        "top_conv": f"{top}.0",
        "top_bn": f"{top}.1",
        "predictions": "classifier.1",
    }

    def rename(layer: str) -> str:
        if layer in ends:
            return ends[layer]
        row, block, part, norm = _block(layer)
        return f"features.{row}.{block}.{inverted.torchvision(rows[row - 1], part, norm)}"

    return rename


def timm(rows: Rows) -> Rename:
    """Map `block2a_dwconv` -> `blocks.1.0.conv_dw`."""
    ends = {"stem_conv": "conv_stem", "stem_bn": "bn1", "top_conv": "conv_head", "top_bn": "bn2", "predictions": "classifier"}

    def rename(layer: str) -> str:
        if layer in ends:
            return ends[layer]
        row, block, part, norm = _block(layer)
        return f"blocks.{row - 1}.{block}.{inverted.timm(rows[row - 1], part, norm)}"

    return rename


def lite(blocks: Sequence[int]) -> Rename:
    """Map `block2a_dwconv` -> `_blocks.1._depthwise_conv`; `blocks` are those of each row.

    So the package efficientnet-lite-pytorch has it, whose blocks are numbered from the first row to the last.
    """
    ends = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head", "top_bn": "_bn1", "predictions": "_fc"}
    norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}

    def rename(layer: str) -> str:
        if layer in ends:
            return ends[layer]
        row, block, part, norm = _block(layer)
        return f"_blocks.{sum(blocks[: row - 1]) + block}.{norms[part] if norm else f'_{part}_conv'}"

    return rename


def _block(layer: str) -> tuple[int, int, str, bool]:
    row, block, part = re.fullmatch(r"block(\d)([a-z])_(.*)", layer).groups()
    return int(row), ord(block) - ord("a"), PARTS[part], part.endswith("bn")
