"""The ImageNet weights of Swin Transformer: those that timm took from Microsoft (github.com/microsoft/Swin-Transformer).

All files are MIT-licensed and of Liu et al. 2021, arXiv:2103.14030. A tag is timm's own after the dot, without "_in1k":
"ms" were trained on ImageNet-1k alone, "ms_in22k_ft" on ImageNet-22k first. Torchvision's are in `torchvision`.
"""

from zoo.weights.catalog.entry import Entry
from zoo.weights.catalog.hub import ADDRESS

SOURCE = "github.com/huggingface/pytorch-image-models, results/results-imagenet.csv of 2023"


def _swin(model: str, name: str, parameters: int, top1: float, top5: float, size: int = 224, crop: float = 0.9) -> Entry:
    return Entry(
        model,
        f"imagenet_timm_{name.partition('.')[2].replace('_in1k', '')}",
        f"{ADDRESS}/{name}/resolve/main/model.safetensors",
        "none",
        "timm",
        parameters,
        top1,
        SOURCE,
        "MIT",
        top5,
        2021,
        "torch",
        (size, size, 3),
        int(size / crop),
        "bicubic",
    )


ENTRIES = (
    _swin("swin_tiny", "swin_tiny_patch4_window7_224.ms_in1k", 28_288_354, 81.376, 95.544),
    _swin("swin_tiny", "swin_tiny_patch4_window7_224.ms_in22k_ft_in1k", 28_288_354, 80.968, 96.014),
    _swin("swin_small", "swin_small_patch4_window7_224.ms_in1k", 49_606_258, 83.208, 96.316),
    _swin("swin_small", "swin_small_patch4_window7_224.ms_in22k_ft_in1k", 49_606_258, 83.298, 96.964),
    _swin("swin_base", "swin_base_patch4_window7_224.ms_in1k", 87_768_224, 83.606, 96.452),
    _swin("swin_base", "swin_base_patch4_window7_224.ms_in22k_ft_in1k", 87_768_224, 85.272, 97.564),
    _swin("swin_base_384", "swin_base_patch4_window12_384.ms_in1k", 87_903_584, 84.476, 96.892, 384, 1.0),
    _swin("swin_base_384", "swin_base_patch4_window12_384.ms_in22k_ft_in1k", 87_903_584, 86.438, 98.066, 384, 1.0),
)
