"""How large activations are through the depth of a fresh network, ours and PyTorch's, on the same pictures.

Every row is a network, its reference, and the reference's modules whose outputs are our stages, in order; a stage that
PyTorch does not compute in a module has "". The logits come last.
"""

from typing import NamedTuple

import keras
import numpy as np
import pytest
from helpers import array
from parity import IMAGENET, cifar, torchvision
from PIL import Image, ImageOps

import zoo

SIZE = 128


class Reference(NamedTuple):
    """A network of PyTorch that has the same graph, or nearly, and its modules at our stages."""

    library: str  # "torchvision", "timm" or "tests"
    name: str
    modules: str
    options: dict = {}


# Our builder and variant: what it is compared with. The first of a family is its smallest.
REFERENCES = {
    ("alexnet", "torch"): Reference("torchvision", "alexnet", "features.2 features.5 features.12"),
    ("vgg11", "torch"): Reference("torchvision", "vgg11", "features.2 features.5 features.10 features.15 features.20"),
    ("vgg16", "keras"): Reference("torchvision", "vgg16", "features.4 features.9 features.16 features.23 features.30"),
    ("vgg11_bn", "torch"): Reference("torchvision", "vgg11_bn", "features.3 features.7 features.14 features.21 features.28"),
    ("squeezenet1_1", "torch"): Reference("torchvision", "squeezenet1_1", "features.4 features.7 features.12"),
    ("googlenet", "torch"): Reference(
        "torchvision", "googlenet", "conv3 inception3b inception4e inception5b", dict(init_weights=True, aux_logits=False)
    ),
    ("inception_v3", "keras"): Reference(
        "torchvision",
        "inception_v3",
        "Conv2d_4a_3x3 Mixed_5d Mixed_6e Mixed_7c",
        dict(init_weights=True, aux_logits=False),
    ),
    ("resnet20", "torch"): Reference("tests", "cifar", "layer1 layer2 layer3"),
    ("resnet18", "torch"): Reference("torchvision", "resnet18", "layer1 layer2 layer3 layer4"),
    ("resnet50", "keras"): Reference("torchvision", "resnet50", "layer1 layer2 layer3 layer4"),
    ("resnet50v2", "keras"): Reference("timm", "resnetv2_50", "stages.0 stages.1 stages.2 norm", dict(zero_init_last=False)),
    ("densenet121", "keras"): Reference(
        "torchvision", "densenet121", "features.denseblock1 features.denseblock2 features.denseblock3 "
    ),
    ("xception", "keras"): Reference("timm", "legacy_xception", "act2 block1 block2 block11 act4"),
    ("regnet_y_400mf", "torch"): Reference(
        "torchvision", "regnet_y_400mf", "trunk_output.block1 trunk_output.block2 trunk_output.block3 trunk_output.block4"
    ),
    ("regnet_x_400mf", "torch"): Reference(
        "torchvision", "regnet_x_400mf", "trunk_output.block1 trunk_output.block2 trunk_output.block3 trunk_output.block4"
    ),
    ("mobilenet", "keras"): Reference("timm", "mobilenetv1_100", "blocks.0 blocks.1 blocks.2 blocks.3 blocks.4"),
    ("mobilenet_v2", "keras"): Reference(
        "torchvision", "mobilenet_v2", "features.1 features.3 features.6 features.13 features.18"
    ),
    ("mobilenet_v3_small", "keras"): Reference(
        "torchvision", "mobilenet_v3_small", "features.0 features.1 features.3 features.8 features.12"
    ),
    ("mobilenet_v4_conv_small", "timm"): Reference("timm", "mobilenetv4_conv_small", "bn1 blocks.0 blocks.1 blocks.2 blocks.4"),
    ("efficientnet_b0", "keras"): Reference("timm", "efficientnet_b0", "blocks.0 blocks.1 blocks.2 blocks.4 bn2"),
    ("efficientnet_b0", "torch"): Reference(
        "torchvision", "efficientnet_b0", "features.1 features.2 features.3 features.5 features.8"
    ),
    ("efficientnet_lite0", "keras"): Reference("timm", "tf_efficientnet_lite0", "blocks.0 blocks.1 blocks.2 blocks.4 bn2"),
    ("efficientnet_v2_b0", "keras"): Reference("timm", "tf_efficientnetv2_b0", "blocks.0 blocks.1 blocks.2 blocks.4 bn2"),
    ("efficientnet_v2_s", "torch"): Reference(
        "torchvision", "efficientnet_v2_s", "features.1 features.2 features.3 features.5 features.7"
    ),
    ("convnext_tiny", "keras"): Reference("torchvision", "convnext_tiny", "features.1 features.3 features.5 features.7"),
    ("convnext_atto", "timm"): Reference("timm", "convnext_atto", "stages.0 stages.1 stages.2 stages.3"),
    ("convnext_v2_atto", "timm"): Reference("timm", "convnextv2_atto", "stages.0 stages.1 stages.2 stages.3"),
    ("swin_tiny", "torch"): Reference("torchvision", "swin_t", "features.1 features.3 features.5 features.7"),
    ("hgnetv2_b0", "timm"): Reference("timm", "hgnetv2_b0", "stages.0 stages.1 stages.2 stages.3"),
    ("tiny_vit_5m", "timm"): Reference("timm", "tiny_vit_5m_224", "stages.0 stages.1 stages.2 stages.3"),
    ("vit_ti_16", "timm"): Reference(
        "timm", "vit_tiny_patch16_224", "blocks.2 blocks.5 blocks.8 blocks.11", dict(img_size=SIZE)
    ),
    ("vit_b_32", "torch"): Reference(
        "torchvision", "vit_b_32", " ".join(f"encoder.layers.encoder_layer_{i}" for i in (2, 5, 8, 11)), dict(image_size=SIZE)
    ),
}
DROP_PATH = ("efficientnet", "mobilenet_v4", "convnext", "vit", "deit3", "dinov2", "swin", "hgnetv2", "tiny_vit")


def ours(name, variant, pictures, seed):
    """Standard deviations of a fresh network of the zoo at each stage and of its logits: a row in use, a row in training."""
    keras.utils.set_random_seed(seed)
    options = {"drop_path_rate": 0.0} if name.startswith(DROP_PATH) else {}
    shape = pictures.shape[1:]
    model = zoo.get_model(
        name, variant=variant, preprocessing="torch", activation=None, num_classes=1000, input_shape=shape, **options
    )
    stages = [stage for stage in zoo.stages(model) if stage != "pre_logits"]
    model = keras.Model(model.input, [*zoo.features(model, stages).outputs, model.output])
    return [[np.std(array(x), dtype=float) for x in model(pictures, training=training)] for training in (False, True)]


def theirs(reference, pictures, seed):
    """Compute the same of the reference, without dropout and stochastic depth; NaN where no module gives a stage."""
    torchvision()
    import torch

    torch.manual_seed(seed)
    model, found = _fresh(reference), {}
    for module in model.modules():
        for rate in ("p", "drop_prob", "drop_rate"):
            if isinstance(getattr(module, rate, None), float):
                setattr(module, rate, 0.0)
    for name in reference.modules.split():
        model.get_submodule(name).register_forward_hook(lambda _, __, x, name=name: found.__setitem__(name, x.std().item()))
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in IMAGENET)
    x, rows = (torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255 - mean) / std, []
    with torch.no_grad():
        for training in (False, True):
            logits = model.train(training)(x)
            rows.append([*(found.get(name, np.nan) for name in reference.modules.split(" ")), logits.std().item()])
    return rows


def ratios(name, variant, pictures, seeds):
    """Ours / theirs, `(2, stages + 1)`: in use and in training, each of the means over the seeds, between which nets differ."""
    found = np.mean([ours(name, variant, pictures, seed) for seed in range(seeds)], axis=0)
    return found / np.mean([theirs(REFERENCES[name, variant], pictures, seed) for seed in range(seeds)], axis=0)


def _fresh(reference):
    if reference.library == "tests":  # github.com/akamaster/pytorch_resnet_cifar10 begins so
        import torch

        model = cifar(3, classes=1000)
        for weight in model.parameters():
            if weight.ndim > 1:
                torch.nn.init.kaiming_normal_(weight)
        return model
    if reference.library == "timm":
        timm = pytest.importorskip("timm", reason="timm is not installed: its networks cannot be compared")
        return timm.create_model(reference.name, pretrained=False, **reference.options)
    return torchvision().models.get_model(reference.name, weights=None, **reference.options)


def read_pictures(folder, count):
    """The first so many photographs of every sixtieth of the folder, `(count, SIZE, SIZE, 3)`, as bytes."""
    files = sorted(folder.glob("*.jpg"))[::60][:count]
    return np.stack([np.asarray(ImageOps.fit(Image.open(file).convert("RGB"), (SIZE, SIZE))) for file in files])
