"""The ImageNet weights of torchvision.

Their digests are in the file names; accuracies, sizes and statistics are those of `torchvision.models.get_model_weights`.
Left out is `vgg16_features`, which has no classifier.
"""

from zoo.weights.catalog.entry import Entry

ADDRESS = "https://download.pytorch.org/models"
SOURCE = "pytorch.org/vision/stable/models"
V2 = dict(tag="imagenet_torchvision_v2", resize=232)  # the newer training recipe


def _torch(
    model: str,
    file: str,
    parameters: int,
    top1: float | None,
    top5: float | None,
    tag: str = "imagenet_torchvision",
    size: int = 224,
    mode: str = "torch",
    **more,
) -> Entry:
    more = {"license": "BSD-3-Clause", **more}
    return Entry(
        model,
        tag,
        f"{ADDRESS}/{file}.pth",
        f"sha256-prefix:{file.rpartition('-')[2]}",
        "torch",
        parameters,
        top1,
        SOURCE,
        top5=top5,
        preprocessing=mode,
        input_shape=(size, size, 3),
        **more,
    )


def _swag(model: str, file: str, parameters: int, top1: float | None, top5: float | None, size: int = 224) -> Entry:
    """Trained on the hashtags of 3.6 billion pictures (arXiv:2201.08371); larger inputs: fine-tuned, 224: a linear probe."""
    tag = "imagenet_torchvision_swag_linear" if size == 224 else "imagenet_torchvision_swag"
    return _torch(
        model, file, parameters, top1, top5, tag, size, resize=size, interpolation="bicubic", license="CC-BY-NC-4.0", year=2022
    )


def _regnets() -> list[Entry]:
    """Both recipes of each size: (name, parameters, (digest, top-1, top-5) of the first recipe, of the second)."""
    rows = [
        ("x_400mf", 5_533_832, ("adf1edd5", 72.834, 90.950), ("62229a5f", 74.864, 92.322)),
        ("x_800mf", 7_296_968, ("ad17e45c", 75.212, 92.348), ("94a99ebd", 77.522, 93.826)),
        ("x_1_6gf", 9_233_640, ("e3633e7f", 77.040, 93.440), ("a12f2b72", 79.668, 94.922)),
        ("x_3_2gf", 15_359_112, ("f342aeae", 78.364, 93.992), ("7071aa85", 81.196, 95.430)),
        ("x_8gf", 39_663_112, ("03ceed89", 79.344, 94.686), ("2b70d774", 81.682, 95.678)),
        ("x_16gf", 54_389_704, ("2007eb11", 80.058, 94.944), ("ba3796d7", 82.716, 96.196)),
        ("x_32gf", 107_973_576, ("9d47f8d0", 80.622, 95.248), ("6eb8fdc6", 83.014, 96.288)),
        ("y_400mf", 4_371_296, ("c65dace8", 74.046, 91.716), ("e6988f5f", 75.804, 92.742)),
        ("y_800mf", 6_462_944, ("1b27b58c", 76.420, 93.136), ("58fc7688", 78.828, 94.502)),
        ("y_1_6gf", 11_255_102, ("b11a554e", 77.950, 93.966), ("0d7bc02a", 80.876, 95.444)),
        ("y_3_2gf", 19_502_498, ("b5a9779c", 78.948, 94.576), ("9180c971", 81.982, 95.972)),
        ("y_8gf", 39_468_000, ("d0d0e4a8", 80.032, 95.048), ("dc2b1b54", 82.828, 96.330)),
        ("y_16gf", 83_712_956, ("9e6ed7dd", 80.424, 95.240), ("3e4a00f9", 82.886, 96.328)),
        ("y_32gf", 145_205_058, ("4dee3f7a", 80.878, 95.340), ("8db6d4b5", 83.368, 96.498)),
    ]
    return [
        _torch(f"regnet_{name}", f"regnet_{name}-{digest}", parameters, top1, top5, **more)
        for name, parameters, *recipes in rows
        for (digest, top1, top5), more in zip(recipes, ({}, V2), strict=True)
    ]


ENTRIES = (
    _torch("alexnet", "alexnet-owt-7be5be79", 61_100_840, 56.522, 79.066),
    _torch("vgg11", "vgg11-8a719046", 132_863_336, 69.020, 88.628),
    _torch("vgg13", "vgg13-19584684", 133_047_848, 69.928, 89.246),
    _torch("vgg16", "vgg16-397923af", 138_357_544, 71.592, 90.382),
    _torch("vgg19", "vgg19-dcbb9e9d", 143_667_240, 72.376, 90.876),
    _torch("vgg11_bn", "vgg11_bn-6002323d", 132_874_344, 70.370, 89.810),
    _torch("vgg13_bn", "vgg13_bn-abd245e5", 133_059_624, 71.586, 90.374),
    _torch("vgg16_bn", "vgg16_bn-6c64b313", 138_374_440, 73.360, 91.516),
    _torch("vgg19_bn", "vgg19_bn-c79401a0", 143_689_256, 74.218, 91.842),
    # Ported from TensorFlow: torchvision turns pixels that it normalised into -1..1 inside the model (transform_input).
    _torch("googlenet", "googlenet-1378be20", 6_639_464, 69.778, 89.530, mode="tf"),
    _torch("inception_v3", "inception_v3_google-0cc3c7bd", 23_869_000, 77.294, 93.450, size=299, mode="tf", resize=342),
    _torch("resnet18", "resnet18-f37072fd", 11_699_112, 69.758, 89.078),
    _torch("resnet34", "resnet34-b627a593", 21_814_696, 73.314, 91.420),
    _torch("resnet50", "resnet50-0676ba61", 25_610_152, 76.130, 92.862),
    _torch("resnet50", "resnet50-11ad3fa6", 25_610_152, 80.858, 95.434, **V2),
    _torch("resnet101", "resnet101-63fe2227", 44_654_504, 77.374, 93.546),
    _torch("resnet101", "resnet101-cd907fc2", 44_654_504, 81.886, 95.780, **V2),
    _torch("resnet152", "resnet152-394f9c45", 60_344_232, 78.312, 94.046),
    _torch("resnet152", "resnet152-f82ba261", 60_344_232, 82.284, 96.002, **V2),
    _torch("squeezenet1_0", "squeezenet1_0-b66bff10", 1_248_424, 58.092, 80.420),
    _torch("squeezenet1_1", "squeezenet1_1-b8a52dc0", 1_235_496, 58.178, 80.624),
    _torch("mobilenet_v2", "mobilenet_v2-b0353104", 3_538_984, 71.878, 90.286, options={"alpha": 1.0}),
    _torch("mobilenet_v2", "mobilenet_v2-7ebf99e0", 3_538_984, 72.154, 90.822, options={"alpha": 1.0}, **V2),
    _torch("mobilenet_v3_small", "mobilenet_v3_small-047dcff4", 2_554_968, 67.668, 87.402, options={"alpha": 1.0}),
    _torch("mobilenet_v3_large", "mobilenet_v3_large-8738ca79", 5_507_432, 74.042, 91.340, options={"alpha": 1.0}),
    _torch("mobilenet_v3_large", "mobilenet_v3_large-5c1a4163", 5_507_432, 75.274, 92.566, options={"alpha": 1.0}, **V2),
    _torch("densenet121", "densenet121-a639ec97", 8_062_504, 74.434, 91.972),
    _torch("densenet161", "densenet161-8d451a50", 28_900_936, 77.138, 93.560),
    _torch("densenet169", "densenet169-b2777c0a", 14_307_880, 75.600, 92.806),
    _torch("densenet201", "densenet201-c1103571", 20_242_984, 76.896, 93.370),
    _torch("efficientnet_b0", "efficientnet_b0_rwightman-7f5810bc", 5_330_564, 77.692, 93.532, interpolation="bicubic"),
    _torch(
        "efficientnet_b1", "efficientnet_b1_rwightman-bac287d4", 7_856_232, 78.642, 94.186, size=240, interpolation="bicubic"
    ),
    _torch(
        "efficientnet_b1", "efficientnet_b1-c27df63c", 7_856_232, 79.838, 94.934, "imagenet_torchvision_v2", 240, resize=255
    ),
    _torch(
        "efficientnet_b2",
        "efficientnet_b2_rwightman-c35c1473",
        9_177_562,
        80.608,
        95.310,
        size=288,
        resize=288,
        interpolation="bicubic",
    ),
    _torch(
        "efficientnet_b3",
        "efficientnet_b3_rwightman-b3899882",
        12_320_528,
        82.008,
        96.054,
        size=300,
        resize=320,
        interpolation="bicubic",
    ),
    _torch(
        "efficientnet_b4",
        "efficientnet_b4_rwightman-23ab8bcd",
        19_466_816,
        83.384,
        96.594,
        size=380,
        resize=384,
        interpolation="bicubic",
    ),
    _torch(
        "efficientnet_b5",
        "efficientnet_b5_lukemelas-1a07897c",
        30_562_520,
        83.444,
        96.628,
        size=456,
        resize=456,
        interpolation="bicubic",
    ),
    _torch(
        "efficientnet_b6",
        "efficientnet_b6_lukemelas-24a108a5",
        43_265_136,
        84.008,
        96.916,
        size=528,
        resize=528,
        interpolation="bicubic",
    ),
    _torch(
        "efficientnet_b7",
        "efficientnet_b7_lukemelas-c5b4e57e",
        66_658_680,
        84.122,
        96.908,
        size=600,
        resize=600,
        interpolation="bicubic",
    ),
    _torch("efficientnet_v2_s", "efficientnet_v2_s-dd5fe13b", 21_612_360, 84.228, 96.878, size=384, resize=384),
    _torch("efficientnet_v2_m", "efficientnet_v2_m-dc08266a", 54_431_388, 85.112, 97.156, size=480, resize=480),
    _torch(
        "efficientnet_v2_l",
        "efficientnet_v2_l-59c71312",
        119_027_848,
        85.808,
        97.788,
        size=480,
        resize=480,
        mode="tf",
        interpolation="bicubic",
    ),
    _torch("convnext_tiny", "convnext_tiny-983f1562", 28_589_128, 82.520, 96.146, resize=236),
    _torch("convnext_small", "convnext_small-0c510722", 50_223_688, 83.616, 96.650, resize=230),
    _torch("convnext_base", "convnext_base-6075fbad", 88_591_464, 84.062, 96.870, resize=232),
    _torch("convnext_large", "convnext_large-ea097f82", 197_767_336, 84.414, 96.976, resize=232),
    *_regnets(),
    _swag("regnet_y_16gf", "regnet_y_16gf_swag-43afe44d", 83_712_956, 86.012, 98.054, size=384),
    _swag("regnet_y_16gf", "regnet_y_16gf_lc_swag-f3ec0043", 83_712_956, 83.976, 97.244),
    _swag("regnet_y_32gf", "regnet_y_32gf_swag-04fdfa75", 145_205_058, 86.838, 98.362, size=384),
    _swag("regnet_y_32gf", "regnet_y_32gf_lc_swag-e1583746", 145_205_058, 84.622, 97.480),
    _torch("swin_tiny", "swin_t-704ceda3", 28_288_354, 81.474, 95.776, resize=232, interpolation="bicubic"),
    _torch("swin_small", "swin_s-5e29d889", 49_606_258, 83.196, 96.360, resize=246, interpolation="bicubic"),
    _torch("swin_base", "swin_b-68c6b09e", 87_768_224, 83.582, 96.640, resize=238, interpolation="bicubic"),
    _torch("vit_b_16", "vit_b_16-c867db91", 86_567_656, 81.072, 95.318),
    _torch("vit_b_32", "vit_b_32-d86f8d99", 88_224_232, 75.912, 92.466),
    _torch("vit_l_16", "vit_l_16-852ce7e3", 304_326_632, 79.662, 94.638, resize=242),
    _swag("vit_b_16", "vit_b_16_swag-9ac1b537", 86_859_496, 85.304, 97.650, size=384),
    _swag("vit_b_16", "vit_b_16_lc_swag-4e70ced5", 86_567_656, 81.886, 96.180),
    _swag("vit_l_16", "vit_l_16_swag-4f3808c9", 305_174_504, 88.064, 98.512, size=512),
    _swag("vit_l_16", "vit_l_16_lc_swag-4d563306", 304_326_632, 85.146, 97.422),
)
