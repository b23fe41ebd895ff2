"""SqueezeNet: Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
arXiv:1602.07360.

A fire module squeezes with 1 × 1 convolutions, then expands with 1 × 1 and 3 × 3 ones side by side. Table 1 of the paper
(1.0), and the authors' cheaper 1.1, which pools earlier; /2 is a 3 × 3 max pooling of stride 2:

    stage              1                     2                                    3
    squeeze            16   16   32          32   48   48   64                    64
    expand, each       64   64  128         128  192  192  256                   256
    1.0: conv 7 × 7, 96 /2 fire2, 3, 4   /2 fire5, 6, 7, 8                     /2 fire9
    1.1: conv 3 × 3, 64 /2 fire2, 3      /2 fire4, 5                           /2 fire6, 7, 8, 9
    then a 1 × 1 convolution to the classes with a ReLU, whose average is the answer
"""

from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build
from zoo.layers import CLASSIFIER, max_pool_ceil, stage
from zoo.weights.names import squeezenet as names

# Squeezing filters of fire2 to fire9; each of the two expansions has four times as many.
SQUEEZE = (16, 16, 32, 32, 48, 48, 64, 64)


def squeezenet1_0(**options: Unpack[Options]) -> keras.Model:
    """SqueezeNet 1.0 of Iandola et al. 2016 (arXiv:1602.07360), table 1: 1,248,424 parameters.

    Its classifier is a convolution: "pre_logits" is a feature map, averaged where `num_classes=0` or `new_head` ends it.
    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision".
    """
    return build(
        "squeezenet1_0",
        partial(_body, stem=(96, 7), depths=(3, 4, 1)),
        SQUEEZENET,
        torch_names={"torch": names.torchvision((4, 8))},
        **options,
    )


def squeezenet1_1(**options: Unpack[Options]) -> keras.Model:
    """SqueezeNet 1.1, by the authors of Iandola et al. 2016 (arXiv:1602.07360): as accurate as 1.0 for 2.4 times less
    computation; 1,235,496 parameters.

    Its classifier is a convolution: "pre_logits" is a feature map, averaged where `num_classes=0` or `new_head` ends it.
    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision".
    """
    return build(
        "squeezenet1_1",
        partial(_body, stem=(64, 3), depths=(2, 2, 4)),
        SQUEEZENET,
        torch_names={"torch": names.torchvision((3, 5))},
        **options,
    )


def _body(x: keras.KerasTensor, variant: str, stem: tuple[int, int], depths: tuple[int, ...]) -> keras.KerasTensor:
    x = layers.Conv2D(*stem, 2, activation="relu", name="conv1")(x)
    block = 2
    for i, depth in enumerate(depths, start=1):
        x = max_pool_ceil(x, name=f"pool{block - 1}")
        for _ in range(depth):
            x = _fire(x, SQUEEZE[block - 2], f"fire{block}")
            block += 1
        x = stage(x, f"stage{i}")
    return x


def _fire(x: keras.KerasTensor, squeeze: int, name: str) -> keras.KerasTensor:
    x = layers.Conv2D(squeeze, 1, activation="relu", name=f"{name}_squeeze1x1")(x)
    branch1 = layers.Conv2D(4 * squeeze, 1, activation="relu", name=f"{name}_expand1x1")(x)
    branch3 = layers.Conv2D(4 * squeeze, 3, padding="same", activation="relu", name=f"{name}_expand3x3")(x)
    return layers.Concatenate(name=name)([branch1, branch3])


def _head(x: keras.KerasTensor, num_classes: int, dropout: float, activation: str | None) -> keras.KerasTensor:
    """Classify every place of the feature map, then average."""
    average = layers.GlobalAveragePooling2D(name="avg_pool")
    if not num_classes:
        return stage(average(x), "pre_logits")
    x = stage(x, "pre_logits")
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(num_classes, 1, activation="relu", name=CLASSIFIER)(x)
    return layers.Activation(activation, dtype="float32", name="scores")(average(x))


# One variant: Caffe, where the paper's model was made, gluon and torchvision build the same graph.
SQUEEZENET = Family({"torch": "torch"}, head=_head)
