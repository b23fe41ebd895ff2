"""VGG: Simonyan & Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition", arXiv:1409.1556.

Only 3 × 3 convolutions, table 1 of the paper:

    stage          1         2         3         4         5
    filters       64       128       256       512       512      then 2 × 2 max pooling
    A (VGG-11)     1         1         2         2         2      convolutions
    B (VGG-13)     2         2         2         2         2      convolutions
    D (VGG-16)     2         2         3         3         3      convolutions
    E (VGG-19)     2         2         4         4         4      convolutions
    dense 4096, 4096, 1000

Torchvision also has each with a batch norm after every convolution, which the paper, a year older, does not know.
"""

from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build
from zoo.layers import adaptive_average, conv_bn, stage
from zoo.weights.names import vgg as names

VGG = Family({"keras": "caffe", "torch": "torch"})
VGG_TORCH = Family({"torch": "torch"})  # those that keras.applications lacks

A, B, D, E = (1, 1, 2, 2, 2), (2, 2, 2, 2, 2), (2, 2, 3, 3, 3), (2, 2, 4, 4, 4)


def vgg11(**options: Unpack[Options]) -> keras.Model:
    """VGG-11, configuration A of Simonyan & Zisserman 2014 (arXiv:1409.1556), table 1: 132,863,336 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up as in `vgg16`, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision".
    """
    return _vgg("vgg11", VGG_TORCH, A, False, options)


def vgg13(**options: Unpack[Options]) -> keras.Model:
    """VGG-13, configuration B of Simonyan & Zisserman 2014 (arXiv:1409.1556), table 1: 133,047,848 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up as in `vgg16`, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision".
    """
    return _vgg("vgg13", VGG_TORCH, B, False, options)


def vgg16(**options: Unpack[Options]) -> keras.Model:
    """VGG-16, configuration D of Simonyan & Zisserman 2014 (arXiv:1409.1556), table 1: 138,357,544 parameters.

    Input `(batch, 224, 224, 3)`, RGB in 0..255. At other sizes, from 32 up, the last feature map is averaged to 7 × 7,
    as torchvision does, so that the pretrained dense layers fit. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision"; both have the same graph and differ in preprocessing.
    """
    return _vgg("vgg16", VGG, D, False, options)


def vgg19(**options: Unpack[Options]) -> keras.Model:
    """VGG-19, configuration E of Simonyan & Zisserman 2014 (arXiv:1409.1556), table 1: 143,667,240 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up as in `vgg16`, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet" (keras.applications), "imagenet_torchvision".
    """
    return _vgg("vgg19", VGG, E, False, options)


def vgg11_bn(**options: Unpack[Options]) -> keras.Model:
    """VGG-11 of Simonyan & Zisserman 2014 (arXiv:1409.1556) with batch norm: 132,868,840 parameters, 5,504 statistics.

    Input `(batch, 224, 224, 3)`, or any size from 32 up as in `vgg16`, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision".
    """
    return _vgg("vgg11_bn", VGG_TORCH, A, True, options)


def vgg13_bn(**options: Unpack[Options]) -> keras.Model:
    """VGG-13 of Simonyan & Zisserman 2014 (arXiv:1409.1556) with batch norm: 133,053,736 parameters, 5,888 statistics.

    Input `(batch, 224, 224, 3)`, or any size from 32 up as in `vgg16`, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision".
    """
    return _vgg("vgg13_bn", VGG_TORCH, B, True, options)


def vgg16_bn(**options: Unpack[Options]) -> keras.Model:
    """VGG-16 of Simonyan & Zisserman 2014 (arXiv:1409.1556) with batch norm: 138,365,992 parameters, 8,448 statistics.

    Input `(batch, 224, 224, 3)`, or any size from 32 up as in `vgg16`, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision".
    """
    return _vgg("vgg16_bn", VGG_TORCH, D, True, options)


def vgg19_bn(**options: Unpack[Options]) -> keras.Model:
    """VGG-19 of Simonyan & Zisserman 2014 (arXiv:1409.1556) with batch norm: 143,678,248 parameters, 11,008 statistics.

    Input `(batch, 224, 224, 3)`, or any size from 32 up as in `vgg16`, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision".
    """
    return _vgg("vgg19_bn", VGG_TORCH, E, True, options)


def _vgg(name: str, family: Family, blocks: tuple[int, ...], batch_norm: bool, options: Options) -> keras.Model:
    body = partial(_body, blocks=blocks, batch_norm=batch_norm)
    return build(name, body, family, torch_names={"torch": names.torchvision(blocks, batch_norm)}, **options)


def _body(x: keras.KerasTensor, variant: str, blocks: tuple[int, ...], batch_norm: bool) -> keras.KerasTensor:
    for i, (convolutions, filters) in enumerate(zip(blocks, (64, 128, 256, 512, 512), strict=True), start=1):
        for j in range(1, convolutions + 1):
            x = _conv(x, filters, batch_norm, f"block{i}_conv{j}")
        x = stage(layers.MaxPooling2D(2, name=f"block{i}_pool")(x), f"stage{i}")
    if x.shape[1:3] != (7, 7):
        x = adaptive_average(x, 7)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(4096, activation="relu", name="fc1")(x)
    x = layers.Dense(4096, activation="relu", name="fc2")(x)
    return stage(x, "pre_logits")


def _conv(x: keras.KerasTensor, filters: int, batch_norm: bool, name: str) -> keras.KerasTensor:
    if not batch_norm:
        return layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)
    parts = (name, f"{name}_bn", f"{name}_relu")
    return conv_bn(x, filters, 3, names=parts, use_bias=True, epsilon=1e-5, momentum=0.9)
