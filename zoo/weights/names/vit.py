"""Vision transformers in other files."""

import re


def torchvision(layer: str) -> str | tuple[str, str] | dict[str, str]:
    """Map `block1_norm1` -> `encoder.layers.encoder_layer_0.ln_1`."""
    ends = {
        "patch_embedding": "conv_proj",
        "class_token": {"embeddings": "class_token"},
        "position_embedding": {"embeddings": "encoder.pos_embedding"},
        "norm": "encoder.ln",
        "predictions": "heads.head",
    }
    if layer in ends:
        return ends[layer]
    block, part = re.fullmatch(r"block(\d+)_(\w+)", layer).groups()
    module = f"encoder.layers.encoder_layer_{int(block) - 1}"
    if part == "qkv":
        return {name: f"{module}.self_attention.in_proj_{kind}" for name, kind in (("kernel", "weight"), ("bias", "bias"))}
    if part in ("mlp1", "mlp2"):  # the published files have an older name
        return f"{module}.mlp.{ {'mlp1': 0, 'mlp2': 3}[part] }", f"{module}.mlp.linear_{part[-1]}"
    return f"{module}.{ {'norm1': 'ln_1', 'norm2': 'ln_2', 'projection': 'self_attention.out_proj'}[part] }"


def timm(layer: str) -> str | dict[str, str] | dict[str, tuple[str, ...]]:
    """Map `block1_norm1` -> `blocks.0.norm1`; where timm has other names than the authors of DINOv2 and DeiT-III, to both."""
    ends = {
        "patch_embedding": "patch_embed.proj",
        "class_token": {"embeddings": "cls_token"},
        "registers": {"embeddings": ("reg_token", "register_tokens")},
        "position_embedding": {"embeddings": "pos_embed"},
        "norm": "norm",
        "predictions": "head",
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
    block, part = re.fullmatch(r"block(\d+)_(\w+)", layer).groups()
    module = f"blocks.{int(block) - 1}"
    if part in ("scale1", "scale2"):
        return {"kernel": (f"{module}.ls{part[-1]}.gamma", f"{module}.gamma_{part[-1]}")}
    return f"{module}.{parts[part]}"
