"""DenseNet: Huang, Liu, van der Maaten, Weinberger 2016, "Densely Connected Convolutional Networks", arXiv:1608.06993.

Table 1 of the paper. Each layer of a dense block, a 1 × 1 and a 3 × 3 convolution, adds k feature maps (the growth rate)
to those that it sees; a transition halves their number and the resolution:

    stage           1    2    3    4     k    channels
    DenseNet-121    6   12   24   16    32    64 before the first block, 1024 after the last
    DenseNet-161    6   12   36   24    48    96, 2208
    DenseNet-169    6   12   32   32    32    64, 1664
    DenseNet-201    6   12   48   32    32    64, 1920

keras.applications and torchvision have the same graph, but for epsilon. Fresh weights are He et al.'s by fan-in, as the
paper and torchvision have them.

    builder      variant  parameters  of which statistics   px  weights
    densenet121  keras     8,062,504               83,648  224  imagenet
    densenet121  torch     8,062,504               83,648  224  imagenet_torchvision, imagenet_timm_ra
    densenet161  torch    28,900,936              219,936  224  imagenet_torchvision
    densenet169  keras    14,307,880              158,400  224  imagenet
    densenet169  torch    14,307,880              158,400  224  imagenet_torchvision
    densenet201  keras    20,242,984              229,056  224  imagenet
    densenet201  torch    20,242,984              229,056  224  imagenet_torchvision
"""

from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build, documented
from zoo.initializers import HE_FAN_IN, TORCH_DEFAULT
from zoo.layers import classifier, conv_bn, norm, pad_like_torch, stage
from zoo.weights.names import densenet as names

HEAD = partial(classifier, kernel_initializer=TORCH_DEFAULT)
DENSENET = Family({"keras": "torch", "torch": "torch"}, keras_names=names.first_keras, head=HEAD)
DENSENET_TORCH = Family({"torch": "torch"}, head=HEAD)  # what keras.applications lacks

KERNELS = dict(kernel_initializer=HE_FAN_IN)

# How the norms of a variant differ.
STYLES = {"keras": dict(epsilon=1.001e-5), "torch": dict(epsilon=1e-5, momentum=0.9)}


@documented(DENSENET)
def densenet121(**options: Unpack[Options]) -> keras.Model:
    """Build DenseNet-121 of Huang et al. 2016 (arXiv:1608.06993), table 1."""
    return _densenet("densenet121", DENSENET, depths=(6, 12, 24, 16), growth=32, options=options)


@documented(DENSENET_TORCH)
def densenet161(**options: Unpack[Options]) -> keras.Model:
    """Build DenseNet-161 of Huang et al. 2016 (arXiv:1608.06993), k = 48."""
    return _densenet("densenet161", DENSENET_TORCH, depths=(6, 12, 36, 24), growth=48, options=options)


@documented(DENSENET)
def densenet169(**options: Unpack[Options]) -> keras.Model:
    """Build DenseNet-169 of Huang et al. 2016 (arXiv:1608.06993), table 1."""
    return _densenet("densenet169", DENSENET, depths=(6, 12, 32, 32), growth=32, options=options)


@documented(DENSENET)
def densenet201(**options: Unpack[Options]) -> keras.Model:
    """Build DenseNet-201 of Huang et al. 2016 (arXiv:1608.06993), table 1."""
    return _densenet("densenet201", DENSENET, depths=(6, 12, 48, 32), growth=32, options=options)


def _densenet(name: str, family: Family, depths: tuple[int, ...], growth: int, options: Options) -> keras.Model:
    body = partial(_body, depths=depths, growth=growth)
    return build(name, body, family, torch_names={"torch": names.torchvision}, **options)


def _body(x: keras.KerasTensor, variant: str, depths: tuple[int, ...], growth: int) -> keras.KerasTensor:
    style = STYLES[variant]
    x = pad_like_torch(x, 7, name="conv1_pad")
    parts = ("conv1_conv", "conv1_bn", "conv1_relu")
    x = conv_bn(x, 2 * growth, 7, 2, names=parts, padding="valid", **KERNELS, **style)
    x = pad_like_torch(x, 3, name="pool1_pad")
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    for i, depth in enumerate(depths, start=1):
        for j in range(1, depth + 1):
            x = _layer(x, growth, style, f"conv{i + 1}_block{j}")
        if i < len(depths):
            x = _transition(stage(x, f"stage{i}"), style, f"pool{i + 1}")
    x = stage(norm(x, names=("bn", "relu"), **style), f"stage{len(depths)}")
    return stage(layers.GlobalAveragePooling2D(name="avg_pool")(x), "pre_logits")


def _layer(x: keras.KerasTensor, growth: int, style: dict, name: str) -> keras.KerasTensor:
    y = norm(x, names=(f"{name}_0_bn", f"{name}_0_relu"), **style)
    y = conv_bn(y, 4 * growth, 1, names=(f"{name}_1_conv", f"{name}_1_bn", f"{name}_1_relu"), **KERNELS, **style)
    y = layers.Conv2D(growth, 3, padding="same", use_bias=False, name=f"{name}_2_conv", **KERNELS)(y)
    return layers.Concatenate(name=f"{name}_concat")([x, y])


def _transition(x: keras.KerasTensor, style: dict, name: str) -> keras.KerasTensor:
    y = norm(x, names=(f"{name}_bn", f"{name}_relu"), **style)
    y = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False, name=f"{name}_conv", **KERNELS)(y)
    return layers.AveragePooling2D(2, name=f"{name}_pool")(y)
