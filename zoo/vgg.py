"""VGG: Simonyan & Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition", arXiv:1409.1556.

Only 3 × 3 convolutions, table 1 of the paper:

    stage          1         2         3         4         5
    filters       64       128       256       512       512      then 2 × 2 max pooling
    D (VGG-16)     2         2         3         3         3      convolutions
    dense 4096, 4096, 1000
"""

from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build
from zoo.layers import stage
from zoo.weights.names import vgg as names

VGG = Family({"keras": "caffe", "torch": "torch"})


def vgg16(**options: Unpack[Options]) -> keras.Model:
    """VGG-16, configuration D of Simonyan & Zisserman 2014 (arXiv:1409.1556), table 1: 138,357,544 parameters.

    Input `(batch, 224, 224, 3)`, RGB in 0..255. At other sizes the last feature map is averaged to 7 × 7, as torchvision
    does, so that the pretrained dense layers fit. See `zoo.builder.Options`; weights: "imagenet" (keras.applications),
    "imagenet_torchvision"; both have the same graph and differ in preprocessing.
    """
    blocks = (2, 2, 3, 3, 3)
    return build("vgg16", partial(_body, blocks=blocks), VGG, torch_names={"torch": names.torchvision(blocks)}, **options)


def _body(x: keras.KerasTensor, variant: str, blocks: tuple[int, ...]) -> keras.KerasTensor:
    for i, (convolutions, filters) in enumerate(zip(blocks, (64, 128, 256, 512, 512), strict=True), start=1):
        for j in range(1, convolutions + 1):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{i}_conv{j}")(x)
        x = stage(layers.MaxPooling2D(2, name=f"block{i}_pool")(x), f"stage{i}")
    if x.shape[1:3] != (7, 7):
        x = layers.AdaptiveAveragePooling2D(7, name="adaptive_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(4096, activation="relu", name="fc1")(x)
    x = layers.Dense(4096, activation="relu", name="fc2")(x)
    return stage(x, "pre_logits")
