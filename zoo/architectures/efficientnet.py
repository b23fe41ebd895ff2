"""EfficientNet and EfficientNetV2: inverted residuals, scaled in width, depth and input size together.

- V1: Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv:1905.11946, table 1
- V2: Tan & Le 2021, "EfficientNetV2: Smaller Models and Faster Training", arXiv:2104.00298, table 4

A row of their tables is an operator, its kernel size, expansion, filters, repeats and stride. The operators:

    mbconv   1 × 1 expands, depthwise convolution, squeeze-and-excite, 1 × 1 projects
    fused    one convolution expands, 1 × 1 projects; without expansion, one convolution

Variant "keras" pads as TensorFlow does, "torch" and "timm" as PyTorch does; batch norm has several epsilons.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build
from zoo.layers import conv_bn, divisible, squeeze_excite, stage
from zoo.weights.names import efficientnet as names

# A stage ends before the resolution falls.
V1 = (
    (("mbconv", 3, 1, 16, 1, 1),),
    (("mbconv", 3, 6, 24, 2, 2),),
    (("mbconv", 5, 6, 40, 2, 2),),
    (("mbconv", 3, 6, 80, 3, 2), ("mbconv", 5, 6, 112, 3, 1)),
    (("mbconv", 5, 6, 192, 4, 2), ("mbconv", 3, 6, 320, 1, 1)),
)
V2_BASE = (
    (("fused", 3, 1, 16, 1, 1),),
    (("fused", 3, 4, 32, 2, 2),),
    (("fused", 3, 4, 48, 2, 2),),
    (("mbconv", 3, 4, 96, 3, 2), ("mbconv", 3, 6, 112, 5, 1)),
    (("mbconv", 3, 6, 192, 8, 2),),
)
V2_S = (
    (("fused", 3, 1, 24, 2, 1),),
    (("fused", 3, 4, 48, 4, 2),),
    (("fused", 3, 4, 64, 4, 2),),
    (("mbconv", 3, 4, 128, 6, 2), ("mbconv", 3, 6, 160, 9, 1)),
    (("mbconv", 3, 6, 256, 15, 2),),
)
V2_M = (
    (("fused", 3, 1, 24, 3, 1),),
    (("fused", 3, 4, 48, 5, 2),),
    (("fused", 3, 4, 80, 5, 2),),
    (("mbconv", 3, 4, 160, 7, 2), ("mbconv", 3, 6, 176, 14, 1)),
    (("mbconv", 3, 6, 304, 18, 2), ("mbconv", 3, 6, 512, 5, 1)),
)
V2_L = (
    (("fused", 3, 1, 32, 4, 1),),
    (("fused", 3, 4, 64, 7, 2),),
    (("fused", 3, 4, 96, 7, 2),),
    (("mbconv", 3, 4, 192, 10, 2), ("mbconv", 3, 6, 224, 19, 1)),
    (("mbconv", 3, 6, 384, 25, 2), ("mbconv", 3, 6, 640, 7, 1)),
)

DROP = 0.2  # of the last block's residual; that of the others grows with depth


def efficientnet_b0(**options: Unpack[Options]) -> keras.Model:
    """EfficientNet-B0 of Tan & Le 2019 (arXiv:1905.11946), table 1: 5,330,564 parameters, moving statistics included.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision", "imagenet_timm_ra".
    """
    return _v1("efficientnet_b0", 224, 1.0, 1.0, options)


def efficientnet_b1(**options: Unpack[Options]) -> keras.Model:
    """EfficientNet-B1 of Tan & Le 2019 (arXiv:1905.11946): 7,856,232 parameters, moving statistics included.

    Input `(batch, 240, 240, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision", "imagenet_torchvision_v2", "imagenet_timm_ft".
    """
    return _v1("efficientnet_b1", 240, 1.0, 1.1, options)


def efficientnet_b2(**options: Unpack[Options]) -> keras.Model:
    """EfficientNet-B2 of Tan & Le 2019 (arXiv:1905.11946): 9,177,562 parameters, moving statistics included.

    Input `(batch, 260, 260, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision", "imagenet_timm_ra".
    """
    return _v1("efficientnet_b2", 260, 1.1, 1.2, options)


def efficientnet_b3(**options: Unpack[Options]) -> keras.Model:
    """EfficientNet-B3 of Tan & Le 2019 (arXiv:1905.11946): 12,320,528 parameters, moving statistics included.

    Input `(batch, 300, 300, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision", "imagenet_timm_ra2".
    """
    return _v1("efficientnet_b3", 300, 1.2, 1.4, options)


def efficientnet_b4(**options: Unpack[Options]) -> keras.Model:
    """EfficientNet-B4 of Tan & Le 2019 (arXiv:1905.11946): 19,466,816 parameters, moving statistics included.

    Input `(batch, 380, 380, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision", "imagenet_timm_ra2".
    """
    return _v1("efficientnet_b4", 380, 1.4, 1.8, options)


def efficientnet_b5(**options: Unpack[Options]) -> keras.Model:
    """EfficientNet-B5 of Tan & Le 2019 (arXiv:1905.11946): 30,562,520 parameters, moving statistics included.

    Input `(batch, 456, 456, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision", "imagenet_timm_sw_in12k_ft".
    """
    return _v1("efficientnet_b5", 456, 1.6, 2.2, options)


def efficientnet_b6(**options: Unpack[Options]) -> keras.Model:
    """EfficientNet-B6 of Tan & Le 2019 (arXiv:1905.11946): 43,265,136 parameters, moving statistics included.

    Input `(batch, 528, 528, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision".
    """
    return _v1("efficientnet_b6", 528, 1.8, 2.6, options)


def efficientnet_b7(**options: Unpack[Options]) -> keras.Model:
    """EfficientNet-B7 of Tan & Le 2019 (arXiv:1905.11946): 66,658,680 parameters, moving statistics included.

    Input `(batch, 600, 600, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision".
    """
    return _v1("efficientnet_b7", 600, 2.0, 3.1, options)


def efficientnet_v2_b0(**options: Unpack[Options]) -> keras.Model:
    """EfficientNetV2-B0 of Tan & Le 2021 (arXiv:2104.00298), section 4: 7,200,312 parameters, moving statistics included.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications).
    """
    return _v2_base("efficientnet_v2_b0", 224, 1.0, 1.0, options)


def efficientnet_v2_b1(**options: Unpack[Options]) -> keras.Model:
    """EfficientNetV2-B1 of Tan & Le 2021 (arXiv:2104.00298), section 4: 8,212,124 parameters, moving statistics included.

    Input `(batch, 240, 240, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications).
    """
    return _v2_base("efficientnet_v2_b1", 240, 1.0, 1.1, options)


def efficientnet_v2_b2(**options: Unpack[Options]) -> keras.Model:
    """EfficientNetV2-B2 of Tan & Le 2021 (arXiv:2104.00298), section 4: 10,178,374 parameters, moving statistics included.

    Input `(batch, 260, 260, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications).
    """
    return _v2_base("efficientnet_v2_b2", 260, 1.1, 1.2, options)


def efficientnet_v2_b3(**options: Unpack[Options]) -> keras.Model:
    """EfficientNetV2-B3 of Tan & Le 2021 (arXiv:2104.00298), section 4: 14,467,622 parameters, moving statistics included.

    Input `(batch, 300, 300, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications).
    """
    return _v2_base("efficientnet_v2_b3", 300, 1.2, 1.4, options)


def efficientnet_v2_s(**options: Unpack[Options]) -> keras.Model:
    """EfficientNetV2-S of Tan & Le 2021 (arXiv:2104.00298), table 4: 21,612,360 parameters, moving statistics included.

    Input `(batch, 384, 384, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision".
    """
    family = _family({"keras": "inception", "torch": "torch"}, 384, 384)
    return _v2("efficientnet_v2_s", V2_S, family, options, stem=24)


def efficientnet_v2_m(**options: Unpack[Options]) -> keras.Model:
    """EfficientNetV2-M of Tan & Le 2021 (arXiv:2104.00298), table 4: 54,431,388 parameters, moving statistics included.

    Input `(batch, 480, 480, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision".
    """
    family = _family({"keras": "inception", "torch": "torch"}, 480, 480)
    return _v2("efficientnet_v2_m", V2_M, family, options, stem=24)


def efficientnet_v2_l(**options: Unpack[Options]) -> keras.Model:
    """EfficientNetV2-L of Tan & Le 2021 (arXiv:2104.00298), table 4: 119,027,848 parameters, moving statistics included.

    Input `(batch, 480, 480, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision".
    """
    family = _family({"keras": "inception", "torch": "tf"}, 480, 480)
    return _v2("efficientnet_v2_l", V2_L, family, options)


def _v1(name: str, size: int, width: float, depth: float, options: Options) -> keras.Model:
    torch = dict(epsilon=1e-5, momentum=0.9, padding="torch")
    ported = dict(epsilon=1e-3, momentum=0.99, padding="torch")  # torchvision's larger ones come from TensorFlow
    style = {"keras": dict(epsilon=1e-3, momentum=0.99), "torch": ported if size >= 456 else torch, "timm": torch}
    body = partial(
        _body, stages=V1, stem=32, width=width, depth=depth, round_filters=divisible, style=style, depthwise="dwconv"
    )
    family = _family({"keras": "torch", "torch": "torch", "timm": "torch"}, size, size + 32)
    rows = _parts(V1)
    torch_names = {"torch": names.torchvision(rows), "timm": names.timm(rows)}
    return build(name, body, family, torch_names=torch_names, **options)


def _v2_base(name: str, size: int, width: float, depth: float, options: Options) -> keras.Model:
    return _v2(name, V2_BASE, _family({"keras": "torch"}, size, size + 32), options, width=width, depth=depth)


def _v2(name: str, stages: tuple, family: Family, options: Options, stem=32, width=1.0, depth=1.0) -> keras.Model:
    norm = dict(epsilon=1e-3, momentum=0.9)
    body = partial(
        _body,
        stages=stages,
        stem=stem,
        width=width,
        depth=depth,
        round_filters=partial(divisible, share=0),
        style={"keras": norm, "torch": dict(norm, padding="torch")},
        depthwise="dwconv2",
    )
    rows = _parts(stages)
    maps = {"torch": names.torchvision(rows), "keras": names.timm(rows)}  # timm has only files with TensorFlow's padding
    torch_names = {variant: rename for variant, rename in maps.items() if variant in family.preprocessing}
    return build(name, body, family, torch_names=torch_names, **options)


def _family(preprocessing: dict[str, str], size: int, resize: int) -> Family:
    return Family(preprocessing, input_shape=(size, size, 3), resize=resize, interpolation="bicubic", spare=("normalization",))


def _parts(stages: tuple) -> list[tuple[str, ...]]:
    """What the blocks of each row consist of, as `names.inverted` calls it."""
    middle = {"mbconv": ("depthwise", "squeeze", "excite"), "fused": ()}
    rows = chain(*stages)
    return [(*["expand"] * (expansion > 1), *middle[operator], "project") for operator, _, expansion, *_ in rows]


def _body(
    x: keras.KerasTensor,
    variant: str,
    stages: tuple,
    stem: int,
    width: float,
    depth: float,
    round_filters: Callable[[float], int],
    style: dict[str, dict],  # of each variant's convolutions
    depthwise: str,  # what keras.applications calls the depthwise convolutions
) -> keras.KerasTensor:
    conv = partial(conv_bn, activation="silu", **style[variant])
    x = conv(x, round_filters(stem * width), 3, 2, names=("stem_conv", "stem_bn", "stem_activation"))
    total = sum(math.ceil(depth * repeats) for *_, repeats, _ in chain(*stages))
    row = block = 0
    for i, rows in enumerate(stages, start=1):
        for operator, kernel_size, expansion, filters, repeats, stride in rows:
            row += 1
            for repeat in range(math.ceil(depth * repeats)):
                prefix = f"block{row}{chr(ord('a') + repeat)}_"
                strides = stride if repeat == 0 else 1
                arguments = (kernel_size, expansion, round_filters(filters * width), strides, conv, prefix)
                shortcut = x
                x = _fused(x, *arguments) if operator == "fused" else _mbconv(x, *arguments, depthwise)
                if strides == 1 and x.shape[-1] == shortcut.shape[-1]:
                    x = _add(x, shortcut, DROP * block / total, prefix)
                block += 1
        if i == len(stages):
            x = conv(x, round_filters(1280 * width), 1, names=("top_conv", "top_bn", "top_activation"))
        x = stage(x, f"stage{i}")
    return stage(layers.GlobalAveragePooling2D(name="avg_pool")(x), "pre_logits")


def _mbconv(x, kernel_size: int, expansion: int, filters: int, strides: int, conv: Callable, prefix: str, depthwise: str):
    channels = x.shape[-1]
    if expansion > 1:
        x = conv(x, expansion * channels, 1, names=_names(prefix, "expand"))
    x = conv(x, None, kernel_size, strides, names=(f"{prefix}{depthwise}", f"{prefix}bn", f"{prefix}activation"))
    kinds = ("squeeze", "reduce", "expand", "excite")
    x = squeeze_excite(x, channels // 4, names=tuple(f"{prefix}se_{kind}" for kind in kinds), activation="silu")
    return conv(x, filters, 1, names=_names(prefix, "project"), activation=None)


def _fused(x, kernel_size: int, expansion: int, filters: int, strides: int, conv: Callable, prefix: str):
    if expansion == 1:
        return conv(x, filters, kernel_size, strides, names=_names(prefix, "project"))
    x = conv(x, expansion * x.shape[-1], kernel_size, strides, names=_names(prefix, "expand"))
    return conv(x, filters, 1, names=_names(prefix, "project"), activation=None)


def _add(x, shortcut, rate: float, prefix: str):
    """The residual's sum; in training, a picture skips the block with probability `rate`."""
    if rate:
        x = layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{prefix}drop")(x)
    return layers.Add(name=f"{prefix}add")([x, shortcut])


def _names(prefix: str, part: str) -> tuple[str, str, str]:
    return f"{prefix}{part}_conv", f"{prefix}{part}_bn", f"{prefix}{part}_activation"
