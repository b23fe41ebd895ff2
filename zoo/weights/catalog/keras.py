"""The ImageNet weights of keras.applications, as published with Keras, and the zoo's own."""

from zoo.weights.catalog.entry import Entry

ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications"
SOURCE = "keras.io/api/applications"


def _keras(model, file, hash, parameters, top1, license, tag="imagenet", **more) -> Entry:
    return Entry(model, tag, f"{ADDRESS}/{file}", hash, "keras", parameters, top1, SOURCE, license, **more)


def _mobilenets() -> list[Entry]:
    """keras.applications publishes one file a width and input size, without hashes."""
    widths = {0.25: ("2_5", 475_544), 0.5: ("5_0", 1_342_536), 0.75: ("7_5", 2_601_976), 1.0: ("1_0", 4_253_864)}
    top1 = {1.0: 70.4}
    return [
        _keras("mobilenet", f"mobilenet/mobilenet_{text}_{size}_tf.h5", "none", parameters,
               top1.get(alpha) if size == 224 else None, "Apache-2.0", options={"alpha": alpha}, **_size(size))
        for size in (224, 192, 160, 128) for alpha, (text, parameters) in widths.items()
    ]  # fmt: skip


def _mobilenets_v2() -> list[Entry]:
    widths = {0.35: 1_691_208, 0.5: 1_987_224, 0.75: 2_663_064, 1.0: 3_538_984, 1.3: 5_431_048, 1.4: 6_156_712}
    name = "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{}_{}.h5"
    return [
        _keras("mobilenet_v2", name.format(alpha, size), "none", parameters,
               71.3 if (alpha, size) == (1.0, 224) else None, "Apache-2.0", options={"alpha": alpha}, **_size(size))
        for size in (224, 192, 160, 128, 96) for alpha, parameters in widths.items()
        if size == 224 or alpha <= 1.0
    ]  # fmt: skip


def _size(size: int) -> dict:
    """Input of `size` pixels with the usual crop of 7/8, and the tag that says so where it is not 224."""
    tag = {} if size == 224 else {"tag": f"imagenet_{size}"}
    return dict(input_shape=(size, size, 3), resize=round(size * 256 / 224), **tag)


ENTRIES = (
    Entry("lenet5", "mnist", "lenet5_mnist.safetensors",
          "sha256:1c0d41fa25e67b6ebfffc4f4360647ba9b31e245a095b824a47882567f40b917", "keras", 61_706, 98.71,
          "zoo/pretrained/README.md", "Apache-2.0", input_shape=(32, 32, 1), resize=32, num_classes=10),
    _keras("vgg16", "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5", "md5:64373286793e3c8b2b4e3219cbf3544b",
           138_357_544, 71.3, "CC-BY-4.0"),
    _keras("resnet50", "resnet/resnet50_weights_tf_dim_ordering_tf_kernels.h5", "md5:2cb95161c43110f7111970584f804107",
           25_636_712, 74.9, "MIT"),
    *_mobilenets(),
    *_mobilenets_v2(),
)  # fmt: skip
