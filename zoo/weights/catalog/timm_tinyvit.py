"""The ImageNet weights of TinyViT that timm took from Microsoft (github.com/microsoft/Cream, TinyViT).

All files are Apache-2.0, as timm has them, and of Wu et al. 2022, arXiv:2207.10666. A tag is timm's own after the dot, without
"_in1k": "in1k" itself was trained on ImageNet-1k alone, "dist_in22k_ft" distilled on ImageNet-22k first.
"""

from zoo.weights.catalog.entry import Entry
from zoo.weights.catalog.hub import ADDRESS

SOURCE = "github.com/microsoft/Cream, TinyViT/README.md"


def _tiny_vit(model: str, name: str, parameters: int, top1: float, top5: float, size: int = 224, crop: float = 0.95) -> Entry:
    return Entry(
        model,
        f"imagenet_timm_{name.partition('.')[2].replace('_ft_in1k', '_ft')}",
        f"{ADDRESS}/{name}/resolve/main/model.safetensors",
        "none",
        "timm",
        parameters,
        top1,
        SOURCE,
        "Apache-2.0",
        top5,
        2022,
        "torch",
        (size, size, 3),
        int(size / crop),
        "bicubic",
    )


ENTRIES = (
    _tiny_vit("tiny_vit_5m", "tiny_vit_5m_224.dist_in22k_ft_in1k", 5_402_620, 80.7, 95.6),
    _tiny_vit("tiny_vit_5m", "tiny_vit_5m_224.in1k", 5_402_620, 79.1, 94.8),
    _tiny_vit("tiny_vit_11m", "tiny_vit_11m_224.dist_in22k_ft_in1k", 11_009_836, 83.2, 96.5),
    _tiny_vit("tiny_vit_11m", "tiny_vit_11m_224.in1k", 11_009_836, 81.5, 95.8),
    _tiny_vit("tiny_vit_21m", "tiny_vit_21m_224.dist_in22k_ft_in1k", 21_216_904, 84.8, 97.3),
    _tiny_vit("tiny_vit_21m", "tiny_vit_21m_224.in1k", 21_216_904, 83.1, 96.5),
    _tiny_vit("tiny_vit_21m_384", "tiny_vit_21m_384.dist_in22k_ft_in1k", 21_248_824, 86.2, 97.8, 384, 1.0),
    _tiny_vit("tiny_vit_21m_512", "tiny_vit_21m_512.dist_in22k_ft_in1k", 21_286_456, 86.5, 97.9, 512, 1.0),
)
