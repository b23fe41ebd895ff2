"""Networks that learned without labels, DINO's and DINOv2's, and DeiT-III: all are Facebook's.

All but DINO's ResNet are timm's files on the Hugging Face hub. A tag begins with the pictures: ImageNet, or the 142 million of
LVD-142M. Files of DINO and DINOv2 hold no classifier; what a linear one reaches on their features stands in
`zoo/architectures/vit.py`. Size, crop and statistics are those of timm's `pretrained_cfg`, but for DINOv2: its positions are
of 518 × 518 pixels, and it is used at 224 × 224, framed as its authors do to evaluate it (`dinov2/data/transforms.py`).
"""

from zoo.weights.catalog.entry import Entry
from zoo.weights.catalog.hub import ADDRESS

RESULTS = "github.com/huggingface/pytorch-image-models, results/results-imagenet.csv at 0173a13"
DINO = "github.com/facebookresearch/dino"
DINOV2 = "github.com/facebookresearch/dinov2"

# As the files' pages on the hub state them; of the others the hub states it when they are downloaded.
SHA256 = {
    "deit3_base_patch16_224.fb_in1k": "9a6f0f93c19c3f6b05836231b9de6b07cc9eca1b002b30c3b5b0b77411687650",
    "vit_base_patch16_224.dino": "93181583427d6de3e18ab0e6ee4df35736cfc51a3c1bf9ae0e9b53b1316598dc",
    "vit_base_patch14_dinov2.lvd142m": "55cbb5d887b336d430e649c277b85a1429e724871f9d02ac16203235886d8c7b",
}

# What timm calls a network → (builder, variant, parameters, the builder's own arguments).
NETWORKS = {
    "deit3_small_patch16_224": ("deit3_s_16", "timm", 22_059_496, {}),
    "deit3_small_patch16_384": ("deit3_s_16", "timm", 22_205_416, {}),
    "deit3_base_patch16_224": ("deit3_b_16", "timm", 86_585_320, {}),
    "deit3_base_patch16_384": ("deit3_b_16", "timm", 86_877_160, {}),
    "vit_small_patch14_dinov2": ("dinov2_s_14", "timm", 21_628_800, {}),
    "vit_base_patch14_dinov2": ("dinov2_b_14", "timm", 85_724_928, {}),
    "vit_large_patch14_dinov2": ("dinov2_l_14", "timm", 303_227_904, {}),
    "vit_small_patch14_reg4_dinov2": ("dinov2_s_14_reg", "timm", 21_629_952, {}),
    "vit_base_patch14_reg4_dinov2": ("dinov2_b_14_reg", "timm", 85_727_232, {}),
    "vit_large_patch14_reg4_dinov2": ("dinov2_l_14_reg", "timm", 303_230_976, {}),
}


def _deit3(name: str, top1: float, top5: float, size: int = 224, crop: float = 1.0) -> Entry:
    network, _, recipe = name.partition(".")
    model, variant, parameters, _ = NETWORKS[network]
    return Entry(
        model,
        f"imagenet_timm_{recipe.replace('_in1k', '')}{'_384' * (size == 384)}",
        f"{ADDRESS}/{name}/resolve/main/model.safetensors",
        f"sha256:{SHA256[name]}" if name in SHA256 else "none",
        variant,
        parameters,
        top1,
        RESULTS,
        "Apache-2.0",
        top5,
        2022,
        "torch",
        (size, size, 3),
        int(size / crop),
        "bicubic",
    )


def _features(name: str, model: str, tag: str, parameters: int, source: str, year: int, resize: int = 256) -> Entry:
    return Entry(
        model,
        tag,
        f"{ADDRESS}/{name}/resolve/main/model.safetensors",
        f"sha256:{SHA256[name]}" if name in SHA256 else "none",
        "timm",
        parameters,
        None,  # without a classifier
        source,
        "Apache-2.0",
        year=year,
        preprocessing="torch",
        resize=resize,
        interpolation="bicubic",
        num_classes=0,
    )


def _dinov2(network: str) -> Entry:
    model, _, parameters, _ = NETWORKS[network]
    return _features(f"{network}.lvd142m", model, "lvd142m_timm", parameters, DINOV2, 2023)


ENTRIES = (
    _features("vit_small_patch16_224.dino", "vit_s_16", "imagenet_timm_dino", 21_665_664, DINO, 2021, resize=248),
    _features("vit_base_patch16_224.dino", "vit_b_16", "imagenet_timm_dino", 85_798_656, DINO, 2021, resize=248),
    Entry(
        "resnet50",
        "imagenet_dino",
        "https://dl.fbaipublicfiles.com/dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth",
        "none",
        "torch",
        23_561_152,
        None,
        DINO,
        "Apache-2.0",
        year=2021,
        preprocessing="torch",
        interpolation="bicubic",
        num_classes=0,
    ),
    # First those that saw ImageNet-22k before.
    _deit3("deit3_small_patch16_224.fb_in22k_ft_in1k", 83.074, 96.776),
    _deit3("deit3_small_patch16_224.fb_in1k", 81.370, 95.456, crop=0.9),
    _deit3("deit3_small_patch16_384.fb_in22k_ft_in1k", 84.824, 97.488, 384),
    _deit3("deit3_small_patch16_384.fb_in1k", 83.430, 96.674, 384),
    _deit3("deit3_base_patch16_224.fb_in22k_ft_in1k", 85.700, 97.746),
    _deit3("deit3_base_patch16_224.fb_in1k", 83.786, 96.588, crop=0.9),
    _deit3("deit3_base_patch16_384.fb_in22k_ft_in1k", 86.738, 98.114, 384),
    _deit3("deit3_base_patch16_384.fb_in1k", 85.072, 97.252, 384),
    _dinov2("vit_small_patch14_dinov2"),
    _dinov2("vit_base_patch14_dinov2"),
    _dinov2("vit_large_patch14_dinov2"),
    _dinov2("vit_small_patch14_reg4_dinov2"),
    _dinov2("vit_base_patch14_reg4_dinov2"),
    _dinov2("vit_large_patch14_reg4_dinov2"),
)
