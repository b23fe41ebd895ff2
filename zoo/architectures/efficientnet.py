"""EfficientNet and EfficientNetV2: inverted residuals, scaled in width, depth and input size together.

- V1: Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv:1905.11946, table 1
- V2: Tan & Le 2021, "EfficientNetV2: Smaller Models and Faster Training", arXiv:2104.00298, table 4

A row of their tables is an operator, its kernel size, expansion, filters, repeats and stride. The operators:

    mbconv   1 × 1 expands, depthwise convolution, squeeze-and-excite, 1 × 1 projects
    fused    one convolution expands, 1 × 1 projects; without expansion, one convolution

Variant "keras" pads as TensorFlow does, "torch" and "timm" as PyTorch does; batch norm has several epsilons.

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

from zoo.builder import Family, Options, build, documented
from zoo.layers import conv_bn, divisible, squeeze_excite, stage
from zoo.weights.names import efficientnet as names


def _family(preprocessing: dict[str, str], size: int, resize: int, **more) -> Family:
    more = dict(input_shape=(size, size, 3), resize=resize, interpolation="bicubic", spare=("normalization",)) | more
    return Family(preprocessing, **more)


V1_MODES = {"keras": "torch", "torch": "torch", "timm": "torch"}
# timm has newer files trained at -1..1, and ports of TensorFlow's ("tf_...") under the same names.
V1_FILES = dict(other_modes={"timm": ("tf",)}, ports={"timm": ("timm", "keras")})
V1 = {size: _family(V1_MODES, size, size + 32, **V1_FILES) for size in (224, 240, 260, 300, 380, 456, 528, 600)}
V2_BASE = {size: _family({"keras": "torch"}, size, size + 32) for size in (224, 240, 260, 300)}
V2_S = _family({"keras": "inception", "torch": "torch"}, 384, 384)
V2_M = _family({"keras": "inception", "torch": "torch"}, 480, 480)
V2_L = _family({"keras": "inception", "torch": "tf"}, 480, 480)

# How the convolutions of a variant pad and normalise; torchvision's larger ones of V1 come from TensorFlow.
TORCH = dict(epsilon=1e-5, momentum=0.9, padding="torch")
V1_STYLES = {"keras": dict(epsilon=1e-3, momentum=0.99), "torch": TORCH, "timm": TORCH}
V1_PORTED = V1_STYLES | {"torch": dict(epsilon=1e-3, momentum=0.99, padding="torch")}
V2_STYLES = {"keras": dict(epsilon=1e-3, momentum=0.9), "torch": dict(epsilon=1e-3, momentum=0.9, padding="torch")}

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

# The last block's rate of dropping its residual; that of the others grows with depth.
DROP = 0.2


@documented(V1[224])
def efficientnet_b0(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B0 of Tan & Le 2019 (arXiv:1905.11946), table 1."""
    return _v1("efficientnet_b0", V1[224], width=1.0, depth=1.0, options=options)


@documented(V1[240])
def efficientnet_b1(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B1 of Tan & Le 2019 (arXiv:1905.11946)."""
    return _v1("efficientnet_b1", V1[240], width=1.0, depth=1.1, options=options)


@documented(V1[260])
def efficientnet_b2(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B2 of Tan & Le 2019 (arXiv:1905.11946)."""
    return _v1("efficientnet_b2", V1[260], width=1.1, depth=1.2, options=options)


@documented(V1[300])
def efficientnet_b3(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B3 of Tan & Le 2019 (arXiv:1905.11946)."""
    return _v1("efficientnet_b3", V1[300], width=1.2, depth=1.4, options=options)


@documented(V1[380])
def efficientnet_b4(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B4 of Tan & Le 2019 (arXiv:1905.11946)."""
    return _v1("efficientnet_b4", V1[380], width=1.4, depth=1.8, options=options)


@documented(V1[456])
def efficientnet_b5(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B5 of Tan & Le 2019 (arXiv:1905.11946)."""
    return _v1("efficientnet_b5", V1[456], width=1.6, depth=2.2, styles=V1_PORTED, options=options)


@documented(V1[528])
def efficientnet_b6(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B6 of Tan & Le 2019 (arXiv:1905.11946)."""
    return _v1("efficientnet_b6", V1[528], width=1.8, depth=2.6, styles=V1_PORTED, options=options)


@documented(V1[600])
def efficientnet_b7(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNet-B7 of Tan & Le 2019 (arXiv:1905.11946)."""
    return _v1("efficientnet_b7", V1[600], width=2.0, depth=3.1, styles=V1_PORTED, options=options)


@documented(V2_BASE[224])
def efficientnet_v2_b0(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNetV2-B0 of Tan & Le 2021 (arXiv:2104.00298), section 4."""
    return _v2("efficientnet_v2_b0", V2_BASE[224], V2_BASE_STAGES, stem=32, width=1.0, depth=1.0, options=options)


@documented(V2_BASE[240])
def efficientnet_v2_b1(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNetV2-B1 of Tan & Le 2021 (arXiv:2104.00298), section 4."""
    return _v2("efficientnet_v2_b1", V2_BASE[240], V2_BASE_STAGES, stem=32, width=1.0, depth=1.1, options=options)


@documented(V2_BASE[260])
def efficientnet_v2_b2(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNetV2-B2 of Tan & Le 2021 (arXiv:2104.00298), section 4."""
    return _v2("efficientnet_v2_b2", V2_BASE[260], V2_BASE_STAGES, stem=32, width=1.1, depth=1.2, options=options)


@documented(V2_BASE[300])
def efficientnet_v2_b3(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNetV2-B3 of Tan & Le 2021 (arXiv:2104.00298), section 4."""
    return _v2("efficientnet_v2_b3", V2_BASE[300], V2_BASE_STAGES, stem=32, width=1.2, depth=1.4, options=options)


@documented(V2_S)
def efficientnet_v2_s(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNetV2-S of Tan & Le 2021 (arXiv:2104.00298), table 4."""
    return _v2("efficientnet_v2_s", V2_S, V2_S_STAGES, stem=24, options=options)


@documented(V2_M)
def efficientnet_v2_m(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNetV2-M of Tan & Le 2021 (arXiv:2104.00298), table 4."""
    return _v2("efficientnet_v2_m", V2_M, V2_M_STAGES, stem=24, options=options)


@documented(V2_L)
def efficientnet_v2_l(**options: Unpack[Options]) -> keras.Model:
    """Build EfficientNetV2-L of Tan & Le 2021 (arXiv:2104.00298), table 4."""
    return _v2("efficientnet_v2_l", V2_L, V2_L_STAGES, stem=32, options=options)


def _v1(name: str, family: Family, width: float, depth: float, options: Options, styles: dict = V1_STYLES) -> keras.Model:
    body = partial(_body, **_scaled(V1_STAGES, 32, width, depth, share=0.9), styles=styles, depthwise="dwconv")
    rows = _rows(V1_STAGES)
    torch_names = {"torch": names.torchvision(rows), "timm": names.timm(rows)}
    return build(name, body, family, torch_names=torch_names, **options)


def _v2(
    name: str, family: Family, stages: Stages, stem: int, options: Options, width: float = 1.0, depth: float = 1.0
) -> keras.Model:
    body = partial(_body, **_scaled(stages, stem, width, depth, share=0), styles=V2_STYLES, depthwise="dwconv2")
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
                    x = _add(x, shortcut, DROP * block / total, prefix)
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
    kinds = ("squeeze", "reduce", "expand", "excite")
    x = squeeze_excite(x, channels // 4, names=tuple(f"{prefix}se_{kind}" for kind in kinds), activation="silu")
    return conv(x, filters, 1, names=_names(prefix, "project"), activation=None)


def _fused(
    x: keras.KerasTensor, kernel_size: int, expansion: int, filters: int, strides: int, conv: Callable, prefix: str
) -> keras.KerasTensor:
    if expansion == 1:
        return conv(x, filters, kernel_size, strides, names=_names(prefix, "project"))
    x = conv(x, expansion * x.shape[-1], kernel_size, strides, names=_names(prefix, "expand"))
    return conv(x, filters, 1, names=_names(prefix, "project"), activation=None)


def _add(x: keras.KerasTensor, shortcut: keras.KerasTensor, rate: float, prefix: str) -> keras.KerasTensor:
    """Add the shortcut; in training, a picture skips the block with probability `rate`."""
    if rate:
        x = layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{prefix}drop")(x)
    return layers.Add(name=f"{prefix}add")([x, shortcut])


def _names(prefix: str, part: str) -> tuple[str, str, str]:
    return f"{prefix}{part}_conv", f"{prefix}{part}_bn", f"{prefix}{part}_activation"
