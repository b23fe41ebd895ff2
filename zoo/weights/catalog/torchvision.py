"""The ImageNet weights of torchvision."""

from zoo.weights.catalog.entry import Entry

ADDRESS = "https://download.pytorch.org/models"
SOURCE = "pytorch.org/vision/stable/models"


def _torch(model, file, parameters, top1, tag="imagenet_torchvision", **more) -> Entry:
    digest = file.rpartition("-")[2].partition(".")[0]
    return Entry(model, tag, f"{ADDRESS}/{file}", f"sha256-prefix:{digest}", "torch", parameters, top1, SOURCE,
                 "BSD-3-Clause", **more)  # fmt: skip


ENTRIES = (
    _torch("vgg16", "vgg16-397923af.pth", 138_357_544, 71.592),
    _torch("resnet50", "resnet50-0676ba61.pth", 25_610_152, 76.13),
    _torch("resnet50", "resnet50-11ad3fa6.pth", 25_610_152, 80.858, tag="imagenet_torchvision_v2", resize=232),
    _torch("mobilenet_v2", "mobilenet_v2-b0353104.pth", 3_538_984, 71.878),
    _torch("mobilenet_v2", "mobilenet_v2-7ebf99e0.pth", 3_538_984, 72.154, tag="imagenet_torchvision_v2", resize=232),
)
