"""The CIFAR-10 weights of github.com/akamaster/pytorch_resnet_cifar10, on the networks of He et al. 2015, section 4.2."""

from zoo.weights.catalog.entry import Entry

REPOSITORY = "github.com/akamaster/pytorch_resnet_cifar10"


def _cifar(model: str, file: str, parameters: int, error: float) -> Entry:
    digest = file.rpartition("-")[2].partition(".")[0]
    return Entry(
        model,
        "cifar10",
        f"https://{REPOSITORY}/raw/master/pretrained_models/{file}",
        f"sha256-prefix:{digest}",
        "torch",
        parameters,
        round(100 - error, 2),
        REPOSITORY,
        "BSD-2-Clause",
        input_shape=(32, 32, 3),
        resize=32,
        num_classes=10,
    )


ENTRIES = (
    _cifar("resnet20", "resnet20-12fca82f.th", 271_098, 8.27),
    _cifar("resnet32", "resnet32-d509ac18.th", 466_426, 7.37),
    _cifar("resnet44", "resnet44-014dd654.th", 661_754, 6.90),
    _cifar("resnet56", "resnet56-4bfd9763.th", 857_082, 6.61),
    _cifar("resnet110", "resnet110-1d1ed7c2.th", 1_736_058, 6.32),
)
