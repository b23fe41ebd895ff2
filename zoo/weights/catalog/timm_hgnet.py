"""The ImageNet weights of PP-HGNetV2 that timm took from PaddleClas (github.com/PaddlePaddle/PaddleClas).

All files are Apache-2.0. A tag is timm's own after the dot, without "_in1k": "ssld_stage1_in22k" is the first stage of the
distillation of Cui et al. 2021, arXiv:2103.05959, on ImageNet-22k, of which nobody published the accuracy; "ssld_stage2_ft" is
the second, tuned on ImageNet-1k.
"""

from zoo.weights.catalog.entry import Entry
from zoo.weights.catalog.hub import ADDRESS

SOURCE = "github.com/PaddlePaddle/PaddleClas, docs/zh_CN/models/ImageNet1k/PP-HGNetV2.md"


def _hgnet(model: str, tag: str, parameters: int, top1: float | None, top5: float | None) -> Entry:
    return Entry(
        model,
        f"imagenet_timm_{tag.replace('_in1k', '')}",
        f"{ADDRESS}/{model}.{tag}/resolve/main/model.safetensors",
        "none",
        "timm",
        parameters,
        top1,
        SOURCE,
        "Apache-2.0",
        top5,
        2023,
        "torch",
        (224, 224, 3),
        232,
        "bicubic",
    )


# parameters, top-1 and top-5 of the second stage
PUBLISHED = {
    "hgnetv2_b0": (6_008_822, 77.77, 93.91),
    "hgnetv2_b1": (6_357_246, 79.18, 94.57),
    "hgnetv2_b2": (11_248_052, 81.74, 95.88),
    "hgnetv2_b3": (16_326_816, 82.98, 96.43),
    "hgnetv2_b4": (19_842_376, 83.57, 96.72),
}
ENTRIES = tuple(
    entry
    for model, (parameters, top1, top5) in PUBLISHED.items()
    for entry in (
        _hgnet(model, "ssld_stage2_ft_in1k", parameters, top1, top5),
        _hgnet(model, "ssld_stage1_in22k_in1k", parameters, None, None),
    )
)
