"""PP-HGNetV2: PaddleClas 2023, github.com/PaddlePaddle/PaddleClas, ppcls/arch/backbone/legendary_models/pp_hgnet_v2.py.

Made to be fast on a GPU; without a paper of its own. RT-DETR has it as its backbone:

    stage                  1     2     3     4      blocks: b0, b1: 1, 1, 2, 1; the others 1, 1, 3, 1
    b0    inner channels  16    32    64   128      3 convolutions a block
          channels        64   256   512  1024
    b1    inner channels  32    48    96   192      3
          channels        64   256   512  1024
    b2    inner channels  32    64   128   256      4
          channels        96   384   768  1536
    b3    inner channels  32    64   128   256      5
          channels       128   512  1024  2048
    b4    inner channels  48    96   192   384      6
          channels       128   512  1024  2048

A block is a chain of convolutions, 3 × 3 in the first two stages, and 1 × 1 with a depthwise 5 × 5 in the last two. What goes
into it and all that the chain gives is concatenated, and two 1 × 1 convolutions make the block's channels of it; a second
block of a stage is added to what it got. In b0 to b3 two trained numbers scale and shift what comes out of each ReLU, all its
channels alike. "pre_logits" has 2,048 channels, behind a dense layer.

`drop_path_rate` is timm's, which PaddleClas does not have: 0. Only blocks that are added to what they got can be skipped.
Fresh weights are those of He et al. 2015 by what a convolution gives, as PaddleClas' and timm's.

    builder     variant  parameters  of which statistics   px  weights
    hgnetv2_b0  timm   6,008,822               12,272  224  imagenet_timm_*
    hgnetv2_b1  timm   6,357,246               14,088  224  imagenet_timm_*
    hgnetv2_b2  timm  11,248,052               26,696  224  imagenet_timm_*
    hgnetv2_b3  timm  16,326,816               34,600  224  imagenet_timm_*
    hgnetv2_b4  timm  19,842,376               45,696  224  imagenet_timm_*
"""

from collections.abc import Callable
from functools import partial
from typing import Unpack

import keras
import numpy as np
from keras import layers, ops

from zoo.arguments import rate as read_rate
from zoo.builder import Family, Options, build, documented
from zoo.initializers import HE_FAN_OUT, TORCH_DEFAULT, TORCHVISION
from zoo.layers import classifier, conv_bn, drop_path, stage
from zoo.weights.names import hgnet as names

HGNET = Family(
    {"timm": "torch"},
    resize=232,
    interpolation="bicubic",
    head=partial(classifier, kernel_initializer=TORCH_DEFAULT),
    notes="drop_path_rate is the last block's; that of the others rises to it from 0.",
)
LAST_WIDTH = 2048

Conv = Callable[..., keras.KerasTensor]


@documented(HGNET)
def hgnetv2_b0(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build PP-HGNetV2-B0 of PaddleClas 2023 (github.com/PaddlePaddle/PaddleClas), which has no paper."""
    sizes = dict(stem=(16, 16), inner=(16, 32, 64, 128), widths=(64, 256, 512, 1024), depths=(1, 1, 2, 1), chain=3)
    return _hgnet("hgnetv2_b0", drop_path_rate, options, **sizes)


@documented(HGNET)
def hgnetv2_b1(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build PP-HGNetV2-B1 of PaddleClas 2023 (github.com/PaddlePaddle/PaddleClas), which has no paper."""
    sizes = dict(stem=(24, 32), inner=(32, 48, 96, 192), widths=(64, 256, 512, 1024), depths=(1, 1, 2, 1), chain=3)
    return _hgnet("hgnetv2_b1", drop_path_rate, options, **sizes)


@documented(HGNET)
def hgnetv2_b2(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build PP-HGNetV2-B2 of PaddleClas 2023 (github.com/PaddlePaddle/PaddleClas), which has no paper."""
    sizes = dict(stem=(24, 32), inner=(32, 64, 128, 256), widths=(96, 384, 768, 1536), depths=(1, 1, 3, 1), chain=4)
    return _hgnet("hgnetv2_b2", drop_path_rate, options, **sizes)


@documented(HGNET)
def hgnetv2_b3(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build PP-HGNetV2-B3 of PaddleClas 2023 (github.com/PaddlePaddle/PaddleClas), which has no paper."""
    sizes = dict(stem=(24, 32), inner=(32, 64, 128, 256), widths=(128, 512, 1024, 2048), depths=(1, 1, 3, 1), chain=5)
    return _hgnet("hgnetv2_b3", drop_path_rate, options, **sizes)


@documented(HGNET)
def hgnetv2_b4(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build PP-HGNetV2-B4 of PaddleClas 2023 (github.com/PaddlePaddle/PaddleClas), which has no paper."""
    sizes = dict(stem=(32, 48), inner=(48, 96, 192, 384), widths=(128, 512, 1024, 2048), depths=(1, 1, 3, 1), chain=6)
    return _hgnet("hgnetv2_b4", drop_path_rate, options, affine=False, **sizes)


def _hgnet(
    name: str,
    drop_path_rate: float,
    options: Options,
    stem: tuple[int, int],
    inner: tuple[int, ...],
    widths: tuple[int, ...],
    depths: tuple[int, ...],
    chain: int,
    affine: bool = True,
) -> keras.Model:
    drop_path_rate = read_rate(drop_path_rate, f"{name}: drop_path_rate")
    stages = list(zip(inner, widths, depths, strict=True))
    body = partial(_body, stem=stem, stages=stages, chain=chain, affine=affine, drop_path_rate=drop_path_rate)
    return build(name, body, HGNET, torch_names={"timm": names.timm}, **options)


def _body(
    x: keras.KerasTensor,
    variant: str,
    stem: tuple[int, int],
    stages: list[tuple[int, int, int]],
    chain: int,
    affine: bool,
    drop_path_rate: float,
) -> keras.KerasTensor:
    rates = iter(np.linspace(0, drop_path_rate, sum(depth for _, _, depth in stages)).tolist())
    conv = partial(_conv, affine=affine)
    x = _stem(x, conv, *stem)
    for i, (inner, width, depth) in enumerate(stages, start=1):
        if i > 1:
            x = conv(x, None, 3, 2, activation=None, name=f"stage{i}_downsample")
        link = partial(_light, conv=conv) if i > 2 else partial(conv, kernel_size=3)
        for block in range(1, depth + 1):
            name = f"stage{i}_block{block}"
            y = _block(x, conv, link, inner, width, chain, name)
            drop = next(rates)
            x = layers.Add(name=f"{name}_add")([drop_path(y, drop, f"{name}_drop"), x]) if block > 1 else y
        x = stage(x, f"stage{i}")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = layers.Dense(LAST_WIDTH, use_bias=False, kernel_initializer=HE_FAN_OUT, name="last")(x)
    x = layers.Activation("relu", name="last_relu")(x)
    return stage(_affine(x, "last_affine") if affine else x, "pre_logits")


def _stem(x: keras.KerasTensor, conv: Conv, inner: int, width: int) -> keras.KerasTensor:
    x = conv(x, inner, 3, 2, name="stem1")
    y = conv(x, inner // 2, 2, name="stem2a")
    y = conv(y, inner, 2, name="stem2b")
    # Zeros take part in the maxima.
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="stem_pad")(x)
    x = layers.MaxPooling2D(2, 1, name="stem_pool")(x)
    x = layers.Concatenate(name="stem_concat")([x, y])
    x = conv(x, inner, 3, 2, name="stem3")
    return conv(x, width, 1, name="stem4")


def _block(x: keras.KerasTensor, conv: Conv, link: Conv, inner: int, width: int, chain: int, name: str) -> keras.KerasTensor:
    outputs = [x]
    for i in range(1, chain + 1):
        outputs.append(link(outputs[-1], inner, name=f"{name}_conv{i}"))
    x = layers.Concatenate(name=f"{name}_concat")(outputs)
    x = conv(x, width // 2, 1, name=f"{name}_squeeze")
    return conv(x, width, 1, name=f"{name}_excite")


def _light(x: keras.KerasTensor, filters: int, *, conv: Conv, name: str) -> keras.KerasTensor:
    x = conv(x, filters, 1, activation=None, name=f"{name}_point")
    return conv(x, None, 5, name=f"{name}_depth")


def _conv(
    x: keras.KerasTensor,
    filters: int | None,
    kernel_size: int,
    strides: int = 1,
    *,
    affine: bool,
    activation: str | None = "relu",
    name: str,
) -> keras.KerasTensor:
    style = dict(padding="torch", epsilon=1e-5, momentum=0.9, **TORCHVISION)
    # Without a stride, a window of 2 × 2 is padded at its end alone, there as here.
    x = conv_bn(x, filters, kernel_size, strides, names=(name, f"{name}_bn", f"{name}_relu"), activation=activation, **style)
    return _affine(x, f"{name}_affine") if affine and activation else x


def _affine(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Scale and shift everything by two trained numbers, which begin as 1 and 0."""
    x = ops.expand_dims(x, -1)
    letters = "bhwce" if len(x.shape) == 5 else "bce"
    scale = layers.EinsumDense(f"{letters},e->{letters}", x.shape[1:], bias_axes="e", kernel_initializer="ones", name=name)
    return ops.squeeze(scale(x), -1)
