"""EfficientNet and EfficientNetV2: inverted residuals, scaled in width, depth and input size together.

- V1: Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv:1905.11946, table 1
- V2: Tan & Le 2021, "EfficientNetV2: Smaller Models and Faster Training", arXiv:2104.00298, table 4

A row of their tables is an operator, its kernel size, expansion, filters, repeats and stride. The operators:

    mbconv   1 × 1 expands, depthwise convolution, squeeze-and-excite, 1 × 1 projects
    fused    one convolution expands, 1 × 1 projects; without expansion, one convolution

Variant "keras" pads as TensorFlow does, "torch" and "timm" as PyTorch does; batch norm has several epsilons.

In training, a picture skips a block with a probability that grows from 0 by its place to nearly `drop_path_rate`. Fresh weights
are He et al.'s by fan-out, in the classifier uniform by fan-out, as the authors', Keras' and timm's code has them; torchvision,
so "torch", counts the fan-out of a depthwise kernel over all channels.

    builder             variant   parameters  of which statistics   px  weights
    efficientnet_b0     keras      5,330,564               42,016  224  imagenet
    efficientnet_b0     torch      5,330,564               42,016  224  imagenet_torchvision
    efficientnet_b0     timm       5,330,564               42,016  224  imagenet_timm_*
    efficientnet_b1     keras      7,856,232               62,048  240  imagenet
    efficientnet_b1     torch      7,856,232               62,048  240  imagenet_torchvision, imagenet_torchvision_v2
    efficientnet_b1     timm       7,856,232               62,048  240  imagenet_timm_*
    efficientnet_b2     keras      9,177,562               67,568  260  imagenet
    efficientnet_b2     torch      9,177,562               67,568  260  imagenet_torchvision
    efficientnet_b2     timm       9,177,562               67,568  260  imagenet_timm_ra
    efficientnet_b3     keras     12,320,528               87,296  300  imagenet
    efficientnet_b3     torch     12,320,528               87,296  300  imagenet_torchvision
    efficientnet_b3     timm      12,320,528               87,296  300  imagenet_timm_ra2
    efficientnet_b4     keras     19,466,816              125,200  380  imagenet
    efficientnet_b4     torch     19,466,816              125,200  380  imagenet_torchvision
    efficientnet_b4     timm      19,466,816              125,200  380  imagenet_timm_ra2
    efficientnet_b5     keras     30,562,520              172,736  456  imagenet
    efficientnet_b5     torch     30,562,520              172,736  456  imagenet_torchvision
    efficientnet_b5     timm      30,562,520              172,736  456  imagenet_timm_sw_in12k_ft
    efficientnet_b6     keras     43,265,136              224,432  528  imagenet
    efficientnet_b6     torch     43,265,136              224,432  528  imagenet_torchvision
    efficientnet_b6     timm      43,265,136              224,432  528  none
    efficientnet_b7     keras     66,658,680              310,720  600  imagenet
    efficientnet_b7     torch     66,658,680              310,720  600  imagenet_torchvision
    efficientnet_b7     timm      66,658,680              310,720  600  none
    efficientnet_v2_b0  keras      7,200,312               60,608  224  imagenet
    efficientnet_v2_b1  keras      8,212,124               71,072  240  imagenet
    efficientnet_v2_b2  keras     10,178,374               82,288  260  imagenet
    efficientnet_v2_b3  keras     14,467,622              109,216  300  imagenet
    efficientnet_v2_s   keras     21,612,360              153,872  384  imagenet
    efficientnet_v2_s   torch     21,612,360              153,872  384  imagenet_torchvision
    efficientnet_v2_m   keras     54,431,388              292,032  480  imagenet
    efficientnet_v2_m   torch     54,431,388              292,032  480  imagenet_torchvision
    efficientnet_v2_l   keras    119,027,848              512,576  480  imagenet
    efficientnet_v2_l   torch    119,027,848              512,576  480  imagenet_torchvision
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
from zoo.initializers import GOOGLE, GOOGLE_DENSE, HE_FAN_OUT, TORCHVISION
from zoo.layers import classifier, conv_bn, divisible, drop_path, squeeze_excite, stage
from zoo.weights.names import efficientnet as names


def _family(preprocessing: dict[str, str], size: int, resize: int, dropout: float, **more) -> Family:
    return Family(
        preprocessing,
        input_shape=(size, size, 3),
        resize=resize,
        interpolation="bicubic",
        spare=("normalization",),
        head=partial(classifier, kernel_initializer=GOOGLE_DENSE),
        notes=f"drop_path_rate is the last block's; that of the others grows to it from 0. dropout={dropout} is the authors'.",
        **more,
    )


V1_MODES = {"keras": "torch", "torch": "torch", "timm": "torch"}
# timm has newer files trained at -1..1, and ports of TensorFlow's ("tf_...") under the same names.
V1_FILES = dict(other_modes={"timm": ("tf",)}, ports={"timm": ("timm", "keras")})
V1_DROPOUT = {224: 0.2, 240: 0.2, 260: 0.3, 300: 0.3, 380: 0.4, 456: 0.4, 528: 0.5, 600: 0.5}
V1 = {size: _family(V1_MODES, size, size + 32, dropout, **V1_FILES) for size, dropout in V1_DROPOUT.items()}
V2_DROPOUT = {224: 0.2, 240: 0.2, 260: 0.3, 300: 0.3}
V2_BASE = {size: _family({"keras": "torch"}, size, size + 32, dropout) for size, dropout in V2_DROPOUT.items()}
V2_S = _family({"keras": "inception", "torch": "torch"}, 384, 384, dropout=0.2)
V2_M = _family({"keras": "inception", "torch": "torch"}, 480, 480, dropout=0.3)
V2_L = _family({"keras": "inception", "torch": "tf"}, 480, 480, dropout=0.4)

# How the convolutions of a variant pad, normalise and begin; torchvision's larger ones of V1 come from TensorFlow.
V1_STYLES = {
    "keras": dict(epsilon=1e-3, momentum=0.99, **GOOGLE),
    "torch": dict(epsilon=1e-5, momentum=0.9, padding="torch", **TORCHVISION),
    "timm": dict(epsilon=1e-5, momentum=0.9, padding="torch", **GOOGLE),
}
V1_PORTED = V1_STYLES | {"torch": dict(epsilon=1e-3, momentum=0.99, padding="torch", **TORCHVISION)}
V2_STYLES = {
    "keras": dict(epsilon=1e-3, momentum=0.9, **GOOGLE),
    "torch": dict(epsilon=1e-3, momentum=0.9, padding="torch", **TORCHVISION),
}

Stages = tuple[tuple[tuple[str, int, int, int, int, int], ...], ...]

# A stage ends before the resolution falls.
V1_STAGES = (
    (("mbconv", 3, 1, 16, 1, 1),),
    (("mbconv", 3, 6, 24, 2, 2),),
    (("mbconv", 5, 6, 40, 2, 2),),
    (("mbconv", 3, 6, 80, 3, 2), ("mbconv", 5, 6, 112, 3, 1)),
    (("mbconv", 5, 6, 192, 4, 2), ("mbconv", 3, 6, 320, 1, 1)),
)
V2_BASE_STAGES = (
    (("fused", 3, 1, 16, 1, 1),),
    (("fused", 3, 4, 32, 2, 2),),
    (("fused", 3, 4, 48, 2, 2),),
    (("mbconv", 3, 4, 96, 3, 2), ("mbconv", 3, 6, 112, 5, 1)),
    (("mbconv", 3, 6, 192, 8, 2),),
)
V2_S_STAGES = (
    (("fused", 3, 1, 24, 2, 1),),
    (("fused", 3, 4, 48, 4, 2),),
    (("fused", 3, 4, 64, 4, 2),),
    (("mbconv", 3, 4, 128, 6, 2), ("mbconv", 3, 6, 160, 9, 1)),
    (("mbconv", 3, 6, 256, 15, 2),),
)
V2_M_STAGES = (
    (("fused", 3, 1, 24, 3, 1),),
    (("fused", 3, 4, 48, 5, 2),),
    (("fused", 3, 4, 80, 5, 2),),
    (("mbconv", 3, 4, 160, 7, 2), ("mbconv", 3, 6, 176, 14, 1)),
    (("mbconv", 3, 6, 304, 18, 2), ("mbconv", 3, 6, 512, 5, 1)),
)
V2_L_STAGES = (
    (("fused", 3, 1, 32, 4, 1),),
    (("fused", 3, 4, 64, 7, 2),),
    (("fused", 3, 4, 96, 7, 2),),
    (("mbconv", 3, 4, 192, 10, 2), ("mbconv", 3, 6, 224, 19, 1)),
    (("mbconv", 3, 6, 384, 25, 2), ("mbconv", 3, 6, 640, 7, 1)),
)

DROP_PATH_RATE = 0.2  # in the authors' training of every size


@documented(V1[224])
def efficientnet_b0(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B0 of Tan & Le 2019 (arXiv:1905.11946), table 1."""
    return _v1("efficientnet_b0", V1[224], drop_path_rate, options, width=1.0, depth=1.0)


@documented(V1[240])
def efficientnet_b1(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B1 of Tan & Le 2019 (arXiv:1905.11946)."""
    return _v1("efficientnet_b1", V1[240], drop_path_rate, options, width=1.0, depth=1.1)


@documented(V1[260])
def efficientnet_b2(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B2 of Tan & Le 2019 (arXiv:1905.11946)."""
    return _v1("efficientnet_b2", V1[260], drop_path_rate, options, width=1.1, depth=1.2)


@documented(V1[300])
def efficientnet_b3(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B3 of Tan & Le 2019 (arXiv:1905.11946)."""
    return _v1("efficientnet_b3", V1[300], drop_path_rate, options, width=1.2, depth=1.4)


@documented(V1[380])
def efficientnet_b4(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B4 of Tan & Le 2019 (arXiv:1905.11946)."""
    return _v1("efficientnet_b4", V1[380], drop_path_rate, options, width=1.4, depth=1.8)


@documented(V1[456])
def efficientnet_b5(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B5 of Tan & Le 2019 (arXiv:1905.11946)."""
    return _v1("efficientnet_b5", V1[456], drop_path_rate, options, width=1.6, depth=2.2, styles=V1_PORTED)


@documented(V1[528])
def efficientnet_b6(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B6 of Tan & Le 2019 (arXiv:1905.11946)."""
    return _v1("efficientnet_b6", V1[528], drop_path_rate, options, width=1.8, depth=2.6, styles=V1_PORTED)


@documented(V1[600])
def efficientnet_b7(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B7 of Tan & Le 2019 (arXiv:1905.11946)."""
    return _v1("efficientnet_b7", V1[600], drop_path_rate, options, width=2.0, depth=3.1, styles=V1_PORTED)


@documented(V2_BASE[224])
def efficientnet_v2_b0(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNetV2-B0 of Tan & Le 2021 (arXiv:2104.00298), section 4."""
    return _v2("efficientnet_v2_b0", V2_BASE[224], drop_path_rate, options, V2_BASE_STAGES, stem=32, width=1.0, depth=1.0)


@documented(V2_BASE[240])
def efficientnet_v2_b1(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNetV2-B1 of Tan & Le 2021 (arXiv:2104.00298), section 4."""
    return _v2("efficientnet_v2_b1", V2_BASE[240], drop_path_rate, options, V2_BASE_STAGES, stem=32, width=1.0, depth=1.1)


@documented(V2_BASE[260])
def efficientnet_v2_b2(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNetV2-B2 of Tan & Le 2021 (arXiv:2104.00298), section 4."""
    return _v2("efficientnet_v2_b2", V2_BASE[260], drop_path_rate, options, V2_BASE_STAGES, stem=32, width=1.1, depth=1.2)


@documented(V2_BASE[300])
def efficientnet_v2_b3(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNetV2-B3 of Tan & Le 2021 (arXiv:2104.00298), section 4."""
    return _v2("efficientnet_v2_b3", V2_BASE[300], drop_path_rate, options, V2_BASE_STAGES, stem=32, width=1.2, depth=1.4)


@documented(V2_S)
def efficientnet_v2_s(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNetV2-S of Tan & Le 2021 (arXiv:2104.00298), table 4."""
    return _v2("efficientnet_v2_s", V2_S, drop_path_rate, options, V2_S_STAGES, stem=24)


@documented(V2_M)
def efficientnet_v2_m(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNetV2-M of Tan & Le 2021 (arXiv:2104.00298), table 4."""
    return _v2("efficientnet_v2_m", V2_M, drop_path_rate, options, V2_M_STAGES, stem=24)


@documented(V2_L)
def efficientnet_v2_l(*, drop_path_rate: float = DROP_PATH_RATE, **options: Unpack[Options]) -> keras.Model:
    """Build EfficientNetV2-L of Tan & Le 2021 (arXiv:2104.00298), table 4."""
    return _v2("efficientnet_v2_l", V2_L, drop_path_rate, options, V2_L_STAGES, stem=32)


def _v1(
    name: str,
    family: Family,
    drop_path_rate: float,
    options: Options,
    width: float,
    depth: float,
    styles: dict = V1_STYLES,
) -> keras.Model:
    drop_path_rate = read_rate(drop_path_rate, f"{name}: drop_path_rate")
    shape = _scaled(V1_STAGES, 32, width, depth, share=0.9)
    body = partial(_body, **shape, drop_path_rate=drop_path_rate, styles=styles, depthwise="dwconv")
    rows = _rows(V1_STAGES)
    torch_names = {"torch": names.torchvision(rows), "timm": names.timm(rows)}
    return build(name, body, family, torch_names=torch_names, **options)


def _v2(
    name: str,
    family: Family,
    drop_path_rate: float,
    options: Options,
    stages: Stages,
    stem: int,
    width: float = 1.0,
    depth: float = 1.0,
) -> keras.Model:
    drop_path_rate = read_rate(drop_path_rate, f"{name}: drop_path_rate")
    shape = _scaled(stages, stem, width, depth, share=0)
    body = partial(_body, **shape, drop_path_rate=drop_path_rate, styles=V2_STYLES, depthwise="dwconv2")
    rows = _rows(stages)
    maps = {"torch": names.torchvision(rows), "keras": names.timm(rows)}  # timm has only files with TensorFlow's padding
    torch_names = {variant: rename for variant, rename in maps.items() if variant in family.preprocessing}
    return build(name, body, family, torch_names=torch_names, **options)


def _rows(stages: Stages) -> list[tuple[str, ...]]:
    """List what the blocks of each row consist of, as `names.inverted` calls it."""
    middle = {"mbconv": ("depthwise", "squeeze", "excite"), "fused": ()}
    rows = chain(*stages)
    return [(*["expand"] * (expansion > 1), *middle[operator], "project") for operator, _, expansion, *_ in rows]


def _scaled(stages: Stages, stem: int, width: float, depth: float, share: float) -> dict:
    """Scale filters by `width` and repeats by `depth`; rounded, filters keep `share` of their number."""

    def wide(filters: int) -> int:
        return divisible(filters * width, share)

    rows = tuple(
        tuple((*operator, wide(filters), math.ceil(depth * repeats), stride) for *operator, filters, repeats, stride in rows)
        for rows in stages
    )
    return dict(stages=rows, stem=wide(stem), top=wide(1280))


def _body(
    x: keras.KerasTensor,
    variant: str,
    stages: Stages,
    stem: int,
    top: int,
    drop_path_rate: float,
    styles: dict[str, dict],
    depthwise: str,  # what keras.applications calls the depthwise convolutions
) -> keras.KerasTensor:
    conv = partial(conv_bn, activation="silu", **styles[variant])
    x = conv(x, stem, 3, 2, names=("stem_conv", "stem_bn", "stem_activation"))
    total = sum(repeats for *_, repeats, _ in chain(*stages))
    row = block = 0
    for i, rows in enumerate(stages, start=1):
        for operator, kernel_size, expansion, filters, repeats, stride in rows:
            row += 1
            for repeat in range(repeats):
                prefix = f"block{row}{chr(ord('a') + repeat)}_"
                strides = stride if repeat == 0 else 1
                arguments = (kernel_size, expansion, filters, strides, conv, prefix)
                shortcut = x
                x = _fused(x, *arguments) if operator == "fused" else _mbconv(x, *arguments, depthwise)
                if strides == 1 and x.shape[-1] == shortcut.shape[-1]:
                    x = drop_path(x, drop_path_rate * block / total, name=f"{prefix}drop")
                    x = layers.Add(name=f"{prefix}add")([x, shortcut])
                block += 1
        if i == len(stages):
            x = conv(x, top, 1, names=("top_conv", "top_bn", "top_activation"))
        x = stage(x, f"stage{i}")
    return stage(layers.GlobalAveragePooling2D(name="avg_pool")(x), "pre_logits")


def _mbconv(
    x: keras.KerasTensor,
    kernel_size: int,
    expansion: int,
    filters: int,
    strides: int,
    conv: Callable,
    prefix: str,
    depthwise: str,
) -> keras.KerasTensor:
    channels = x.shape[-1]
    if expansion > 1:
        x = conv(x, expansion * channels, 1, names=_names(prefix, "expand"))
    x = conv(x, None, kernel_size, strides, names=(f"{prefix}{depthwise}", f"{prefix}bn", f"{prefix}activation"))
    kinds = tuple(f"{prefix}se_{kind}" for kind in ("squeeze", "reduce", "expand", "excite"))
    x = squeeze_excite(x, channels // 4, names=kinds, activation="silu", kernel_initializer=HE_FAN_OUT)
    return conv(x, filters, 1, names=_names(prefix, "project"), activation=None)


def _fused(
    x: keras.KerasTensor, kernel_size: int, expansion: int, filters: int, strides: int, conv: Callable, prefix: str
) -> keras.KerasTensor:
    if expansion == 1:
        return conv(x, filters, kernel_size, strides, names=_names(prefix, "project"))
    x = conv(x, expansion * x.shape[-1], kernel_size, strides, names=_names(prefix, "expand"))
    return conv(x, filters, 1, names=_names(prefix, "project"), activation=None)


def _names(prefix: str, part: str) -> tuple[str, str, str]:
    return f"{prefix}{part}_conv", f"{prefix}{part}_bn", f"{prefix}{part}_activation"
