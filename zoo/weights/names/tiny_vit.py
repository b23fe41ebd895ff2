"""TinyViT in other files."""

import re

ENDS = {"patches1": "patch_embed.conv1", "patches2": "patch_embed.conv2", "norm": "head.norm", "predictions": "head.fc"}
PARTS = {
    "norm1": "attn.norm",
    "qkv": "attn.qkv",
    "projection": "attn.proj",
    "norm2": "mlp.norm",
    "mlp1": "mlp.fc1",
    "mlp2": "mlp.fc2",
}


def timm(layer: str) -> str | dict[str, str]:
    """Map `stage2_block1_local_bn` -> `stages.1.blocks.0.local_conv.bn`."""
    name = layer.removesuffix("_bn")
    kind = "bn" if layer.endswith("_bn") else "conv"
    if name in ENDS:
        return f"{ENDS[name]}.{kind}" if name.startswith("patches") else ENDS[name]
    stage, block, part = re.fullmatch(r"stage(\d)_(?:block(\d)_)?(\w+)", name).groups()
    module = f"stages.{int(stage) - 1}." + (f"blocks.{int(block) - 1}" if block else "downsample")
    if part == "distances":
        return {"embeddings": f"{module}.attn.attention_biases"}
    return f"{module}.{PARTS[part]}" if part in PARTS else f"{module}.{part.replace('local', 'local_conv')}.{kind}"
