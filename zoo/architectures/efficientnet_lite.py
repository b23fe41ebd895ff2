"""EfficientNet-Lite: EfficientNets for small devices, without squeeze-and-excitation, with ReLU6.

Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv:1905.11946, table 1, as
changed by github.com/tensorflow/tpu, models/official/efficientnet/lite: width and depth scale neither the stem and the
1 × 1 convolution at the end nor the number of blocks in the first and the last row.

row         1   2   3   4    5    6    7
kernel      3   3   5   3    5    5    3
expansion   1   6   6   6    6    6    6
filters    16  24  40  80  112  192  320
blocks      1   2   2   3    3    4    1
stride      1   2   2   2    1    2    1

Variant "keras" pads as TensorFlow does, "timm" as PyTorch does, with a smaller epsilon. Accuracies are for the sizes below;
timm's files of Lite 3 and 4 are for 300 and 380 pixels.

    builder             variant  parameters  of which statistics   px  weights
    efficientnet_lite0  keras     4,694,024               42,016  224  imagenet, imagenet_timm_in1k
    efficientnet_lite0  timm      4,694,024               42,016  224  imagenet_timm_ra
    efficientnet_lite1  keras     5,470,344               53,664  240  imagenet, imagenet_timm_in1k
    efficientnet_lite1  timm      5,470,344               53,664  240  none
    efficientnet_lite2  keras     6,150,168               58,096  260  imagenet, imagenet_timm_in1k
    efficientnet_lite2  timm      6,150,168               58,096  260  none
    efficientnet_lite3  keras     8,273,768               76,672  280  imagenet_timm_in1k
    efficientnet_lite3  timm      8,273,768               76,672  280  none
    efficientnet_lite4  keras    13,118,936              112,368  300  imagenet_timm_in1k
    efficientnet_lite4  timm     13,118,936              112,368  300  none
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Unpack

import keras
from keras import layers

from zoo.arguments import rate as read_rate
from zoo.builder import Family, Options, build, documented
from zoo.initializers import GOOGLE, GOOGLE_DENSE
from zoo.layers import classifier, conv_bn, divisible, drop_path, stage
from zoo.weights.names import efficientnet as names


def _family(size: int, dropout: float) -> Family:
    return Family(
        {"keras": "lite", "timm": "torch"},
        input_shape=(size, size, 3),
        resize=round(size / 0.875),
        interpolation="bicubic",
        ports={"timm": ("timm", "keras")},  # timm's "tf_efficientnet_lite..." have the names of its own
        head=partial(classifier, kernel_initializer=GOOGLE_DENSE),
        notes=f"drop_path_rate is the last block's; that of the others grows to it from 0. dropout={dropout} is the authors'.",
    )


DROPOUT = {224: 0.2, 240: 0.2, 260: 0.3, 280: 0.3, 300: 0.3}
LITE = {size: _family(size, dropout) for size, dropout in DROPOUT.items()}

# How the convolutions of a variant pad, normalise and begin.
STYLES = {
    "keras": dict(epsilon=1e-3, momentum=0.99, **GOOGLE),
    "timm": dict(epsilon=1e-5, momentum=0.9, padding="torch", **GOOGLE),
}

Stages = tuple[tuple[tuple[int, int, int, int, int], ...], ...]

# Kernel size, expansion, filters, blocks and stride of each row; a stage ends before the resolution falls.
STAGES = (
    ((3, 1, 16, 1, 1),),
    ((3, 6, 24, 2, 2),),
    ((5, 6, 40, 2, 2),),
    ((3, 6, 80, 3, 2), (5, 6, 112, 3, 1)),
    ((5, 6, 192, 4, 2), (3, 6, 320, 1, 1)),
)
STEM, TOP = 32, 1280

DROP_PATH_RATE = 0.2  # in the authors' training of every size


@documented(LITE[224])
def efficientnet_lite0(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-Lite0, after Tan & Le 2019 (arXiv:1905.11946), table 1."""
    return _lite("efficientnet_lite0", LITE[224], drop_path_rate, options, width=1.0, depth=1.0)


@documented(LITE[240])
def efficientnet_lite1(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-Lite1, after Tan & Le 2019 (arXiv:1905.11946)."""
    return _lite("efficientnet_lite1", LITE[240], drop_path_rate, options, width=1.0, depth=1.1)


@documented(LITE[260])
def efficientnet_lite2(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-Lite2, after Tan & Le 2019 (arXiv:1905.11946)."""
    return _lite("efficientnet_lite2", LITE[260], drop_path_rate, options, width=1.1, depth=1.2)


@documented(LITE[280])
def efficientnet_lite3(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-Lite3, after Tan & Le 2019 (arXiv:1905.11946)."""
    return _lite("efficientnet_lite3", LITE[280], drop_path_rate, options, width=1.2, depth=1.4)


@documented(LITE[300])
def efficientnet_lite4(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-Lite4, after Tan & Le 2019 (arXiv:1905.11946)."""
    return _lite("efficientnet_lite4", LITE[300], drop_path_rate, options, width=1.4, depth=1.8)


def _lite(name: str, family: Family, drop_path_rate: float, options: Options, width: float, depth: float) -> keras.Model:
    drop_path_rate = read_rate(drop_path_rate, f"{name}: drop_path_rate")
    stages = _scaled(width, depth)
    blocks = [repeats for *_, repeats, _ in chain(*stages)]
    parts = [(*["expand"] * (expansion > 1), "depthwise", "project") for _, expansion, *_ in chain(*stages)]
    torch_names = {"keras": names.lite(blocks), "timm": names.timm(parts)}
    body = partial(_body, stages=stages, drop_path_rate=drop_path_rate)
    return build(name, body, family, torch_names=torch_names, **options)


def _scaled(width: float, depth: float) -> Stages:
    """Scale the rows' filters by `width` and their blocks by `depth`, where there is more than one."""
    return tuple(
        tuple(
            (kernel_size, expansion, divisible(filters * width), math.ceil(depth * blocks) if blocks > 1 else 1, stride)
            for kernel_size, expansion, filters, blocks, stride in rows
        )
        for rows in STAGES
    )


def _body(x: keras.KerasTensor, variant: str, stages: Stages, drop_path_rate: float) -> keras.KerasTensor:
    conv = partial(conv_bn, activation="relu6", **STYLES[variant])
    x = conv(x, STEM, 3, 2, names=("stem_conv", "stem_bn", "stem_activation"))
    total = sum(blocks for *_, blocks, _ in chain(*stages))
    row = block = 0
    for i, rows in enumerate(stages, start=1):
        for kernel_size, expansion, filters, blocks, stride in rows:
            row += 1
            for repeat in range(blocks):
                strides = stride if repeat == 0 else 1
                prefix = f"block{row}{chr(ord('a') + repeat)}_"
                x = _inverted(x, kernel_size, expansion, filters, strides, conv, drop_path_rate * block / total, prefix)
                block += 1
        if i == len(stages):
            x = conv(x, TOP, 1, names=("top_conv", "top_bn", "top_activation"))
        x = stage(x, f"stage{i}")
    return stage(layers.GlobalAveragePooling2D(name="avg_pool")(x), "pre_logits")


def _inverted(
    x: keras.KerasTensor,
    kernel_size: int,
    expansion: int,
    filters: int,
    strides: int,
    conv: Callable,
    drop_rate: float,
    prefix: str,
) -> keras.KerasTensor:
    """Expand, filter each channel, project; in training, a picture skips the block with probability `drop_rate`."""
    shortcut, channels = x, x.shape[-1]
    if expansion > 1:
        x = conv(x, expansion * channels, 1, names=_names(prefix, "expand"))
    x = conv(x, None, kernel_size, strides, names=(f"{prefix}dwconv", f"{prefix}bn", f"{prefix}activation"))
    x = conv(x, filters, 1, names=_names(prefix, "project"), activation=None)
    if strides > 1 or filters != channels:
        return x
    x = drop_path(x, drop_rate, name=f"{prefix}drop")
    return layers.Add(name=f"{prefix}add")([x, shortcut])


def _names(prefix: str, part: str) -> tuple[str, str, str]:
    return f"{prefix}{part}_conv", f"{prefix}{part}_bn", f"{prefix}{part}_activation"
