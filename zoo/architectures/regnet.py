"""RegNet: Radosavovic, Kosaraju, Girshick, He, Dollár 2020, "Designing Network Design Spaces", arXiv:2003.13678.

Not one network but a rule that draws them (section 3.3): the widths of the blocks rise along a line, w_0 + w_a · j, are
moved to the nearest w_0 · w_m^s with a whole s, and then to multiples of 8; blocks of one width are a stage. With the width
g of a group of the 3 × 3 convolution, five numbers are a network: tables 8 (RegNetX) and 9 (RegNetY) of the paper, here as
torchvision rounds them.

A block is a 1 × 1, a 3 × 3 in groups and a 1 × 1 convolution, all of one width, and adds its input back; in RegNetY,
squeeze and excitation follows the 3 × 3. The numbers in the names are multiply-adds at 224 × 224 pixels.
"""

import math
from collections import Counter
from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build
from zoo.layers import conv_bn, squeeze_excite, stage
from zoo.weights.names import regnet as names

REGNET = Family({"torch": "torch"})


def regnet_x_400mf(**options: Unpack[Options]) -> keras.Model:
    """RegNetX-400MF of Radosavovic et al. 2020 (arXiv:2003.13678), table 8: 5,495,976 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", "imagenet_torchvision_v2".
    """
    return _regnet("regnet_x_400mf", 22, 24, 24.48, 2.54, 16, False, options)


def regnet_x_800mf(**options: Unpack[Options]) -> keras.Model:
    """RegNetX-800MF of Radosavovic et al. 2020 (arXiv:2003.13678), table 8: 7,259,656 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", "imagenet_torchvision_v2".
    """
    return _regnet("regnet_x_800mf", 16, 56, 35.73, 2.28, 16, False, options)


def regnet_x_1_6gf(**options: Unpack[Options]) -> keras.Model:
    """RegNetX-1.6GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 8: 9,190,136 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", "imagenet_torchvision_v2".
    """
    return _regnet("regnet_x_1_6gf", 18, 80, 34.01, 2.25, 24, False, options)


def regnet_x_3_2gf(**options: Unpack[Options]) -> keras.Model:
    """RegNetX-3.2GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 8: 15,296,552 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", "imagenet_torchvision_v2".
    """
    return _regnet("regnet_x_3_2gf", 25, 88, 26.31, 2.25, 48, False, options)


def regnet_x_8gf(**options: Unpack[Options]) -> keras.Model:
    """RegNetX-8GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 8: 39,572,648 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", "imagenet_torchvision_v2".
    """
    return _regnet("regnet_x_8gf", 23, 80, 49.56, 2.88, 120, False, options)


def regnet_x_16gf(**options: Unpack[Options]) -> keras.Model:
    """RegNetX-16GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 8: 54,278,536 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", "imagenet_torchvision_v2".
    """
    return _regnet("regnet_x_16gf", 22, 216, 55.59, 2.1, 128, False, options)


def regnet_x_32gf(**options: Unpack[Options]) -> keras.Model:
    """RegNetX-32GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 8: 107,811,560 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", "imagenet_torchvision_v2".
    """
    return _regnet("regnet_x_32gf", 23, 320, 69.86, 2.0, 168, False, options)


def regnet_y_400mf(**options: Unpack[Options]) -> keras.Model:
    """RegNetY-400MF of Radosavovic et al. 2020 (arXiv:2003.13678), table 9: 4,344,144 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", "imagenet_torchvision_v2".
    """
    return _regnet("regnet_y_400mf", 16, 48, 27.89, 2.09, 8, True, options)


def regnet_y_800mf(**options: Unpack[Options]) -> keras.Model:
    """RegNetY-800MF of Radosavovic et al. 2020 (arXiv:2003.13678), table 9: 6,432,512 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", "imagenet_torchvision_v2".
    """
    return _regnet("regnet_y_800mf", 14, 56, 38.84, 2.4, 16, True, options)


def regnet_y_1_6gf(**options: Unpack[Options]) -> keras.Model:
    """RegNetY-1.6GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 9: 11,202,430 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", "imagenet_torchvision_v2".
    """
    return _regnet("regnet_y_1_6gf", 27, 48, 20.71, 2.65, 24, True, options)


def regnet_y_3_2gf(**options: Unpack[Options]) -> keras.Model:
    """RegNetY-3.2GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 9: 19,436,338 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", "imagenet_torchvision_v2".
    """
    return _regnet("regnet_y_3_2gf", 21, 80, 42.63, 2.66, 24, True, options)


def regnet_y_8gf(**options: Unpack[Options]) -> keras.Model:
    """RegNetY-8GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 9: 39,381,472 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", "imagenet_torchvision_v2".
    """
    return _regnet("regnet_y_8gf", 17, 192, 76.82, 2.19, 56, True, options)


def regnet_y_16gf(**options: Unpack[Options]) -> keras.Model:
    """RegNetY-16GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 9: 83,590,140 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", "imagenet_torchvision_v2", "imagenet_torchvision_swag", "imagenet_torchvision_swag_linear".
    """
    return _regnet("regnet_y_16gf", 18, 200, 106.23, 2.48, 112, True, options)


def regnet_y_32gf(**options: Unpack[Options]) -> keras.Model:
    """RegNetY-32GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 9: 145,046,770 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", "imagenet_torchvision_v2", "imagenet_torchvision_swag", "imagenet_torchvision_swag_linear".
    """
    return _regnet("regnet_y_32gf", 20, 232, 115.89, 2.53, 232, True, options)


def draw(depth: int, w_0: int, w_a: float, w_m: float, g: int) -> list[tuple[int, int, int]]:
    """The stages that the five numbers stand for, each as (width, blocks, width of a group)."""
    widths = []
    for j in range(depth):
        u = w_0 + w_a * j  # equation 2
        s = round(math.log(u / w_0, w_m))  # equation 3
        widths.append(8 * round(w_0 * w_m**s / 8))  # equation 4
    stages = []
    for width, blocks in Counter(widths).items():
        group = min(g, width)
        whole = (width + group // 2) // group * group  # a whole number of groups
        if whole < 0.9 * width:  # torchvision's rule: the paper's RegNetY-8GF begins with 168 instead of its 224
            whole += group
        stages.append((whole, blocks, group))
    return stages


def _regnet(name: str, depth: int, w_0: int, w_a: float, w_m: float, g: int, squeeze: bool, options: Options) -> keras.Model:
    body = partial(_body, stages=draw(depth, w_0, w_a, w_m, g), squeeze=squeeze)
    return build(name, body, REGNET, torch_names={"torch": names.torchvision}, **options)


def _body(x: keras.KerasTensor, variant: str, stages: list[tuple[int, int, int]], squeeze: bool) -> keras.KerasTensor:
    x = _conv(x, 32, 3, 2, name="stem")
    for i, (width, blocks, group) in enumerate(stages, start=1):
        for block in range(1, blocks + 1):
            x = _block(x, width, group, 2 if block == 1 else 1, squeeze, f"stage{i}_block{block}")
        x = stage(x, f"stage{i}")
    return stage(layers.GlobalAveragePooling2D(name="avg_pool")(x), "pre_logits")


def _block(x: keras.KerasTensor, width: int, group: int, strides: int, squeeze: bool, name: str) -> keras.KerasTensor:
    shortcut, channels = x, x.shape[-1]
    if strides > 1 or channels != width:
        shortcut = _conv(x, width, 1, strides, name=f"{name}_0", activation=None)
    x = _conv(x, width, 1, name=f"{name}_1")
    x = _conv(x, width, 3, strides, name=f"{name}_2", groups=width // group)
    if squeeze:  # to a quarter of the width before the block
        parts = tuple(f"{name}_se_{part}" for part in ("squeeze", "reduce", "expand", "excite"))
        x = squeeze_excite(x, round(channels / 4), names=parts)
    x = _conv(x, width, 1, name=f"{name}_3", activation=None)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _conv(x: keras.KerasTensor, filters: int, kernel_size: int, strides: int = 1, *, name: str, **options):
    return conv_bn(
        x,
        filters,
        kernel_size,
        strides,
        names=(f"{name}_conv", f"{name}_bn", f"{name}_relu"),
        padding="torch",
        epsilon=1e-5,
        momentum=0.9,
        **options,
    )
