"""ResNet: He, Zhang, Ren, Sun 2015, "Deep Residual Learning for Image Recognition", arXiv:1512.03385.

Table 1 of the paper, the bottleneck networks; each block is 1 × 1, 3 × 3, 1 × 1 and adds its input back:

    stage        1          2           3           4
    filters   64, 256   128, 512   256, 1024   512, 2048
    ResNet-50    3          4           6           3       blocks

Two graphs have public weights. In the paper's, which keras.applications has, the first 1 × 1 of a stage has the stride;
torchvision's ("v1.5") gives it to the 3 × 3, has no convolution biases, and another epsilon.
"""

from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build
from zoo.layers import conv_bn, pad_like_torch, stage
from zoo.weights.names import resnet as names

RESNET = Family({"keras": "caffe", "torch": "torch"})


def resnet50(**options: Unpack[Options]) -> keras.Model:
    """ResNet-50 of He et al. 2015 (arXiv:1512.03385), table 1.

    Variant "keras": 25,636,712 parameters, moving statistics included; "torch": 25,557,032 and 53,120 statistics.
    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision", "imagenet_torchvision_v2".
    """
    body = partial(_body, depths=(3, 4, 6, 3))
    return build("resnet50", body, RESNET, torch_names={"torch": names.torchvision}, **options)


def _body(x: keras.KerasTensor, variant: str, depths: tuple[int, ...]) -> keras.KerasTensor:
    x = pad_like_torch(x, 7, name="conv1_pad")
    x = _conv(x, 64, 7, 2, variant, name="conv1", padding="valid")
    x = pad_like_torch(x, 3, name="pool1_pad")
    x = layers.MaxPooling2D(3, 2, name="pool1_pool")(x)
    for i, depth in enumerate(depths, start=1):
        for block in range(1, depth + 1):
            strides = 2 if i > 1 and block == 1 else 1
            x = _bottleneck(x, 32 * 2**i, strides, variant, f"conv{i + 1}_block{block}")
        x = stage(x, f"stage{i}")
    return stage(layers.GlobalAveragePooling2D(name="avg_pool")(x), "pre_logits")


def _bottleneck(x: keras.KerasTensor, filters: int, strides: int, variant: str, name: str) -> keras.KerasTensor:
    shortcut = x
    if strides > 1 or x.shape[-1] != 4 * filters:
        shortcut = _conv(x, 4 * filters, 1, strides, variant, name=f"{name}_0", activation=None)
    first, second = (1, strides) if variant == "torch" else (strides, 1)
    x = _conv(x, filters, 1, first, variant, name=f"{name}_1")
    if second > 1:
        x = pad_like_torch(x, 3, name=f"{name}_2_pad")
    x = _conv(x, filters, 3, second, variant, name=f"{name}_2", padding="valid" if second > 1 else "same")
    x = _conv(x, 4 * filters, 1, 1, variant, name=f"{name}_3", activation=None)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _conv(x, filters: int, kernel_size: int, strides: int, variant: str, *, name: str, **options):
    torch = variant == "torch"
    parts = (f"{name}_conv", f"{name}_bn", f"{name}_relu")
    return conv_bn(
        x, filters, kernel_size, strides, names=parts, use_bias=not torch, epsilon=1e-5 if torch else 1.001e-5, **options
    )
