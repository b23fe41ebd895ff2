"""RegNet: Radosavovic, Kosaraju, Girshick, He, Dollár 2020, "Designing Network Design Spaces", arXiv:2003.13678.

Not one network but a rule that draws them (section 3.3): the widths of the blocks rise along a line, w_0 + w_a · j, are
moved to the nearest w_0 · w_m^s with a whole s, and then to multiples of 8; blocks of one width are a stage. With the width
g of a group of the 3 × 3 convolution, five numbers are a network: tables 8 (RegNetX) and 9 (RegNetY) of the paper, here as
torchvision rounds them.

A block is a 1 × 1, a 3 × 3 in groups and a 1 × 1 convolution, all of one width, and adds its input back; in RegNetY,
squeeze and excitation follows the 3 × 3. The numbers in the names are multiply-adds at 224 × 224 pixels.

Fresh weights are the authors' and torchvision's: He et al.'s by fan-out, and N(0, 0.01²) in the classifier.

    builder         variant   parameters  of which statistics   px  weights
    regnet_x_400mf  torch      5,533,832               37,856  224  imagenet_torchvision, imagenet_torchvision_v2
    regnet_x_800mf  torch      7,296,968               37,312  224  imagenet_torchvision, imagenet_torchvision_v2
    regnet_x_1_6gf  torch      9,233,640               43,504  224  imagenet_torchvision, imagenet_torchvision_v2
    regnet_x_3_2gf  torch     15,359,112               62,560  224  imagenet_torchvision, imagenet_torchvision_v2
    regnet_x_8gf    torch     39,663,112               90,464  224  imagenet_torchvision, imagenet_torchvision_v2
    regnet_x_16gf   torch     54,389,704              111,168  224  imagenet_torchvision, imagenet_torchvision_v2
    regnet_x_32gf   torch    107,973,576              162,016  224  imagenet_torchvision, imagenet_torchvision_v2
    regnet_y_400mf  torch      4,371,296               27,152  224  imagenet_torchvision, imagenet_torchvision_v2
    regnet_y_800mf  torch      6,462,944               30,432  224  imagenet_torchvision, imagenet_torchvision_v2
    regnet_y_1_6gf  torch     11,255,102               52,672  224  imagenet_torchvision, imagenet_torchvision_v2
    regnet_y_3_2gf  torch     19,502,498               66,160  224  imagenet_torchvision, imagenet_torchvision_v2
    regnet_y_8gf    torch     39,468,000               86,528  224  imagenet_torchvision, imagenet_torchvision_v2
    regnet_y_16gf   torch     83,712,956              122,816  224  imagenet_torchvision, imagenet_torchvision_*
    regnet_y_32gf   torch    145,205,058              158,288  224  imagenet_torchvision, imagenet_torchvision_*
"""

import math
from collections import Counter
from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build, documented
from zoo.initializers import HE_FAN_OUT, normal
from zoo.layers import classifier, conv_bn, squeeze_excite, stage
from zoo.weights.names import regnet as names

REGNET = Family({"torch": "torch"}, head=partial(classifier, kernel_initializer=normal(0.01)))

Stages = list[tuple[int, int, int]]  # (width, blocks, width of a group) of each


@documented(REGNET)
def regnet_x_400mf(**options: Unpack[Options]) -> keras.Model:
    """Build RegNetX-400MF of Radosavovic et al. 2020 (arXiv:2003.13678), table 8."""
    return _regnet("regnet_x_400mf", draw(depth=22, w_0=24, w_a=24.48, w_m=2.54, g=16), False, options)


@documented(REGNET)
def regnet_x_800mf(**options: Unpack[Options]) -> keras.Model:
    """Build RegNetX-800MF of Radosavovic et al. 2020 (arXiv:2003.13678), table 8."""
    return _regnet("regnet_x_800mf", draw(depth=16, w_0=56, w_a=35.73, w_m=2.28, g=16), False, options)


@documented(REGNET)
def regnet_x_1_6gf(**options: Unpack[Options]) -> keras.Model:
    """Build RegNetX-1.6GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 8."""
    return _regnet("regnet_x_1_6gf", draw(depth=18, w_0=80, w_a=34.01, w_m=2.25, g=24), False, options)


@documented(REGNET)
def regnet_x_3_2gf(**options: Unpack[Options]) -> keras.Model:
    """Build RegNetX-3.2GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 8."""
    return _regnet("regnet_x_3_2gf", draw(depth=25, w_0=88, w_a=26.31, w_m=2.25, g=48), False, options)


@documented(REGNET)
def regnet_x_8gf(**options: Unpack[Options]) -> keras.Model:
    """Build RegNetX-8GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 8."""
    return _regnet("regnet_x_8gf", draw(depth=23, w_0=80, w_a=49.56, w_m=2.88, g=120), False, options)


@documented(REGNET)
def regnet_x_16gf(**options: Unpack[Options]) -> keras.Model:
    """Build RegNetX-16GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 8."""
    return _regnet("regnet_x_16gf", draw(depth=22, w_0=216, w_a=55.59, w_m=2.1, g=128), False, options)


@documented(REGNET)
def regnet_x_32gf(**options: Unpack[Options]) -> keras.Model:
    """Build RegNetX-32GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 8."""
    return _regnet("regnet_x_32gf", draw(depth=23, w_0=320, w_a=69.86, w_m=2.0, g=168), False, options)


@documented(REGNET)
def regnet_y_400mf(**options: Unpack[Options]) -> keras.Model:
    """Build RegNetY-400MF of Radosavovic et al. 2020 (arXiv:2003.13678), table 9."""
    return _regnet("regnet_y_400mf", draw(depth=16, w_0=48, w_a=27.89, w_m=2.09, g=8), True, options)


@documented(REGNET)
def regnet_y_800mf(**options: Unpack[Options]) -> keras.Model:
    """Build RegNetY-800MF of Radosavovic et al. 2020 (arXiv:2003.13678), table 9."""
    return _regnet("regnet_y_800mf", draw(depth=14, w_0=56, w_a=38.84, w_m=2.4, g=16), True, options)


@documented(REGNET)
def regnet_y_1_6gf(**options: Unpack[Options]) -> keras.Model:
    """Build RegNetY-1.6GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 9."""
    return _regnet("regnet_y_1_6gf", draw(depth=27, w_0=48, w_a=20.71, w_m=2.65, g=24), True, options)


@documented(REGNET)
def regnet_y_3_2gf(**options: Unpack[Options]) -> keras.Model:
    """Build RegNetY-3.2GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 9."""
    return _regnet("regnet_y_3_2gf", draw(depth=21, w_0=80, w_a=42.63, w_m=2.66, g=24), True, options)


@documented(REGNET)
def regnet_y_8gf(**options: Unpack[Options]) -> keras.Model:
    """Build RegNetY-8GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 9."""
    return _regnet("regnet_y_8gf", draw(depth=17, w_0=192, w_a=76.82, w_m=2.19, g=56), True, options)


@documented(REGNET)
def regnet_y_16gf(**options: Unpack[Options]) -> keras.Model:
    """Build RegNetY-16GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 9."""
    return _regnet("regnet_y_16gf", draw(depth=18, w_0=200, w_a=106.23, w_m=2.48, g=112), True, options)


@documented(REGNET)
def regnet_y_32gf(**options: Unpack[Options]) -> keras.Model:
    """Build RegNetY-32GF of Radosavovic et al. 2020 (arXiv:2003.13678), table 9."""
    return _regnet("regnet_y_32gf", draw(depth=20, w_0=232, w_a=115.89, w_m=2.53, g=232), True, options)


def _regnet(name: str, stages: Stages, squeeze: bool, options: Options) -> keras.Model:
    body = partial(_body, stages=stages, squeeze=squeeze)
    return build(name, body, REGNET, torch_names={"torch": names.torchvision}, **options)


def draw(depth: int, w_0: int, w_a: float, w_m: float, g: int) -> Stages:
    """Draw the stages that the five numbers stand for."""
    widths = []
    for j in range(depth):
        u = w_0 + w_a * j  # equation 2
        s = round(math.log(u / w_0, w_m))  # equation 3
        widths.append(8 * round(w_0 * w_m**s / 8))  # equation 4
    stages = []
    for width, blocks in Counter(widths).items():
        group = min(g, width)
        whole = (width + group // 2) // group * group
        if whole < 0.9 * width:  # torchvision's rule: the paper's RegNetY-8GF begins with 168 instead of its 224
            whole += group
        stages.append((whole, blocks, group))
    return stages


def _body(x: keras.KerasTensor, variant: str, stages: Stages, squeeze: bool) -> keras.KerasTensor:
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
        x = squeeze_excite(x, round(channels / 4), names=parts, kernel_initializer=HE_FAN_OUT)
    x = _conv(x, width, 1, name=f"{name}_3", activation=None)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _conv(x: keras.KerasTensor, filters: int, kernel_size: int, strides: int = 1, *, name: str, **options) -> keras.KerasTensor:
    return conv_bn(
        x,
        filters,
        kernel_size,
        strides,
        names=(f"{name}_conv", f"{name}_bn", f"{name}_relu"),
        padding="torch",
        epsilon=1e-5,
        momentum=0.9,
        kernel_initializer=HE_FAN_OUT,
        **options,
    )
