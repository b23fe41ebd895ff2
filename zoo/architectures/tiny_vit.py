"""TinyViT: Wu et al. 2022, "TinyViT: Fast Pretraining Distillation for Small Vision Transformers", arXiv:2207.10666.

Section 3.2 of the paper, and its table 10:

    stage     1     2     3     4
    blocks    2     2     6     2
    window    -     7    14     7     pixels of the map; for 384 × 384 pixels 12, 24, 12, and for 512 × 512 16, 32, 16
    5m       64   128   160   320     channels; a head of attention has 32
    11m      64   128   256   448
    21m      96   192   384   576

A small Swin with convolutions: two of stride 2 make the patches, the first stage is of inverted residuals with a GELU behind
the sum, and between two stages three convolutions halve the map. Windows are not shifted: a depthwise 3 × 3 between attention
and perceptron tells them of each other. What attention knows of places is a trained number for each distance along rows and
columns. The tables of distances are of the window, so one network's files fit all sizes of pictures, and no other network's.

Height and width are fixed when the model is built, and any from 32 up; maps that windows do not divide are padded. What a
place sees depends on where in its window it lies: receptive fields are not said.

`drop_path_rate` is the authors' for training, and for the larger pictures. Fresh weights are the authors': dense layers
N(0, 0.02²), convolutions as PyTorch has them, and inverted residuals begin as nothing but their shortcut.

    builder           variant  parameters  of which statistics   px  weights
    tiny_vit_5m       timm   5,402,620                9,856  224  imagenet_timm_*
    tiny_vit_11m      timm  11,009,836               12,864  224  imagenet_timm_*
    tiny_vit_21m      timm  21,216,904               18,336  224  imagenet_timm_*
    tiny_vit_21m_384  timm  21,248,824               18,336  384  imagenet_timm_dist_in22k_ft
    tiny_vit_21m_512  timm  21,286,456               18,336  512  imagenet_timm_dist_in22k_ft
"""

from functools import partial
from typing import Unpack

import keras
import numpy as np
from keras import layers, ops

from zoo import windows
from zoo.arguments import rate as read_rate
from zoo.builder import Family, Options, build, documented
from zoo.initializers import TORCH_DEFAULT, normal, variance_scaling
from zoo.layers import classifier, drop_path, pad_like_torch, stage
from zoo.weights.names import tiny_vit as names

SIZES = dict(
    any_size=False,
    interpolation="bicubic",
    head=partial(classifier, kernel_initializer=normal(0.02)),
    notes="drop_path_rate is the last block's; that of the others rises to it from 0.",
)
TINY_VIT = Family({"timm": "torch"}, resize=235, **SIZES)
TINY_VIT_384 = Family({"timm": "torch"}, input_shape=(384, 384, 3), resize=384, **SIZES)
TINY_VIT_512 = Family({"timm": "torch"}, input_shape=(512, 512, 3), resize=512, **SIZES)
DENSE = dict(kernel_initializer=normal(0.02))
DEPTHWISE = variance_scaling(1 / 3, "fan_out", "uniform")  # PyTorch's of convolutions, whose fan-in is Keras' fan-out here
DEPTHS = (2, 2, 6, 2)
HEAD_WIDTH = 32
EXPANSION = 4


@documented(TINY_VIT)
def tiny_vit_5m(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build TinyViT-5M of Wu et al. 2022 (arXiv:2207.10666), section 3.2."""
    return _tiny_vit("tiny_vit_5m", TINY_VIT, drop_path_rate, options, widths=(64, 128, 160, 320))


@documented(TINY_VIT)
def tiny_vit_11m(*, drop_path_rate: float = 0.1, **options: Unpack[Options]) -> keras.Model:
    """Build TinyViT-11M of Wu et al. 2022 (arXiv:2207.10666), section 3.2."""
    return _tiny_vit("tiny_vit_11m", TINY_VIT, drop_path_rate, options, widths=(64, 128, 256, 448))


@documented(TINY_VIT)
def tiny_vit_21m(*, drop_path_rate: float = 0.2, **options: Unpack[Options]) -> keras.Model:
    """Build TinyViT-21M of Wu et al. 2022 (arXiv:2207.10666), section 3.2."""
    return _tiny_vit("tiny_vit_21m", TINY_VIT, drop_path_rate, options, widths=(96, 192, 384, 576))


@documented(TINY_VIT_384)
def tiny_vit_21m_384(*, drop_path_rate: float = 0.1, **options: Unpack[Options]) -> keras.Model:
    """Build TinyViT-21M with windows for 384 × 384 pixels, of Wu et al. 2022 (arXiv:2207.10666)."""
    return _tiny_vit("tiny_vit_21m_384", TINY_VIT_384, drop_path_rate, options, widths=(96, 192, 384, 576), window=12)


@documented(TINY_VIT_512)
def tiny_vit_21m_512(*, drop_path_rate: float = 0.1, **options: Unpack[Options]) -> keras.Model:
    """Build TinyViT-21M with windows for 512 × 512 pixels, of Wu et al. 2022 (arXiv:2207.10666)."""
    return _tiny_vit("tiny_vit_21m_512", TINY_VIT_512, drop_path_rate, options, widths=(96, 192, 384, 576), window=16)


def _tiny_vit(
    name: str, family: Family, drop_path_rate: float, options: Options, widths: tuple[int, ...], window: int = 7
) -> keras.Model:
    drop_path_rate = read_rate(drop_path_rate, f"{name}: drop_path_rate")
    body = partial(_body, widths=widths, window=window, drop_path_rate=drop_path_rate)
    return build(name, body, family, torch_names={"timm": names.timm}, **options)


def _body(x: keras.KerasTensor, variant: str, widths: tuple[int, ...], window: int, drop_path_rate: float) -> keras.KerasTensor:
    rates = iter(np.linspace(0, drop_path_rate, sum(DEPTHS)).tolist())
    x = _conv(x, widths[0] // 2, 3, 2, name="patches1")
    x = _conv(layers.Activation("gelu", name="patches_gelu")(x), widths[0], 3, 2, name="patches2")
    for i, (width, depth) in enumerate(zip(widths, DEPTHS, strict=True), start=1):
        if i > 1:
            x = _halve(x, width, f"stage{i}")
            side = 2 * window if i == 3 else window
            places = _distances(x, side)
        for block in range(1, depth + 1):
            name, drop = f"stage{i}_block{block}", next(rates)
            x = _inverted_residual(x, drop, name) if i == 1 else _block(x, side, places, drop, name)
        x = stage(x, f"stage{i}")
    x = _norm(layers.GlobalAveragePooling2D(name="avg_pool")(x), "norm")
    return stage(x, "pre_logits")


def _inverted_residual(x: keras.KerasTensor, drop: float, name: str) -> keras.KerasTensor:
    channels, shortcut = x.shape[-1], x
    x = layers.Activation("gelu", name=f"{name}_gelu1")(_conv(x, EXPANSION * channels, 1, name=f"{name}_conv1"))
    x = layers.Activation("gelu", name=f"{name}_gelu2")(_conv(x, None, 3, name=f"{name}_conv2"))
    x = _conv(x, channels, 1, gamma_initializer="zeros", name=f"{name}_conv3")
    x = layers.Add(name=f"{name}_add")([drop_path(x, drop, f"{name}_drop"), shortcut])
    return layers.Activation("gelu", name=f"{name}_gelu3")(x)


def _halve(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    x = layers.Activation("gelu", name=f"{name}_gelu1")(_conv(x, width, 1, name=f"{name}_conv1"))
    x = layers.Activation("gelu", name=f"{name}_gelu2")(_conv(x, None, 3, 2, name=f"{name}_conv2"))
    return _conv(x, width, 1, name=f"{name}_conv3")


def _distances(x: keras.KerasTensor, side: int) -> keras.KerasTensor:
    """Find the column of the table for the distance between any two tokens of a window, `(tokens, tokens)`."""
    rows, columns = np.indices((side, side), "int32").reshape(2, -1)
    apart = [np.abs(places[:, None] - places[None]) for places in (rows, columns)]
    return windows.zero(x) + (apart[0] * side + apart[1])


def _block(x: keras.KerasTensor, side: int, places: keras.KerasTensor, drop: float, name: str) -> keras.KerasTensor:
    channels = x.shape[-1]
    y = drop_path(_in_windows(x, side, places, name), drop, name=f"{name}_drop1")
    x = layers.Add(name=f"{name}_add1")([x, y])
    x = _conv(x, None, 3, name=f"{name}_local")
    y = layers.Dense(EXPANSION * channels, name=f"{name}_mlp1", **DENSE)(_norm(x, f"{name}_norm2"))
    y = layers.Activation("gelu", name=f"{name}_gelu")(y)
    y = layers.Dense(channels, name=f"{name}_mlp2", **DENSE)(y)
    y = drop_path(y, drop, name=f"{name}_drop2")
    return layers.Add(name=f"{name}_add2")([x, y])


def _in_windows(x: keras.KerasTensor, side: int, places: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Attend in the windows of a map; what pads it is zero before the norm."""
    padding = windows.padding(x.shape[1:3], (side, side))
    x = windows.pad(x, padding, f"{name}_pad")
    size = x.shape[1:3]
    x = _attention(windows.partition(x, (side, side), f"{name}_windows"), side, places, name)
    return windows.crop(windows.merge(x, (side, side), size, f"{name}_map"), padding, f"{name}_crop")


def _attention(x: keras.KerasTensor, side: int, places: keras.KerasTensor, name: str) -> keras.KerasTensor:
    count, tokens, channels = x.shape[1:]
    heads = channels // HEAD_WIDTH
    table = layers.Embedding(heads, side**2, embeddings_initializer="zeros", name=f"{name}_distances")
    bias = ops.take(table(windows.zero(x[:, :, None]) + np.arange(heads, dtype="int32")), places, axis=1)
    x = layers.Dense(3 * channels, name=f"{name}_qkv", **DENSE)(_norm(x, f"{name}_norm1"))
    x = layers.Reshape((count, tokens, heads, 3 * HEAD_WIDTH), name=f"{name}_heads")(x)
    x = windows.attend(*ops.split(x, 3, axis=-1), bias, None, f"{name}_attention")
    return layers.Dense(channels, name=f"{name}_projection", **DENSE)(x)


def _conv(
    x: keras.KerasTensor,
    filters: int | None,
    kernel_size: int,
    strides: int = 1,
    *,
    gamma_initializer: str = "ones",
    name: str,
) -> keras.KerasTensor:
    """Apply a convolution, depthwise without `filters`, and its batch norm."""
    if strides > 1:
        x = pad_like_torch(x, kernel_size, name=f"{name}_pad")
    options = dict(strides=strides, padding="valid" if strides > 1 else "same", use_bias=False, name=name)
    if filters is None:
        x = layers.DepthwiseConv2D(kernel_size, depthwise_initializer=DEPTHWISE, **options)(x)
    else:
        x = layers.Conv2D(filters, kernel_size, kernel_initializer=TORCH_DEFAULT, **options)(x)
    return layers.BatchNormalization(epsilon=1e-5, momentum=0.9, gamma_initializer=gamma_initializer, name=f"{name}_bn")(x)


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.LayerNormalization(epsilon=1e-5, name=name)(x)
