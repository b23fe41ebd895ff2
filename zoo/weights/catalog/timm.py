"""The ImageNet weights of timm that fit a graph of this zoo, as safetensors on the Hugging Face hub.

A tag is timm's own after the dot, without "_in1k": "resnet50.a1_in1k" is "imagenet_timm_a1". Size, crop and statistics are
those of its `pretrained_cfg`, accuracies those of its results at that size (many are better at its larger test size).
For a few files timm squeezes the whole picture into a square; here they see the centre, which differs little.

Left out are copies of torchvision's files ("tv", "tv2") and all whose graph is another: TensorFlow's padding under
PyTorch's names ("tf_...", but for EfficientNet-Lite), ResNets with deep stems or group norm, vision transformers that are
distilled. Those that learned without labels, and DeiT-III, are in `timm_vit.py`. EfficientNet-Lite was trained on
(pixel − 127) / 128; timm says −1..1, and so do its entries.
"""

from dataclasses import replace

from zoo.weights.catalog.entry import Entry
from zoo.weights.catalog.hub import RESULTS, on_hub

# As the files' pages on the hub state them; of the others the hub states it when they are downloaded.
SHA256 = {
    "convnext_tiny.in12k_ft_in1k": "a1aefa409b513cf209b085424eb3efffe4e4a9f511491bc2c12ea35209e6bb95",
    "convnext_tiny.in12k_ft_in1k_384": "2a372497fe2d9d5994e9d69e979ac48625e40792f9f8965f498a0f68821f2adb",
}

# What timm calls a network → (builder, variant, parameters, the builder's own arguments).
NETWORKS = {
    "inception_v3": ("inception_v3", "torch", 23_869_000, {}),
    "resnet18": ("resnet18", "torch", 11_699_112, {}),
    "resnet34": ("resnet34", "torch", 21_814_696, {}),
    "resnet50": ("resnet50", "torch", 25_610_152, {}),
    "resnet101": ("resnet101", "torch", 44_654_504, {}),
    "resnet152": ("resnet152", "torch", 60_344_232, {}),
    "densenet121": ("densenet121", "torch", 8_062_504, {}),
    "mobilenetv2_050": ("mobilenet_v2", "timm", 1_987_224, {"alpha": 0.5}),
    "mobilenetv2_100": ("mobilenet_v2", "timm", 3_538_984, {"alpha": 1.0}),
    "mobilenetv2_140": ("mobilenet_v2", "timm", 6_156_712, {"alpha": 1.4}),
    "mobilenetv3_small_050": ("mobilenet_v3_small", "timm", 1_599_720, {"alpha": 0.5}),
    "mobilenetv3_small_075": ("mobilenet_v3_small", "timm", 2_051_552, {"alpha": 0.75}),
    "mobilenetv3_small_100": ("mobilenet_v3_small", "timm", 2_554_968, {"alpha": 1.0}),
    "mobilenetv3_large_100": ("mobilenet_v3_large", "timm", 5_507_432, {"alpha": 1.0}),
    "efficientnet_b0": ("efficientnet_b0", "timm", 5_330_564, {}),
    "efficientnet_b1": ("efficientnet_b1", "timm", 7_856_232, {}),
    "efficientnet_b2": ("efficientnet_b2", "timm", 9_177_562, {}),
    "efficientnet_b3": ("efficientnet_b3", "timm", 12_320_528, {}),
    "efficientnet_b4": ("efficientnet_b4", "timm", 19_466_816, {}),
    "efficientnet_b5": ("efficientnet_b5", "timm", 30_562_520, {}),
    "efficientnet_lite0": ("efficientnet_lite0", "timm", 4_694_024, {}),
    "tf_efficientnet_lite0": ("efficientnet_lite0", "keras", 4_694_024, {}),
    "tf_efficientnet_lite1": ("efficientnet_lite1", "keras", 5_470_344, {}),
    "tf_efficientnet_lite2": ("efficientnet_lite2", "keras", 6_150_168, {}),
    "tf_efficientnet_lite3": ("efficientnet_lite3", "keras", 8_273_768, {}),
    "tf_efficientnet_lite4": ("efficientnet_lite4", "keras", 13_118_936, {}),
    "convnext_tiny": ("convnext_tiny", "timm", 28_589_128, {}),
    "convnext_small": ("convnext_small", "timm", 50_223_688, {}),
    "convnext_base": ("convnext_base", "timm", 88_591_464, {}),
    "convnext_large": ("convnext_large", "timm", 197_767_336, {}),
    "convnext_xlarge": ("convnext_xlarge", "timm", 350_196_968, {}),
    "vit_tiny_patch16_224": ("vit_ti_16", "timm", 5_717_416, {}),
    "vit_tiny_patch16_384": ("vit_ti_16", "timm", 5_790_376, {}),
    "vit_small_patch16_224": ("vit_s_16", "timm", 22_050_664, {}),
    "vit_small_patch16_384": ("vit_s_16", "timm", 22_196_584, {}),
    "vit_base_patch16_224": ("vit_b_16", "timm", 86_567_656, {}),
    "vit_base_patch16_384": ("vit_b_16", "timm", 86_859_496, {}),
    "vit_base_patch32_224": ("vit_b_32", "timm", 88_224_232, {}),
    "vit_base_patch32_384": ("vit_b_32", "timm", 88_297_192, {}),
    "vit_large_patch16_224": ("vit_l_16", "timm", 304_326_632, {}),
    "vit_large_patch16_384": ("vit_l_16", "timm", 304_715_752, {}),
    "deit_tiny_patch16_224": ("vit_ti_16", "timm", 5_717_416, {}),
    "deit_small_patch16_224": ("vit_s_16", "timm", 22_050_664, {}),
    "deit_base_patch16_224": ("vit_b_16", "timm", 86_567_656, {}),
    "deit_base_patch16_384": ("vit_b_16", "timm", 86_859_496, {}),
}


def _timm(
    name: str,
    top1: float | None,
    top5: float | None,
    size: int = 224,
    crop: float = 0.875,
    mode: str = "torch",
    interpolation: str = "bicubic",
    license: str = "Apache-2.0",
    source: str = RESULTS,
    year: int | None = None,
) -> Entry:
    network, _, recipe = name.partition(".")
    model, variant, parameters, options = NETWORKS[network]
    tag = "deit" if network.startswith("deit") else recipe.replace("_in1k", "")
    if network.endswith("_384"):  # vision transformers have the size there, the others at the end of the recipe
        tag += "_384"
    return replace(
        on_hub(name, (model, parameters, options), top1, top5, size, crop, mode, year, license),
        tag=f"imagenet_timm_{tag}",
        hash=f"sha256:{SHA256[name]}" if name in SHA256 else "none",
        variant=variant,
        source=source,
        interpolation=interpolation,
    )


# Pretrained on pictures of Instagram and Flickr (arXiv:1905.00546)
FACEBOOK = dict(interpolation="bilinear", license="CC-BY-NC-4.0", year=2019)

ENTRIES = (
    _timm("inception_v3.gluon_in1k", 78.804, 94.374, 299),
    _timm("inception_v3.tf_in1k", 77.866, 93.640, 299, mode="tf"),
    _timm("inception_v3.tf_adv_in1k", 77.596, 93.726, 299, mode="tf"),
    # "a" to "d": "ResNet strikes back" (arXiv:2110.00476)
    _timm("resnet18.a1_in1k", 71.488, 90.076, crop=0.95, year=2021),
    _timm("resnet18.a2_in1k", 70.634, 89.486, crop=0.95, year=2021),
    _timm("resnet18.a3_in1k", 65.664, 86.278, 160, 0.95, year=2021),
    _timm("resnet18.fb_ssl_yfcc100m_ft_in1k", 72.636, 91.416, **FACEBOOK),
    _timm("resnet18.fb_swsl_ig1b_ft_in1k", 73.288, 91.754, **FACEBOOK),
    _timm("resnet18.gluon_in1k", 70.844, 89.750),
    _timm("resnet34.a1_in1k", 76.414, 92.886, crop=0.95, year=2021),
    _timm("resnet34.a2_in1k", 75.516, 92.456, crop=0.95, year=2021),
    _timm("resnet34.a3_in1k", 70.572, 89.522, 160, 0.95, year=2021),
    _timm("resnet34.bt_in1k", 75.162, 92.170),
    _timm("resnet34.gluon_in1k", 74.574, 91.988),
    _timm("resnet34.ra4_e3600_r224_in1k", None, None, crop=0.9, mode="tf", year=2024),
    _timm("resnet50.a1_in1k", 80.382, 94.598, crop=0.95, year=2021),
    _timm("resnet50.a1h_in1k", 79.260, 94.498, 176, 0.9),
    _timm("resnet50.a2_in1k", 79.828, 94.560, crop=0.95, year=2021),
    _timm("resnet50.a3_in1k", 75.994, 92.494, 160, 0.95, year=2021),
    _timm("resnet50.am_in1k", 79.004, 94.392, year=2020),
    _timm("resnet50.b1k_in1k", 79.564, 94.622, crop=0.95, year=2021),
    _timm("resnet50.b2k_in1k", 79.380, 94.576, crop=0.95, year=2021),
    _timm("resnet50.bt_in1k", 78.432, 94.270),
    _timm("resnet50.c1_in1k", 79.766, 94.958, crop=0.95, year=2021),
    _timm("resnet50.c2_in1k", 79.868, 94.866, crop=0.95, year=2021),
    _timm("resnet50.d_in1k", 79.904, 94.666, crop=0.95, year=2021),
    _timm("resnet50.fb_ssl_yfcc100m_ft_in1k", 79.252, 94.826, **FACEBOOK),
    _timm("resnet50.fb_swsl_ig1b_ft_in1k", 81.146, 95.980, **FACEBOOK),
    _timm("resnet50.gluon_in1k", 77.580, 93.726),
    _timm("resnet50.ra_in1k", 78.814, 94.320),
    _timm("resnet50.ram_in1k", 79.032, 94.386),
    _timm("resnet101.a1_in1k", 81.494, 95.164, crop=0.95, year=2021),
    _timm("resnet101.a1h_in1k", 81.950, 95.760, crop=0.95),
    _timm("resnet101.a2_in1k", 81.344, 95.198, crop=0.95, year=2021),
    _timm("resnet101.a3_in1k", 77.928, 93.686, 160, 0.95, year=2021),
    _timm("resnet101.gluon_in1k", 79.306, 94.538),
    _timm("resnet152.a1_in1k", 81.998, 95.294, crop=0.95, year=2021),
    _timm("resnet152.a1h_in1k", 82.818, 96.124, crop=0.95),
    _timm("resnet152.a2_in1k", 81.764, 95.270, crop=0.95, year=2021),
    _timm("resnet152.a3_in1k", 78.896, 94.124, 160, 0.95, year=2021),
    _timm("resnet152.gluon_in1k", 79.712, 94.720),
    _timm("densenet121.ra_in1k", 75.576, 92.648),
    _timm("mobilenetv2_050.lamb_in1k", 65.930, 86.102),
    _timm("mobilenetv2_100.ra_in1k", 72.936, 91.002, year=2020),
    _timm("mobilenetv2_140.ra_in1k", 76.528, 93.008, year=2020),
    _timm("mobilenetv3_small_050.lamb_in1k", 57.924, 80.142),
    _timm("mobilenetv3_small_075.lamb_in1k", 65.266, 85.466),
    _timm("mobilenetv3_small_100.lamb_in1k", 67.638, 87.650),
    _timm("mobilenetv3_large_100.ra_in1k", 75.786, 92.528, year=2020),
    _timm("mobilenetv3_large_100.miil_in21k_ft_in1k", 77.910, 92.884, mode="unit", interpolation="bilinear"),
    _timm(
        "mobilenetv3_large_100.ra4_e3600_r224_in1k",
        76.310,
        None,
        crop=0.95,
        mode="tf",
        year=2024,
        source="github.com/huggingface/pytorch-image-models, README.md",
    ),
    _timm("efficientnet_b0.ra_in1k", 77.696, 93.540, year=2020),
    _timm("efficientnet_b0.ra4_e3600_r224_in1k", 78.572, 94.338, crop=0.9, mode="tf", year=2024),
    _timm("efficientnet_b1.ft_in1k", 77.594, 93.630),
    _timm("efficientnet_b1.ra4_e3600_r240_in1k", 80.404, 95.148, 240, 0.9, mode="tf", year=2024),
    _timm("efficientnet_b2.ra_in1k", 79.340, 94.576, 256, year=2019),
    _timm("efficientnet_b3.ra2_in1k", 81.474, 95.712, 288, year=2020),
    _timm("efficientnet_b4.ra2_in1k", 82.654, 96.136, 320),
    _timm("efficientnet_b5.sw_in12k_ft_in1k", 85.892, 97.742, 448, 1.0),
    _timm("efficientnet_lite0.ra_in1k", 75.480, 92.522),
    _timm("tf_efficientnet_lite0.in1k", 74.830, 92.172, mode="tf"),
    _timm("tf_efficientnet_lite1.in1k", 76.644, 93.230, 240, 0.882, mode="tf"),
    _timm("tf_efficientnet_lite2.in1k", 77.464, 93.750, 260, 0.89, mode="tf"),
    _timm("tf_efficientnet_lite3.in1k", 79.808, 94.912, 300, 0.904, mode="tf", interpolation="bilinear"),
    _timm("tf_efficientnet_lite4.in1k", 81.532, 95.664, 380, 0.92, mode="tf", interpolation="bilinear"),
    _timm("convnext_tiny.fb_in1k", 82.066, 95.854, year=2022),
    _timm("convnext_tiny.fb_in22k_ft_in1k", 82.888, 96.628, year=2022),
    _timm("convnext_tiny.fb_in22k_ft_in1k_384", 84.098, 97.138, 384, 1.0, year=2022),
    _timm("convnext_tiny.in12k_ft_in1k", 84.192, 97.132, crop=0.95),
    _timm("convnext_tiny.in12k_ft_in1k_384", 85.154, 97.634, 384, 1.0),
    _timm("convnext_small.fb_in1k", 83.144, 96.432, year=2022),
    _timm("convnext_small.fb_in22k_ft_in1k", 84.582, 97.414, year=2022),
    _timm("convnext_small.fb_in22k_ft_in1k_384", 85.754, 97.882, 384, 1.0, year=2022),
    _timm("convnext_small.in12k_ft_in1k", 85.164, 97.502, crop=0.95),
    _timm("convnext_small.in12k_ft_in1k_384", 86.186, 97.920, 384, 1.0),
    _timm("convnext_base.fb_in1k", 83.834, 96.746, year=2022),
    _timm("convnext_base.fb_in22k_ft_in1k", 85.816, 97.854, year=2022),
    _timm("convnext_base.fb_in22k_ft_in1k_384", 86.826, 98.244, 384, 1.0, year=2022),
    _timm("convnext_base.clip_laion2b_augreg_ft_in1k", 86.184, 97.674, 256, 1.0, mode="clip"),
    _timm("convnext_base.clip_laion2b_augreg_ft_in12k_in1k", 86.386, 97.976, 256, 1.0, mode="clip"),
    _timm("convnext_base.clip_laion2b_augreg_ft_in12k_in1k_384", 87.150, 98.228, 384, 1.0, mode="clip"),
    _timm("convnext_base.clip_laiona_augreg_ft_in1k_384", 86.488, 97.962, 384, 1.0, mode="clip"),
    _timm("convnext_large.fb_in1k", 84.298, 96.892, year=2022),
    _timm("convnext_large.fb_in22k_ft_in1k", 86.612, 98.036, year=2022),
    _timm("convnext_large.fb_in22k_ft_in1k_384", 87.456, 98.380, 384, 1.0, year=2022),
    _timm("convnext_xlarge.fb_in22k_ft_in1k", 86.970, 98.204, year=2022),
    _timm("convnext_xlarge.fb_in22k_ft_in1k_384", 87.766, 98.554, 384, 1.0, year=2022),
    # "augreg": "How to train your ViT?" (arXiv:2106.10270)
    _timm("vit_tiny_patch16_224.augreg_in21k_ft_in1k", 75.452, 92.854, crop=0.9, mode="tf", year=2021),
    _timm("vit_tiny_patch16_384.augreg_in21k_ft_in1k", 78.446, 94.552, 384, 1.0, mode="tf", year=2021),
    _timm("vit_small_patch16_224.augreg_in1k", 78.842, 94.278, crop=0.9, mode="tf", year=2021),
    _timm("vit_small_patch16_224.augreg_in21k_ft_in1k", 81.414, 96.150, crop=0.9, mode="tf", year=2021),
    _timm("vit_small_patch16_384.augreg_in1k", 81.134, 95.576, 384, 1.0, mode="tf", year=2021),
    _timm("vit_small_patch16_384.augreg_in21k_ft_in1k", 83.804, 97.108, 384, 1.0, mode="tf", year=2021),
    _timm("vit_base_patch16_224.augreg_in1k", 79.142, 94.090, crop=0.9, mode="tf", year=2021),
    _timm("vit_base_patch16_224.augreg_in21k_ft_in1k", 84.532, 97.298, crop=0.9, mode="tf", year=2021),
    _timm("vit_base_patch16_224.augreg2_in21k_ft_in1k", 85.110, 97.538, crop=0.9, mode="tf"),
    _timm("vit_base_patch16_224.orig_in21k_ft_in1k", 81.786, 96.124, crop=0.9, mode="tf", year=2020),
    _timm("vit_base_patch16_224.sam_in1k", 80.242, 94.768, crop=0.9, mode="tf"),
    _timm("vit_base_patch16_384.augreg_in1k", 81.096, 95.334, 384, 1.0, mode="tf", year=2021),
    _timm("vit_base_patch16_384.augreg_in21k_ft_in1k", 86.006, 98.000, 384, 1.0, mode="tf", year=2021),
    _timm("vit_base_patch16_384.orig_in21k_ft_in1k", 84.208, 97.220, 384, 1.0, mode="tf", year=2020),
    _timm("vit_base_patch32_224.augreg_in1k", 74.906, 91.770, crop=0.9, mode="tf", year=2021),
    _timm("vit_base_patch32_224.augreg_in21k_ft_in1k", 80.736, 95.570, crop=0.9, mode="tf", year=2021),
    _timm("vit_base_patch32_224.sam_in1k", 73.706, 91.012, crop=0.9, mode="tf"),
    _timm("vit_base_patch32_384.augreg_in1k", 78.754, 94.236, 384, 1.0, mode="tf", year=2021),
    _timm("vit_base_patch32_384.augreg_in21k_ft_in1k", 83.352, 96.832, 384, 1.0, mode="tf", year=2021),
    _timm("vit_large_patch16_224.augreg_in21k_ft_in1k", 85.850, 97.826, crop=0.9, mode="tf", year=2021),
    _timm("vit_large_patch16_384.augreg_in21k_ft_in1k", 87.094, 98.306, 384, 1.0, mode="tf", year=2021),
    _timm("deit_tiny_patch16_224.fb_in1k", 72.196, 91.100, crop=0.9),
    _timm("deit_small_patch16_224.fb_in1k", 79.862, 95.056, crop=0.9),
    _timm("deit_base_patch16_224.fb_in1k", 81.980, 95.742, crop=0.9),
    _timm("deit_base_patch16_384.fb_in1k", 83.116, 96.366, 384, 1.0),
)
