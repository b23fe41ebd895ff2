"""MobileNetV4: Qin et al. 2024, "MobileNetV4: Universal Models for the Mobile Ecosystem", arXiv:2404.10518.

Convolutions alone, found by search for many kinds of devices. A universal inverted bottleneck (figure 4) expands and projects,
as an inverted residual does, and may filter each channel before it expands, between, at both places, or not at all. The
tables of the paper's appendix are `SMALL`, `MEDIUM` and `LARGE`; the last layer is computed after pooling, as in MobileNetV3.

The graph is timm's: it pads as PyTorch does, and does not normalise behind the last depthwise convolution of a block. Fresh
weights are Google's: He et al.'s by fan-out, in the classifier uniform by fan-out. In training, a picture skips a block with a
probability that grows with depth to `drop_path_rate`, by default that of the authors' configurations
(github.com/tensorflow/models, official/vision), where Large has the same in every block.

    builder                   variant  parameters  of which statistics   px  weights
    mobilenet_v4_conv_small   timm      3,799,112               25,088  224  imagenet_timm_*
    mobilenet_v4_conv_medium  timm      9,783,416               67,904  256  imagenet_timm_*
    mobilenet_v4_conv_large   timm     32,740,416              149,552  384  imagenet_timm_*
"""

from functools import partial
from typing import NamedTuple, Unpack

import keras
from keras import layers

from zoo.arguments import rate as read_rate
from zoo.builder import Family, Options, build, documented
from zoo.initializers import GOOGLE, GOOGLE_DENSE, HE_FAN_OUT
from zoo.layers import classifier, conv_bn, divisible, drop_path, norm, stage
from zoo.weights.names import mobilenet as names


def _family(size: int, dropout: float) -> Family:
    return Family(
        {"timm": "torch"},
        input_shape=(size, size, 3),
        resize=int(size / 0.95) if size > 224 else 256,
        interpolation="bicubic",
        other_modes={"timm": ("tf",)},
        head=partial(classifier, kernel_initializer=GOOGLE_DENSE),
        notes=f"drop_path_rate is the last block's; that of the others grows to it from 0. dropout={dropout} is the authors'.",
    )


SMALL_FAMILY, MEDIUM_FAMILY, LARGE_FAMILY = _family(224, 0.3), _family(256, 0.2), _family(384, 0.2)

NORM = dict(epsilon=1e-5, momentum=0.9)
CONV = partial(conv_bn, padding="torch", **NORM, **GOOGLE)


class Conv(NamedTuple):
    """A convolution with its norm and activation."""

    kernel_size: int
    filters: int
    strides: int = 1


class Fused(NamedTuple):
    """A fused inverted bottleneck: a convolution that expands, and a 1 × 1 one that projects."""

    kernel_size: int
    expansion: int
    filters: int
    strides: int = 1


class Universal(NamedTuple):
    """A universal inverted bottleneck: the sizes of its depthwise kernels, before and behind the expansion; 0: none."""

    start: int
    middle: int
    expansion: int
    filters: int
    strides: int = 1


# A stage ends before the resolution falls; the stem alone is the first.
Stages = tuple[tuple[Conv | Fused | Universal, ...], ...]
SMALL = (
    (Conv(3, 32, 2), Conv(1, 32)),
    (Conv(3, 96, 2), Conv(1, 64)),
    (Universal(5, 5, 3, 96, 2), *[Universal(0, 3, 2, 96)] * 4, Universal(3, 0, 4, 96)),
    (
        Universal(3, 3, 6, 128, 2),
        Universal(5, 5, 4, 128),
        Universal(0, 5, 4, 128),
        Universal(0, 5, 3, 128),
        *[Universal(0, 3, 4, 128)] * 2,
    ),
)
MEDIUM = (
    (Fused(3, 4, 48, 2),),
    (Universal(3, 5, 4, 80, 2), Universal(3, 3, 2, 80)),
    (
        Universal(3, 5, 6, 160, 2),
        *[Universal(3, 3, 4, 160)] * 2,
        Universal(3, 5, 4, 160),
        Universal(3, 3, 4, 160),
        Universal(3, 0, 4, 160),
        Universal(0, 0, 2, 160),
        Universal(3, 0, 4, 160),
    ),
    (
        Universal(5, 5, 6, 256, 2),
        Universal(5, 5, 4, 256),
        *[Universal(3, 5, 4, 256)] * 2,
        Universal(0, 0, 4, 256),
        Universal(3, 0, 4, 256),
        Universal(3, 5, 2, 256),
        Universal(5, 5, 4, 256),
        *[Universal(0, 0, 4, 256)] * 2,
        Universal(5, 0, 2, 256),
    ),
)
LARGE = (
    (Fused(3, 4, 48, 2),),
    (Universal(3, 5, 4, 96, 2), Universal(3, 3, 4, 96)),
    (
        Universal(3, 5, 4, 192, 2),
        *[Universal(3, 3, 4, 192)] * 3,
        Universal(3, 5, 4, 192),
        *[Universal(5, 3, 4, 192)] * 5,
        Universal(3, 0, 4, 192),
    ),
    (
        Universal(5, 5, 4, 512, 2),
        *[Universal(5, 5, 4, 512)] * 3,
        Universal(5, 0, 4, 512),
        Universal(5, 3, 4, 512),
        *[Universal(5, 0, 4, 512)] * 2,
        Universal(5, 3, 4, 512),
        Universal(5, 5, 4, 512),
        *[Universal(5, 0, 4, 512)] * 3,
    ),
)
LAST, HEAD = 960, 1280


@documented(SMALL_FAMILY)
def mobilenet_v4_conv_small(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build MNv4-Conv-S of Qin et al. 2024 (arXiv:2404.10518), appendix."""
    return _mobilenet_v4("mobilenet_v4_conv_small", SMALL_FAMILY, 32, SMALL, drop_path_rate, options)


@documented(MEDIUM_FAMILY)
def mobilenet_v4_conv_medium(*, drop_path_rate: float = 0.075, **options: Unpack[Options]) -> keras.Model:
    """Build MNv4-Conv-M of Qin et al. 2024 (arXiv:2404.10518), appendix."""
    return _mobilenet_v4("mobilenet_v4_conv_medium", MEDIUM_FAMILY, 32, MEDIUM, drop_path_rate, options)


@documented(LARGE_FAMILY)
def mobilenet_v4_conv_large(*, drop_path_rate: float = 0.2, **options: Unpack[Options]) -> keras.Model:
    """Build MNv4-Conv-L of Qin et al. 2024 (arXiv:2404.10518), appendix."""
    return _mobilenet_v4("mobilenet_v4_conv_large", LARGE_FAMILY, 24, LARGE, drop_path_rate, options)


def _mobilenet_v4(name: str, family: Family, stem: int, stages: Stages, drop_path_rate: float, options: Options) -> keras.Model:
    body = partial(_body, stem=stem, stages=stages, drop_path_rate=read_rate(drop_path_rate, f"{name}: drop_path_rate"))
    return build(name, body, family, torch_names={"timm": names.timm_v4}, **options)


def _body(x: keras.KerasTensor, variant: str, stem: int, stages: Stages, drop_path_rate: float) -> keras.KerasTensor:
    x = stage(CONV(x, stem, 3, 2, names=_names("stem_conv")), "stage1")
    block, total = 0, sum(map(len, stages)) + 1  # the last convolution counts as one
    for i, rows in enumerate(stages, start=2):
        for place, row in enumerate(rows, start=1):
            x = _block(x, row, drop_path_rate * block / total, f"block{i}_{place}_")
            block += 1
        if rows is stages[-1]:
            x = CONV(x, LAST, 1, names=_names("last_conv"))
        x = stage(x, f"stage{i}")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    # The paper's 1 × 1 convolution, on one pixel.
    x = layers.Dense(HEAD, use_bias=False, kernel_initializer=HE_FAN_OUT, name="head_conv")(x)
    return stage(norm(x, names=_names("head_conv")[1:], **NORM), "pre_logits")


def _block(x: keras.KerasTensor, row: Conv | Fused | Universal, drop: float, prefix: str) -> keras.KerasTensor:
    if isinstance(row, Conv):
        return CONV(x, row.filters, row.kernel_size, row.strides, names=_names(f"{prefix}conv"))
    shortcut, channels = x, x.shape[-1]
    x = _fused(x, row, prefix) if isinstance(row, Fused) else _universal(x, row, prefix)
    if row.strides > 1 or row.filters != channels:
        return x
    x = drop_path(x, drop, name=f"{prefix}drop")
    return layers.Add(name=f"{prefix}add")([shortcut, x])


def _fused(x: keras.KerasTensor, row: Fused, prefix: str) -> keras.KerasTensor:
    x = CONV(x, divisible(row.expansion * x.shape[-1]), row.kernel_size, row.strides, names=_names(f"{prefix}fused_expand"))
    return CONV(x, row.filters, 1, names=_names(f"{prefix}fused_project"), activation=None)


def _universal(x: keras.KerasTensor, row: Universal, prefix: str) -> keras.KerasTensor:
    """Filter, expand, filter, project; of the two filters, which may be missing, the second has the stride."""
    channels = x.shape[-1]
    if row.start:
        x = CONV(x, None, row.start, names=_names(f"{prefix}start"), activation=None)
    x = CONV(x, divisible(row.expansion * channels), 1, names=_names(f"{prefix}expand"))
    if row.middle:
        x = CONV(x, None, row.middle, row.strides, names=_names(f"{prefix}middle"))
    return CONV(x, row.filters, 1, names=_names(f"{prefix}project"), activation=None)


def _names(convolution: str) -> tuple[str, str, str]:
    return convolution, f"{convolution}_bn", f"{convolution}_relu"
