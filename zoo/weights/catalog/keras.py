"""The ImageNet weights of keras.applications, as published with Keras, and the zoo's own.

Digests are those of Keras' sources; accuracies those of keras.io or, where it has none, of who trained the weights.
Keras publishes no crop: the one here is that of the training code, 7/8 of the short side, for EfficientNet 32 pixels less
than it. Licences are those of the old Keras manual (docs/templates/applications.md) or of who trained the weights.
"""

from zoo.weights.catalog.entry import Entry

ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications"
SOURCE = "keras.io/api/applications"
TENSORFLOW_MODELS = "github.com/tensorflow/models, research/slim/nets"


def _keras(
    model: str,
    file: str,
    hash: str,
    parameters: int,
    top1: float | None,
    top5: float | None,
    mode: str,
    license: str = "Apache-2.0",
    size: int = 224,
    tag: str = "imagenet",
    source: str = SOURCE,
    address: str = ADDRESS,
    **more,
) -> Entry:
    more = {"resize": round(size * 8 / 7), **more}
    return Entry(
        model,
        tag,
        f"{address}/{file}",
        hash,
        "keras",
        parameters,
        top1,
        source,
        license,
        top5,
        preprocessing=mode,
        input_shape=(size, size, 3),
        **more,
    )


def _kernels(folder: str, model: str, md5: str, *rest, **more) -> Entry:
    """Describe a file with the name that most have."""
    return _keras(model, f"{folder}/{model}_weights_tf_dim_ordering_tf_kernels.h5", f"md5:{md5}", *rest, **more)


def _efficientnet(b: int, md5: str, parameters: int, top1: float | None, top5: float | None, size: int) -> Entry:
    return _keras(
        f"efficientnet_b{b}",
        f"efficientnetb{b}.h5",
        f"md5:{md5}",
        parameters,
        top1,
        top5,
        "torch",
        size=size,
        resize=size + 32,
        interpolation="bicubic",
        address="https://storage.googleapis.com/keras-applications",
    )


def _efficientnet_v2(name: str, md5: str, parameters: int, top1: float | None, top5: float | None, size: int) -> Entry:
    base = name.startswith("b")
    file = f"efficientnet_v2/efficientnetv2-{name}.h5"
    return _keras(
        f"efficientnet_v2_{name}",
        file,
        f"md5:{md5}",
        parameters,
        top1,
        top5,
        "torch" if base else "inception",
        size=size,
        resize=size + 32 if base else size,
        interpolation="bicubic",
    )


def _convnext(name: str, sha256: str, parameters: int, top1: float | None) -> Entry:
    return _keras(
        f"convnext_{name}",
        f"convnext/convnext_{name}.h5",
        f"sha256:{sha256}",
        parameters,
        top1,
        None,
        "torch",
        "MIT",
        source="github.com/facebookresearch/ConvNeXt",
        interpolation="bicubic",
        year=2022,
    )


def _mobilenets() -> list[Entry]:
    """One file a width and input size, without hashes: {width: (in file names, parameters, {size: (top-1, top-5)})}."""
    widths = {
        0.25: ("2_5", 475_544, {224: (49.8, 74.2), 192: (47.7, 72.3), 160: (45.5, 70.3), 128: (41.5, 66.3)}),
        0.5: ("5_0", 1_342_536, {224: (63.3, 84.9), 192: (61.7, 83.6), 160: (59.1, 81.9), 128: (56.3, 79.4)}),
        0.75: ("7_5", 2_601_976, {224: (68.4, 88.2), 192: (67.2, 87.3), 160: (65.3, 86.0), 128: (62.1, 83.9)}),
        1.0: ("1_0", 4_253_864, {224: (70.4, 89.5), 192: (70.0, 89.2), 160: (68.0, 87.7), 128: (65.2, 85.8)}),
    }
    return [
        _keras(
            "mobilenet",
            f"mobilenet/mobilenet_{text}_{size}_tf.h5",
            "none",
            parameters,
            *accuracies[size],
            "tf",
            **_mobile(alpha, size, f"{TENSORFLOW_MODELS}/mobilenet_v1.md"),
        )
        for size in (224, 192, 160, 128)
        for alpha, (text, parameters, accuracies) in widths.items()
    ]


def _mobilenets_v2() -> list[Entry]:
    """List the entries of MobileNetV2, of each width and size."""
    widths = {
        0.35: (1_691_208, {224: (60.3, 82.9), 192: (58.2, 81.2), 160: (55.7, 79.1), 128: (50.8, 75.0), 96: (45.5, 70.4)}),
        0.5: (1_987_224, {224: (65.4, 86.4), 192: (63.9, 85.4), 160: (61.0, 83.2), 128: (57.7, 80.8), 96: (51.2, 75.8)}),
        0.75: (2_663_064, {224: (69.8, 89.6), 192: (68.7, 88.9), 160: (66.4, 87.3), 128: (63.2, 85.3), 96: (58.8, 81.6)}),
        1.0: (3_538_984, {224: (71.3, 90.1), 192: (70.7, 90.1), 160: (68.8, 89.0), 128: (65.3, 86.9), 96: (60.3, 83.2)}),
        1.3: (5_431_048, {224: (74.4, 92.1)}),
        1.4: (6_156_712, {224: (75.0, 92.5)}),
    }
    name = "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{}_{}.h5"
    return [
        _keras(
            "mobilenet_v2",
            name.format(alpha, size),
            "none",
            parameters,
            *accuracies[size],
            "tf",
            **_mobile(alpha, size, f"{TENSORFLOW_MODELS}/mobilenet/README.md"),
        )
        for size in (224, 192, 160, 128, 96)
        for alpha, (parameters, accuracies) in widths.items()
        if size in accuracies
    ]


def _mobile(alpha: float, size: int, source: str) -> dict:
    """Add to a row of either table; keras.io has measured the full width at 224 pixels itself."""
    tag = "imagenet" if size == 224 else f"imagenet_{size}"
    return dict(size=size, tag=tag, options={"alpha": alpha}, source=SOURCE if (alpha, size) == (1.0, 224) else source)


def _mobilenet_v3(name: str, alpha: float, md5: str, parameters: int, top1: float | None) -> Entry:
    """Its accuracies are in Keras' docstring. The "minimalistic" files are of another graph."""
    return _keras(
        f"mobilenet_v3_{name}",
        f"mobilenet_v3/weights_mobilenet_v3_{name}_224_{alpha}_float.h5",
        f"md5:{md5}",
        parameters,
        top1,
        None,
        "tf",
        source=f"{SOURCE}/mobilenet",
        options={"alpha": alpha},
    )


ENTRIES = (
    Entry(
        "lenet5",
        "mnist",
        "lenet5_mnist.safetensors",
        "sha256:1c0d41fa25e67b6ebfffc4f4360647ba9b31e245a095b824a47882567f40b917",
        "keras",
        61_706,
        98.71,
        "zoo/pretrained/README.md",
        "Apache-2.0",
        input_shape=(32, 32, 1),
        resize=32,
        num_classes=10,
    ),
    _kernels("vgg16", "vgg16", "64373286793e3c8b2b4e3219cbf3544b", 138_357_544, 71.3, 90.1, "caffe", "CC-BY-4.0"),
    _kernels("vgg19", "vgg19", "cbe5617147190e668d6c5d5026f83318", 143_667_240, 71.3, 90.0, "caffe", "CC-BY-4.0"),
    _kernels("inception_v3", "inception_v3", "9a0d58056eeedaa3f26cb7ebd46da564", 23_851_784, 77.9, 93.7, "tf", size=299),
    _kernels("xception", "xception", "0a58e3b7378bc2990ea3b43d5981f1f6", 22_910_480, 79.0, 94.5, "tf", "MIT", size=299),
    _kernels("resnet", "resnet50", "2cb95161c43110f7111970584f804107", 25_636_712, 74.9, 92.1, "caffe", "MIT"),
    _kernels("resnet", "resnet101", "f1aeb4b969a6efcfb50fad2f0c20cfc5", 44_707_176, 76.4, 92.8, "caffe", "MIT"),
    _kernels("resnet", "resnet152", "100835be76be38e30d865e96f2aaae62", 60_419_944, 76.6, 93.1, "caffe", "MIT"),
    _kernels("resnet", "resnet50v2", "3ef43a0b657b3be2300d5770ece849e0", 25_613_800, 76.0, 93.0, "tf"),
    _kernels("resnet", "resnet101v2", "6343647c601c52e1368623803854d971", 44_675_560, 77.2, 93.8, "tf"),
    _kernels("resnet", "resnet152v2", "a49b44d1979771252814e80f8ec446f9", 60_380_648, 78.0, 94.2, "tf"),
    _kernels("densenet", "densenet121", "9d60b8095a5708f2dcce2bca79d332c7", 8_062_504, 75.0, 92.3, "torch", "BSD-3-Clause"),
    _kernels("densenet", "densenet169", "d699b8f76981ab1b30698df4c175e90b", 14_307_880, 76.2, 93.2, "torch", "BSD-3-Clause"),
    _kernels("densenet", "densenet201", "1ceb130c1ea1b78c3bf6114dbdfd8807", 20_242_984, 77.3, 93.6, "torch", "BSD-3-Clause"),
    *_mobilenets(),
    *_mobilenets_v2(),
    _mobilenet_v3("small", 1.0, "8768d4c2e7dee89b9d02b2d03d65d862", 2_554_968, 68.1),
    _mobilenet_v3("small", 0.75, "cb65d4e5be93758266aa0a7f2c6708b7", 2_051_552, 65.4),
    _mobilenet_v3("large", 1.0, "59e551e166be033d707958cf9e29a6a7", 5_507_432, 75.6),
    _mobilenet_v3("large", 0.75, "765b44a33ad4005b3ac83185abf1d0eb", 4_012_616, 73.3),
    _efficientnet(0, "902e53a9f72be733fc0bcb005b3ebbac", 5_330_564, 77.1, 93.3, 224),
    _efficientnet(1, "1d254153d4ab51201f1646940f018540", 7_856_232, 79.1, 94.4, 240),
    _efficientnet(2, "b15cce36ff4dcbd00b6dd88e7857a6ad", 9_177_562, 80.1, 94.9, 260),
    _efficientnet(3, "ffd1fdc53d0ce67064dc6a9c7960ede0", 12_320_528, 81.6, 95.7, 300),
    _efficientnet(4, "18c95ad55216b8f92d7e70b3a046e2fc", 19_466_816, 82.9, 96.4, 380),
    _efficientnet(5, "ace28f2a6363774853a83a0b21b9421a", 30_562_520, 83.6, 96.7, 456),
    _efficientnet(6, "165f6e37dce68623721b423839de8be5", 43_265_136, 84.0, 96.8, 528),
    _efficientnet(7, "8c03f828fec3ef71311cd463b6759d99", 66_658_680, 84.3, 97.0, 600),
    _efficientnet_v2("b0", "21ecbf6da12460d5c40bb2f29ceb2188", 7_200_312, 78.7, 94.3, 224),
    _efficientnet_v2("b1", "069f0534ff22adf035c89e2d9547a9dc", 8_212_124, 79.8, 95.0, 240),
    _efficientnet_v2("b2", "424e49f28180edbde1e94797771950a7", 10_178_374, 80.5, 95.1, 260),
    _efficientnet_v2("b3", "1f1fc43bd98a6e4fd8fdfd551e02c7a0", 14_467_622, 82.0, 95.8, 300),
    _efficientnet_v2("s", "e1d88a8495beba45748fedd0cecbe016", 21_612_360, 83.9, 96.7, 384),
    _efficientnet_v2("m", "a3bf6aa3276309f4fc6a34aa114c95cd", 54_431_388, 85.3, 97.4, 480),
    _efficientnet_v2("l", "27e6d408b53c7ebc868fefa357689935", 119_027_848, 85.7, 97.5, 480),
    _convnext("tiny", "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff", 28_589_128, 82.1),
    _convnext("small", "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c", 50_223_688, 83.1),
    # The larger ones saw ImageNet-22k first.
    _convnext("base", "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6", 88_591_464, 85.8),
    _convnext("large", "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6", 197_767_336, 86.6),
    _convnext("xlarge", "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee", 350_196_968, 87.0),
)
