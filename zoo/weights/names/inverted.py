"""Inverted residual blocks in PyTorch files: MobileNetV2 and V3, and both generations of EfficientNet.

A block consists of parts, in this order: "expand" (1 × 1), "depthwise", "squeeze" and "excite" (of the channels'
means), "project" (1 × 1). The first blocks expand nothing, MobileNets squeeze in some blocks only, and the fused blocks
of EfficientNetV2 have no depthwise convolution.
"""

# timm names a block's convolutions after its kind, which shows in what the block has.
TIMM_CONVOLUTIONS = {
    ("expand", "depthwise", "project"): ("conv_pw", "conv_dw", "conv_pwl"),
    ("depthwise", "project"): ("conv_dw", "conv_pw"),
    ("expand", "project"): ("conv_exp", "conv_pwl"),
    ("project",): ("conv",),
}


def torchvision(parts: tuple[str, ...], part: str, norm: bool) -> str:
    """Name a part as in `block.2.fc1`: every part is numbered, those of squeeze-and-excitation together."""
    numbered = [other for other in parts if other != "excite"]
    if part in ("squeeze", "excite"):
        return f"block.{numbered.index('squeeze')}.{'fc1' if part == 'squeeze' else 'fc2'}"
    return f"block.{numbered.index(part)}.{int(norm)}"


def timm(parts: tuple[str, ...], part: str, norm: bool) -> str:
    """Name a part as in `conv_dw`, `bn2`, `se.conv_reduce`."""
    if part in ("squeeze", "excite"):
        return "se.conv_reduce" if part == "squeeze" else "se.conv_expand"
    convolutions = tuple(other for other in parts if other not in ("squeeze", "excite"))
    index = convolutions.index(part)
    return f"bn{index + 1}" if norm else TIMM_CONVOLUTIONS[convolutions][index]
