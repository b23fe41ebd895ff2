"""AlexNet: Krizhevsky, Sutskever, Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 25.

Section 3.5 and figure 2 of the paper, and the single tower of Krizhevsky 2014 (arXiv:1404.5997), which torchvision has:

                            paper (227 px)                       torch (224 px)
    conv1  11 × 11 / 4      96    norm, pool  27 × 27            64    pool  27 × 27
    conv2   5 × 5          256 *  norm, pool  13 × 13           192    pool  13 × 13
    conv3   3 × 3          384                                  384
    conv4   3 × 3          384 *                                256
    conv5   3 × 3          256 *  pool         6 ×  6           256    pool   6 ×  6
    dense 4096, 4096, 1000

All pooling is overlapping, 3 × 3 with stride 2. The paper's two GPUs exchanged feature maps only before conv3: the layers
marked * are two groups, each of which sees half of the channels. Variant "paper" has its local response normalisation and
the BGR minus mean of Caffe's model; "torch" is one tower without normalisation. At other sizes the last feature map is
averaged to 6 × 6, as torchvision does.

    builder  variant  parameters  of which statistics   px  weights
    alexnet  paper    60,965,224                    0  227  none
    alexnet  torch    61,100,840                    0  224  imagenet_torchvision
"""

from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build, documented
from zoo.layers import adaptive_average, local_response_norm, stage
from zoo.weights.names import alexnet as names

ALEXNET = Family({"paper": "bvlc", "torch": "torch"}, (227, 227, 3), min_size=67, shapes={"torch": (224, 224, 3)})


@documented(ALEXNET)
def alexnet(**options: Unpack[Options]) -> keras.Model:
    """Build AlexNet of Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 25."""
    return build("alexnet", _body, ALEXNET, torch_names={"torch": names.torchvision}, **options)


def _body(x: keras.KerasTensor, variant: str) -> keras.KerasTensor:
    torch = variant == "torch"
    groups, filters = (1, (64, 192, 384, 256, 256)) if torch else (2, (96, 256, 384, 384, 256))
    if torch:
        x = layers.ZeroPadding2D(2, name="conv1_pad")(x)
    x = layers.Conv2D(filters[0], 11, 4, activation="relu", name="conv1")(x)
    if not torch:
        x = local_response_norm(x, name="norm1")
    x = stage(layers.MaxPooling2D(3, 2, name="pool1")(x), "stage1")
    x = _conv(x, filters[1], 5, groups, "conv2")
    if not torch:
        x = local_response_norm(x, name="norm2")
    x = stage(layers.MaxPooling2D(3, 2, name="pool2")(x), "stage2")
    x = _conv(x, filters[2], 3, 1, "conv3")
    x = _conv(x, filters[3], 3, groups, "conv4")
    x = _conv(x, filters[4], 3, groups, "conv5")
    x = stage(layers.MaxPooling2D(3, 2, name="pool5")(x), "stage3")
    if x.shape[1:3] != (6, 6):
        x = adaptive_average(x, 6)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(4096, activation="relu", name="fc6")(x)
    x = layers.Dense(4096, activation="relu", name="fc7")(x)
    return stage(x, "pre_logits")


def _conv(x: keras.KerasTensor, filters: int, kernel_size: int, groups: int, name: str) -> keras.KerasTensor:
    return layers.Conv2D(filters, kernel_size, padding="same", groups=groups, activation="relu", name=name)(x)
