"""VGG: Simonyan & Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition", arXiv:1409.1556.

Only 3 × 3 convolutions, table 1 of the paper:

    stage          1         2         3         4         5
    filters       64       128       256       512       512      then 2 × 2 max pooling
    A (VGG-11)     1         1         2         2         2      convolutions
    B (VGG-13)     2         2         2         2         2      convolutions
    D (VGG-16)     2         2         3         3         3      convolutions
    E (VGG-19)     2         2         4         4         4      convolutions
    dense 4096, 4096, 1000

Torchvision also has each with a batch norm after every convolution, which the paper, a year older, does not know. The graph
of keras.applications and torchvision is the same, with another preprocessing. At another size than 224 pixels the last
feature map is averaged to 7 × 7, as torchvision does, so that the pretrained dense layers fit.

Section 3.1 has dropout of 0.5 behind both hidden dense layers: `dropout=0.5`. Fresh weights are torchvision's: He et al.'s by
fan-out, and N(0, 0.01²) in dense layers. The paper's N(0, 0.01²) everywhere does not train the deeper ones from scratch.

    builder   variant   parameters  of which statistics   px  weights
    vgg11     torch    132,863,336                    0  224  imagenet_torchvision
    vgg13     torch    133,047,848                    0  224  imagenet_torchvision
    vgg16     keras    138,357,544                    0  224  imagenet
    vgg16     torch    138,357,544                    0  224  imagenet_torchvision
    vgg19     keras    143,667,240                    0  224  imagenet
    vgg19     torch    143,667,240                    0  224  imagenet_torchvision
    vgg11_bn  torch    132,874,344                5,504  224  imagenet_torchvision
    vgg13_bn  torch    133,059,624                5,888  224  imagenet_torchvision
    vgg16_bn  torch    138,374,440                8,448  224  imagenet_torchvision
    vgg19_bn  torch    143,689,256               11,008  224  imagenet_torchvision
"""

from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build, documented
from zoo.initializers import HE_FAN_OUT, normal
from zoo.layers import adaptive_average, classifier, conv_bn, drop, stage
from zoo.weights.names import vgg as names

DENSE = dict(kernel_initializer=normal(0.01))
HEAD = dict(
    head=partial(classifier, **DENSE),
    notes="dropout=0.5 is the paper's: it acts behind each of the two hidden dense layers.",
)
VGG = Family({"keras": "caffe", "torch": "torch"}, **HEAD)
VGG_TORCH = Family({"torch": "torch"}, **HEAD)  # what keras.applications lacks

# The paper's configurations: the number of convolutions in each stage.
A = (1, 1, 2, 2, 2)
B = (2, 2, 2, 2, 2)
D = (2, 2, 3, 3, 3)
E = (2, 2, 4, 4, 4)


@documented(VGG_TORCH)
def vgg11(**options: Unpack[Options]) -> keras.Model:
    """Build VGG-11, configuration A of Simonyan & Zisserman 2014 (arXiv:1409.1556), table 1."""
    return _vgg("vgg11", VGG_TORCH, depths=A, batch_norm=False, options=options)


@documented(VGG_TORCH)
def vgg13(**options: Unpack[Options]) -> keras.Model:
    """Build VGG-13, configuration B of Simonyan & Zisserman 2014 (arXiv:1409.1556), table 1."""
    return _vgg("vgg13", VGG_TORCH, depths=B, batch_norm=False, options=options)


@documented(VGG)
def vgg16(**options: Unpack[Options]) -> keras.Model:
    """Build VGG-16, configuration D of Simonyan & Zisserman 2014 (arXiv:1409.1556), table 1."""
    return _vgg("vgg16", VGG, depths=D, batch_norm=False, options=options)


@documented(VGG)
def vgg19(**options: Unpack[Options]) -> keras.Model:
    """Build VGG-19, configuration E of Simonyan & Zisserman 2014 (arXiv:1409.1556), table 1."""
    return _vgg("vgg19", VGG, depths=E, batch_norm=False, options=options)


@documented(VGG_TORCH)
def vgg11_bn(**options: Unpack[Options]) -> keras.Model:
    """Build VGG-11 of Simonyan & Zisserman 2014 (arXiv:1409.1556) with torchvision's batch norm."""
    return _vgg("vgg11_bn", VGG_TORCH, depths=A, batch_norm=True, options=options)


@documented(VGG_TORCH)
def vgg13_bn(**options: Unpack[Options]) -> keras.Model:
    """Build VGG-13 of Simonyan & Zisserman 2014 (arXiv:1409.1556) with torchvision's batch norm."""
    return _vgg("vgg13_bn", VGG_TORCH, depths=B, batch_norm=True, options=options)


@documented(VGG_TORCH)
def vgg16_bn(**options: Unpack[Options]) -> keras.Model:
    """Build VGG-16 of Simonyan & Zisserman 2014 (arXiv:1409.1556) with torchvision's batch norm."""
    return _vgg("vgg16_bn", VGG_TORCH, depths=D, batch_norm=True, options=options)


@documented(VGG_TORCH)
def vgg19_bn(**options: Unpack[Options]) -> keras.Model:
    """Build VGG-19 of Simonyan & Zisserman 2014 (arXiv:1409.1556) with torchvision's batch norm."""
    return _vgg("vgg19_bn", VGG_TORCH, depths=E, batch_norm=True, options=options)


def _vgg(name: str, family: Family, depths: tuple[int, ...], batch_norm: bool, options: Options) -> keras.Model:
    body = partial(_body, depths=depths, batch_norm=batch_norm, dropout=options.get("dropout", 0.0))
    return build(name, body, family, torch_names={"torch": names.torchvision(depths, batch_norm)}, **options)


def _body(x: keras.KerasTensor, variant: str, depths: tuple[int, ...], batch_norm: bool, dropout: float) -> keras.KerasTensor:
    for i, (depth, filters) in enumerate(zip(depths, (64, 128, 256, 512, 512), strict=True), start=1):
        for j in range(1, depth + 1):
            x = _conv(x, filters, batch_norm, f"block{i}_conv{j}")
        x = stage(layers.MaxPooling2D(2, name=f"block{i}_pool")(x), f"stage{i}")
    if x.shape[1:3] != (7, 7):
        x = adaptive_average(x, 7)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(4096, activation="relu", name="fc1", **DENSE)(x)
    x = drop(x, dropout, name="fc1_dropout")
    x = layers.Dense(4096, activation="relu", name="fc2", **DENSE)(x)
    return stage(x, "pre_logits")


def _conv(x: keras.KerasTensor, filters: int, batch_norm: bool, name: str) -> keras.KerasTensor:
    more = dict(kernel_initializer=HE_FAN_OUT)
    if not batch_norm:
        return layers.Conv2D(filters, 3, padding="same", activation="relu", name=name, **more)(x)
    parts = (name, f"{name}_bn", f"{name}_relu")
    return conv_bn(x, filters, 3, names=parts, use_bias=True, epsilon=1e-5, momentum=0.9, **more)
