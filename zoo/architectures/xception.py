"""Xception: Chollet 2016, "Xception: Deep Learning with Depthwise Separable Convolutions", arXiv:1610.02357.

Figure 5 of the paper: 36 convolutions in 14 blocks, all but the first two separable; each block but the first and the
last adds its input back, through a 1 × 1 convolution where it halves the resolution:

    flow      entry                                  middle              exit
    block     1         2           3           4    5 to 12             13           14
    filters   32, 64    128, 128    256, 256    728, 728    728, 728, 728    728, 1024    1536, 2048
    stage     1         2           3                       4                             5

Fresh weights are timm's, for the paper says nothing of them: He et al.'s by fan-out, as PyTorch counts it.

    builder   variant  parameters  of which statistics   px  weights
    xception  keras    22,910,480               54,528  299  imagenet
"""

from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build, documented
from zoo.initializers import HE_FAN_IN, HE_FAN_OUT, TORCH_DEFAULT, uniform
from zoo.layers import classifier, conv_bn, stage
from zoo.weights.names import xception as names

XCEPTION = Family(
    {"keras": "tf"},
    input_shape=(299, 299, 3),
    resize=342,
    keras_names=names.first_keras,
    # PyTorch's default for 2048 inputs.
    head=partial(classifier, kernel_initializer=TORCH_DEFAULT, bias_initializer=uniform(2048**-0.5)),
    notes="dropout=0.5 is the paper's.",
)
KERNELS = dict(kernel_initializer=HE_FAN_OUT)

# Convolution and norm in the shortcut of a block that halves the resolution: keras.applications leaves them unnamed.
SHORTCUTS = {
    2: ("conv2d", "batch_normalization"),
    3: ("conv2d_1", "batch_normalization_1"),
    4: ("conv2d_2", "batch_normalization_2"),
    13: ("conv2d_3", "batch_normalization_3"),
}


@documented(XCEPTION)
def xception(**options: Unpack[Options]) -> keras.Model:
    """Build Xception of Chollet 2016 (arXiv:1610.02357), figure 5."""
    return build("xception", _body, XCEPTION, **options)


def _body(x: keras.KerasTensor, variant: str) -> keras.KerasTensor:
    for j, (filters, strides) in enumerate(((32, 2), (64, 1)), start=1):
        name = f"block1_conv{j}"
        parts = (name, f"{name}_bn", f"{name}_act")
        x = conv_bn(x, filters, 3, strides, names=parts, padding="valid", **KERNELS)
    x = stage(x, "stage1")
    x = stage(_residual(x, 2, (128, 128)), "stage2")
    x = stage(_residual(x, 3, (256, 256)), "stage3")
    x = _residual(x, 4, (728, 728))
    for block in range(5, 13):
        x = _residual(x, block, (728, 728, 728))
    x = stage(x, "stage4")
    x = _residual(x, 13, (728, 1024))
    for j, filters in enumerate((1536, 2048), start=1):
        x = _separable(x, filters, f"block14_sepconv{j}")
        x = layers.Activation("relu", name=f"block14_sepconv{j}_act")(x)
    x = stage(x, "stage5")
    return stage(layers.GlobalAveragePooling2D(name="avg_pool")(x), "pre_logits")


def _residual(x: keras.KerasTensor, block: int, filters: tuple[int, ...]) -> keras.KerasTensor:
    y = x
    for j, width in enumerate(filters, start=1):
        if (block, j) != (2, 1):  # block 1 ends with its own
            y = layers.Activation("relu", name=f"block{block}_sepconv{j}_act")(y)
        y = _separable(y, width, f"block{block}_sepconv{j}")
    if block in SHORTCUTS:
        y = layers.MaxPooling2D(3, 2, padding="same", name=f"block{block}_pool")(y)
        x = conv_bn(x, filters[-1], 1, 2, names=(*SHORTCUTS[block], ""), activation=None, **KERNELS)
    return layers.Add(name=f"block{block}_add")([y, x])


def _separable(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    # A depthwise kernel's fan-out in PyTorch is Keras' fan-in.
    kernels = dict(depthwise_initializer=HE_FAN_IN, pointwise_initializer=HE_FAN_OUT)
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name, **kernels)(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)
