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

Section 4.2 has dropout of 0.5 on the outputs of both hidden dense layers: `dropout=0.5`. (torchvision drops their inputs.)
Fresh weights: "paper" as in section 5, N(0, 0.01²) and some biases of 1; "torch" as torchvision, PyTorch's default.

    builder  variant  parameters  of which statistics   px  weights
    alexnet  paper    60,965,224                    0  227  none
    alexnet  torch    61,100,840                    0  224  imagenet_torchvision
"""

from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build, documented
from zoo.initializers import constant, normal, uniform
from zoo.layers import adaptive_average, classifier, drop, local_response_norm, stage
from zoo.weights.names import alexnet as names

ALEXNET = Family(
    {"paper": "bvlc", "torch": "torch"},
    (227, 227, 3),
    min_size=67,
    shapes={"torch": (224, 224, 3)},
    head=partial(classifier, kernel_initializer=normal(0.01)),
    notes="dropout=0.5 is the paper's: it acts behind each of the two hidden dense layers.",
)


@documented(ALEXNET)
def alexnet(**options: Unpack[Options]) -> keras.Model:
    """Build AlexNet of Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 25."""
    body = partial(_body, dropout=options.get("dropout", 0.0))
    return build("alexnet", body, ALEXNET, torch_names={"torch": names.torchvision}, **options)


def _body(x: keras.KerasTensor, variant: str, dropout: float) -> keras.KerasTensor:
    torch = variant == "torch"
    conv, dense = partial(_conv, torch=torch), partial(_dense, torch=torch)
    groups, filters = (1, (64, 192, 384, 256, 256)) if torch else (2, (96, 256, 384, 384, 256))
    if torch:
        x = layers.ZeroPadding2D(2, name="conv1_pad")(x)
    x = conv(x, filters[0], 11, strides=4, padding="valid", name="conv1")
    if not torch:
        x = local_response_norm(x, name="norm1")
    x = stage(layers.MaxPooling2D(3, 2, name="pool1")(x), "stage1")
    x = conv(x, filters[1], 5, groups=groups, bias=1, name="conv2")
    if not torch:
        x = local_response_norm(x, name="norm2")
    x = stage(layers.MaxPooling2D(3, 2, name="pool2")(x), "stage2")
    x = conv(x, filters[2], 3, name="conv3")
    x = conv(x, filters[3], 3, groups=groups, bias=1, name="conv4")
    x = conv(x, filters[4], 3, groups=groups, bias=1, name="conv5")
    x = stage(layers.MaxPooling2D(3, 2, name="pool5")(x), "stage3")
    if x.shape[1:3] != (6, 6):
        x = adaptive_average(x, 6)
    x = layers.Flatten(name="flatten")(x)
    x = drop(dense(x, name="fc6"), dropout, name="fc6_dropout")
    return stage(dense(x, name="fc7"), "pre_logits")


def _conv(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    *,
    name: str,
    torch: bool,
    strides: int = 1,
    padding: str = "same",
    groups: int = 1,
    bias: float = 0,
) -> keras.KerasTensor:
    more = _initializers(torch, x.shape[-1] // groups * kernel_size**2, bias)
    return layers.Conv2D(filters, kernel_size, strides, padding, groups=groups, activation="relu", name=name, **more)(x)


def _dense(x: keras.KerasTensor, *, name: str, torch: bool) -> keras.KerasTensor:
    return layers.Dense(4096, activation="relu", name=name, **_initializers(torch, x.shape[-1], bias=1))(x)


def _initializers(torch: bool, fan_in: int, bias: float) -> dict:
    """Choose PyTorch's default for a layer with so many inputs to a unit, or section 5 of the paper with this bias."""
    if torch:  # its biases count: nothing else keeps the signal from fading
        return dict(kernel_initializer=uniform(fan_in**-0.5), bias_initializer=uniform(fan_in**-0.5))
    return dict(kernel_initializer=normal(0.01), bias_initializer=constant(bias))
