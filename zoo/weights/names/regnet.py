"""RegNet in other files."""

import re


def torchvision(layer: str) -> str:
    """Map `stage1_block2_3_bn` -> `trunk_output.block1.block1-1.f.c.1`; the shortcut, `…_0_bn`, -> `….proj.1`."""
    ends = {"stem_conv": "stem.0", "stem_bn": "stem.1", "predictions": "fc"}
    parts = {
        "0_conv": "proj.0",
        "0_bn": "proj.1",
        "1_conv": "f.a.0",
        "1_bn": "f.a.1",
        "2_conv": "f.b.0",
        "2_bn": "f.b.1",
        "se_reduce": "f.se.fc1",
        "se_expand": "f.se.fc2",
        "3_conv": "f.c.0",
        "3_bn": "f.c.1",
    }
    if layer in ends:
        return ends[layer]
    stage, block, part = re.fullmatch(r"stage(\d)_block(\d+)_(\w+)", layer).groups()
    return f"trunk_output.block{stage}.block{stage}-{int(block) - 1}.{parts[part]}"
