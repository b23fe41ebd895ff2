"""ConvNeXts of timm beyond those in `timm`: the small ones, ConvNeXt V2, and those that DINOv3 trained without labels.

Left out are graphs with another stem ("_ols"), norm ("_rms") or head ("_hnf", "_mlp"), and files whose classes are those of
ImageNet-12k. V2's are not for commercial use. DINOv3's have no classifier: arXiv:2508.10104, distilled from a ViT-7B on 1,689
million pictures.
"""

from dataclasses import replace

from zoo.weights.catalog.entry import Entry
from zoo.weights.catalog.hub import on_hub

# What timm calls a network → (builder, parameters, the builder's own arguments).
NETWORKS = {
    "convnext_atto": ("convnext_atto", 3_695_520, {}),
    "convnext_femto": ("convnext_femto", 5_217_784, {}),
    "convnext_pico": ("convnext_pico", 9_045_672, {}),
    "convnext_nano": ("convnext_nano", 15_593_560, {}),
    "convnextv2_atto": ("convnext_v2_atto", 3_708_400, {}),
    "convnextv2_femto": ("convnext_v2_femto", 5_233_240, {}),
    "convnextv2_pico": ("convnext_v2_pico", 9_066_280, {}),
    "convnextv2_nano": ("convnext_v2_nano", 15_623_800, {}),
    "convnextv2_tiny": ("convnext_v2_tiny", 28_635_496, {}),
    "convnextv2_base": ("convnext_v2_base", 88_717_800, {}),
}


def _timm(name: str, top1: float | None, top5: float | None, size: int = 224, crop: float = 0.875) -> Entry:
    return on_hub(name, NETWORKS[name.partition(".")[0]], top1, top5, size, crop)


def _v2(name: str, top1: float, top5: float, size: int = 224, crop: float = 0.875) -> Entry:
    return replace(_timm(f"convnextv2_{name}", top1, top5, size, crop), license="CC-BY-NC-4.0", year=2023)


def _dinov3(model: str, parameters: int) -> Entry:
    entry = on_hub(f"{model}.dinov3_lvd1689m", (model, parameters, {}), crop=1.0, year=2025, license="DINOv3-License")
    return replace(entry, tag="lvd1689m_timm_dinov3", source="arXiv:2508.10104", num_classes=0)


ENTRIES = (
    _timm("convnext_atto.d2_in1k", 75.668, 92.912),
    _timm("convnext_femto.d1_in1k", 77.508, 93.688),
    _timm("convnext_pico.d1_in1k", 79.516, 94.554),
    _timm("convnext_nano.in12k_ft_in1k", 82.306, 96.338, crop=0.95),
    _timm("convnext_nano.d1h_in1k", 80.762, 95.332, crop=0.95),
    _timm("convnext_nano.r384_in12k_ft_in1k", None, None, 384, 1.0),
    _v2("atto.fcmae_ft_in1k", 76.646, 93.044),
    _v2("femto.fcmae_ft_in1k", 78.484, 93.994),
    _v2("pico.fcmae_ft_in1k", 80.304, 95.082),
    _v2("nano.fcmae_ft_in1k", 81.856, 95.740),
    _v2("nano.fcmae_ft_in22k_in1k", 82.038, 96.174),
    _v2("nano.fcmae_ft_in22k_in1k_384", 83.362, 96.740, 384, 1.0),
    _v2("tiny.fcmae_ft_in1k", 82.948, 96.286),
    _v2("tiny.fcmae_ft_in22k_in1k", 83.904, 96.964),
    _v2("tiny.fcmae_ft_in22k_in1k_384", 85.106, 97.632, 384, 1.0),
    _v2("base.fcmae_ft_in1k", 84.888, 97.080),
    _v2("base.fcmae_ft_in22k_in1k", 86.752, 98.020),
    _v2("base.fcmae_ft_in22k_in1k_384", 87.638, 98.416, 384, 1.0),
    _dinov3("convnext_tiny", 27_820_128),
    _dinov3("convnext_small", 49_454_688),
    _dinov3("convnext_base", 87_566_464),
    _dinov3("convnext_large", 196_230_336),
)
