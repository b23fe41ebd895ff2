"""PP-HGNetV2 in other files."""

import re

ENDS = {"last": "head.last_conv.0", "last_affine": "head.last_conv.2", "predictions": "head.fc"}
PARTS = {"squeeze": "aggregation.0", "excite": "aggregation.1"}
LIGHT = {"_point": ".conv1", "_depth": ".conv2", None: ""}


def timm(layer: str) -> str | dict[str, str]:
    """Map `stage3_block1_conv2_depth_bn` -> `stages.2.blocks.0.layers.1.conv2.bn`."""
    name = layer.removesuffix("_bn").removesuffix("_affine")
    if layer.endswith("_affine"):
        module = ENDS.get(layer) or f"{_module(name)}.lab"
        return {"kernel": f"{module}.scale", "bias": f"{module}.bias"}
    return ENDS.get(layer) or f"{_module(name)}.{'bn' if layer.endswith('_bn') else 'conv'}"


def _module(name: str) -> str:
    """Map `stage3_block1_conv2_depth` -> `stages.2.blocks.0.layers.1.conv2`."""
    if name.startswith("stem"):
        return f"stem.{name}"
    if found := re.fullmatch(r"stage(\d)_downsample", name):
        return f"stages.{int(found[1]) - 1}.downsample"
    found = re.fullmatch(r"stage(\d)_block(\d)_(?:conv(\d)(_point|_depth)?|(squeeze|excite))", name)
    part = PARTS[found[5]] if found[5] else f"layers.{int(found[3]) - 1}{LIGHT[found[4]]}"
    return f"stages.{int(found[1]) - 1}.blocks.{int(found[2]) - 1}.{part}"
