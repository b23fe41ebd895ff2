"""ConvNeXt in other files. Layers begin with the model's name: `convnext_tiny_stage_0_block_1_layernorm`."""

import re

KERAS_CLASSIFIERS = tuple(f"convnext_{size}_head_dense" for size in ("tiny", "small", "base", "large", "xlarge"))


def torchvision(layer: str) -> str | dict[str, str]:
    """Map `…_stage_0_block_1_layernorm` -> `features.1.1.block.2`: stages at odd numbers, what leads to them at even ones."""
    ends = {
        "stem_conv": "features.0.0",
        "stem_layernorm": "features.0.1",
        "head_layernorm": "classifier.0",
        "predictions": "classifier.2",
    }
    parts = {"depthwise_conv": 0, "layernorm": 2, "pointwise_conv_1": 3, "pointwise_conv_2": 5}
    stage, block, part = _place(layer)
    if stage is None:
        return ends[part]
    if block is None:
        return f"features.{2 * stage}.{'layernorm conv'.split().index(part)}"
    module = f"features.{2 * stage + 1}.{block}"
    return {"kernel": f"{module}.layer_scale"} if part == "layer_scale" else f"{module}.block.{parts[part]}"


def timm(layer: str) -> str | dict[str, str]:
    """Map `…_stage_0_block_1_layernorm` -> `stages.0.blocks.1.norm`."""
    ends = {"stem_conv": "stem.0", "stem_layernorm": "stem.1", "head_layernorm": "head.norm", "predictions": "head.fc"}
    parts = {
        "depthwise_conv": "conv_dw",
        "layernorm": "norm",
        "pointwise_conv_1": "mlp.fc1",
        "grn": "mlp.grn",
        "pointwise_conv_2": "mlp.fc2",
    }
    stage, block, part = _place(layer)
    if stage is None:
        return ends[part]
    if block is None:
        return f"stages.{stage}.downsample.{'layernorm conv'.split().index(part)}"
    module = f"stages.{stage}.blocks.{block}"
    return {"kernel": f"{module}.gamma"} if part == "layer_scale" else f"{module}.{parts[part]}"


def _place(layer: str) -> tuple[int | None, int | None, str]:
    """Take a name apart: (stage, block, part); no block: what leads to the stage; no stage: stem and head."""
    if found := re.search(r"stage_(\d)_block_(\d+)_(\w+)$", layer):
        return int(found[1]), int(found[2]), found[3]
    if found := re.search(r"downsampling_(\w+)_(\d)$", layer):
        return int(found[2]) + 1, None, found[1]
    return None, None, re.sub(r"^convnext_(v2_)?[a-z]+_", "", layer)
