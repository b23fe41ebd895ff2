"""Swin Transformers in other files."""

import re

Names = str | tuple[str, ...] | dict[str, str]


def torchvision(layer: str) -> Names:
    """Map `stage1_block1_norm1` -> `features.1.0.norm1`: stages at odd numbers, what merges patches at even ones."""
    ends = {"patch_embedding": "features.0.0", "patch_norm": "features.0.2", "norm": "norm", "predictions": "head"}
    parts = {
        "norm1": "norm1",
        "qkv": "attn.qkv",
        "projection": "attn.proj",
        "norm2": "norm2",
        "mlp1": "mlp.0",
        "mlp2": "mlp.3",
    }
    if layer in ends:
        return ends[layer]
    stage, block, part = _place(layer)
    if block is None:
        return f"features.{2 * (stage - 1)}.{part}"
    return _of_block(f"features.{2 * stage - 1}.{block - 1}", part, parts)


def timm(layer: str) -> Names:
    """Map `stage1_block1_norm1` -> `layers.0.blocks.0.norm1`."""
    ends = {
        "patch_embedding": "patch_embed.proj",
        "patch_norm": "patch_embed.norm",
        "norm": "norm",
        "predictions": "head.fc",
    }
    parts = {
        "norm1": "norm1",
        "qkv": "attn.qkv",
        "projection": "attn.proj",
        "norm2": "norm2",
        "mlp1": "mlp.fc1",
        "mlp2": "mlp.fc2",
    }
    if layer in ends:
        return ends[layer]
    stage, block, part = _place(layer)
    if block is None:
        return f"layers.{stage - 1}.downsample.{part}"
    return _of_block(f"layers.{stage - 1}.blocks.{block - 1}", part, parts)


def _of_block(module: str, part: str, parts: dict[str, str]) -> Names:
    if part == "offsets":
        return {"embeddings": f"{module}.attn.relative_position_bias_table"}
    return f"{module}.{parts[part]}"


def _place(layer: str) -> tuple[int, int | None, str]:
    """Take a name apart: (stage, block, part); no block: what merges the patches before the stage."""
    if found := re.fullmatch(r"stage(\d)_block(\d+)_(\w+)", layer):
        return int(found[1]), int(found[2]), found[3]
    found = re.fullmatch(r"stage(\d)_(norm|reduction)", layer)
    return int(found[1]), None, found[2]
