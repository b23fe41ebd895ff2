"""Every set of published weights that the zoo knows, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
TORCH = "https://download.pytorch.org/models"
KERAS_DOCS = "keras.io/api/applications"
TORCH_DOCS = "pytorch.org/vision/stable/models"


@dataclass(frozen=True)
class Entry:
    """One file of weights and all that belongs to it.

    `hash` is as its publisher gives it: "sha256:…" whole, "sha256-prefix:…" (torchvision puts eight digits into the file
    name), "md5:…" (keras.applications), or "none" where nothing was published; then the digest of the first download is
    kept and checked from there on.
    """

    model: str
    tag: str
    url: str  # a bare file name is a file in zoo/pretrained
    hash: str
    variant: str  # which graph: "keras" or "torch"
    parameters: int  # of the whole model, moving statistics included where Keras counts them
    top1: float | None  # published, single crop
    source: str  # who published that number
    license: str
    input_shape: tuple[int, int, int] = (224, 224, 3)
    resize: int = 256  # short side before the centre crop
    num_classes: int = 1000
    options: Mapping[str, float] = field(default_factory=dict)  # builder arguments that the file is for


def _keras(model, file, hash, parameters, top1, license, tag="imagenet", **more) -> Entry:
    return Entry(model, tag, f"{KERAS}/{file}", hash, "keras", parameters, top1, KERAS_DOCS, license, **more)


def _torch(model, file, parameters, top1, tag="imagenet_torchvision", **more) -> Entry:
    digest = file.rpartition("-")[2].partition(".")[0]
    return Entry(model, tag, f"{TORCH}/{file}", f"sha256-prefix:{digest}", "torch", parameters, top1, TORCH_DOCS,
                 "BSD-3-Clause", **more)  # fmt: skip


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
          "sha256:1c0d41fa25e67b6ebfffc4f4360647ba9b31e245a095b824a47882567f40b917", "keras", 61_706, 98.71, "zoo/pretrained/README.md",
          "Apache-2.0", input_shape=(32, 32, 1), resize=32, num_classes=10),
    _keras("vgg16", "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5", "md5:64373286793e3c8b2b4e3219cbf3544b",
           138_357_544, 71.3, "CC-BY-4.0"),
    _torch("vgg16", "vgg16-397923af.pth", 138_357_544, 71.592),
    _keras("resnet50", "resnet/resnet50_weights_tf_dim_ordering_tf_kernels.h5", "md5:2cb95161c43110f7111970584f804107",
           25_636_712, 74.9, "MIT"),
    _torch("resnet50", "resnet50-0676ba61.pth", 25_610_152, 76.13),
    _torch("resnet50", "resnet50-11ad3fa6.pth", 25_610_152, 80.858, tag="imagenet_torchvision_v2", resize=232),
    *_mobilenets(),
    *_mobilenets_v2(),
    _torch("mobilenet_v2", "mobilenet_v2-b0353104.pth", 3_538_984, 71.878),
    _torch("mobilenet_v2", "mobilenet_v2-7ebf99e0.pth", 3_538_984, 72.154, tag="imagenet_torchvision_v2", resize=232),
)  # fmt: skip


def entries(model: str) -> list[Entry]:
    """All entries of a model, the default first."""
    return [entry for entry in ENTRIES if entry.model == model]


def find(model: str, tag: str, options: Mapping[str, object]) -> Entry | None:
    """The model's entry of that tag whose options equal those given; None if there is none."""
    for entry in entries(model):
        if entry.tag == tag and all(options.get(key, 1.0) == value for key, value in entry.options.items()):
            return entry
    return None
