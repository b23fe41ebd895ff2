"""ConvNeXt: Liu, Mao, Wu, Feichtenhofer, Darrell, Xie 2022, "A ConvNet for the 2020s", arXiv:2201.03545.

A ResNet with the choices of a vision transformer. Section 3 of the paper, below table 9:

    stage        1     2     3     4      blocks: tiny 3, 3, 9, 3; the others 3, 3, 27, 3
    tiny        96   192   384   768      channels
    small       96   192   384   768
    base       128   256   512  1024
    large      192   384   768  1536
    xlarge     256   512  1024  2048

A block (figure 4) is a depthwise 7 × 7 and a perceptron of four times the width; its output, scaled by a trained vector
that starts at 1e-6, is added back. All publishers have this graph; their files name it differently. The
weights of keras.applications for base, large and xlarge saw ImageNet-21k first.

In training, a picture skips a block with a probability that rises from 0 to `drop_path_rate` at the last: table 5. Fresh
weights are N(0, 0.02²), the authors' and torchvision's "truncated" normal.

    builder          variant   parameters  of which statistics   px  weights
    convnext_tiny    keras     28,589,128                    0  224  imagenet
    convnext_tiny    torch     28,589,128                    0  224  imagenet_torchvision
    convnext_tiny    timm      28,589,128                    0  224  imagenet_timm_*
    convnext_small   keras     50,223,688                    0  224  imagenet
    convnext_small   torch     50,223,688                    0  224  imagenet_torchvision
    convnext_small   timm      50,223,688                    0  224  imagenet_timm_*
    convnext_base    keras     88,591,464                    0  224  imagenet
    convnext_base    torch     88,591,464                    0  224  imagenet_torchvision
    convnext_base    timm      88,591,464                    0  224  imagenet_timm_*
    convnext_large   keras    197,767,336                    0  224  imagenet
    convnext_large   torch    197,767,336                    0  224  imagenet_torchvision
    convnext_large   timm     197,767,336                    0  224  imagenet_timm_*
    convnext_xlarge  keras    350,196,968                    0  224  imagenet
    convnext_xlarge  torch    350,196,968                    0  224  none
    convnext_xlarge  timm     350,196,968                    0  224  imagenet_timm_*
"""

from functools import partial
from typing import Unpack

import keras
import numpy as np
from keras import layers

from zoo.arguments import rate as read_rate
from zoo.builder import Family, Options, build, documented
from zoo.initializers import constant, normal
from zoo.layers import classifier, drop_path, stage
from zoo.weights.names import convnext as names

CONVNEXT = Family(
    {"keras": "torch", "torch": "torch", "timm": "torch"},
    head=partial(classifier, kernel_initializer=normal(0.02)),
    notes="drop_path_rate is the last block's; that of the others rises to it from 0.",
)
KERNELS = dict(kernel_initializer=normal(0.02))
TORCH_NAMES = {"torch": names.torchvision, "timm": names.timm}


@documented(CONVNEXT)
def convnext_tiny(*, drop_path_rate: float = 0.1, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-T of Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_tiny", depths=(3, 3, 9, 3), width=96, drop_path_rate=drop_path_rate, options=options)


@documented(CONVNEXT)
def convnext_small(*, drop_path_rate: float = 0.4, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-S of Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_small", depths=(3, 3, 27, 3), width=96, drop_path_rate=drop_path_rate, options=options)


@documented(CONVNEXT)
def convnext_base(*, drop_path_rate: float = 0.5, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-B of Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_base", depths=(3, 3, 27, 3), width=128, drop_path_rate=drop_path_rate, options=options)


@documented(CONVNEXT)
def convnext_large(*, drop_path_rate: float = 0.5, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-L of Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_large", depths=(3, 3, 27, 3), width=192, drop_path_rate=drop_path_rate, options=options)


@documented(CONVNEXT)
def convnext_xlarge(*, drop_path_rate: float = 0.2, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-XL of Liu et al. 2022 (arXiv:2201.03545), section 3; the rate is of its training on ImageNet-21k."""
    return _convnext("convnext_xlarge", depths=(3, 3, 27, 3), width=256, drop_path_rate=drop_path_rate, options=options)


def _convnext(name: str, depths: tuple[int, ...], width: int, drop_path_rate: float, options: Options) -> keras.Model:
    drop_path_rate = read_rate(drop_path_rate, f"{name}: drop_path_rate")
    body = partial(_body, depths=depths, width=width, drop_path_rate=drop_path_rate, name=name)
    return build(name, body, CONVNEXT, torch_names=TORCH_NAMES, **options)


def _body(
    x: keras.KerasTensor, variant: str, depths: tuple[int, ...], width: int, drop_path_rate: float, name: str
) -> keras.KerasTensor:
    rates = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
    x = layers.Conv2D(width, 4, 4, name=f"{name}_stem_conv", **KERNELS)(x)
    x = _norm(x, f"{name}_stem_layernorm")
    for i, depth in enumerate(depths):
        if i > 0:
            x = _norm(x, f"{name}_downsampling_layernorm_{i - 1}")
            x = layers.Conv2D(width * 2**i, 2, 2, name=f"{name}_downsampling_conv_{i - 1}", **KERNELS)(x)
        for block in range(depth):
            x = _block(x, next(rates), f"{name}_stage_{i}_block_{block}")
        x = stage(x, f"stage{i + 1}")
    x = layers.GlobalAveragePooling2D(name=f"{name}_head_gap")(x)
    return stage(_norm(x, f"{name}_head_layernorm"), "pre_logits")


def _block(x: keras.KerasTensor, drop: float, name: str) -> keras.KerasTensor:
    shortcut, channels = x, x.shape[-1]
    x = layers.DepthwiseConv2D(7, padding="same", depthwise_initializer=normal(0.02), name=f"{name}_depthwise_conv")(x)
    x = _norm(x, f"{name}_layernorm")
    x = layers.Dense(4 * channels, name=f"{name}_pointwise_conv_1", **KERNELS)(x)
    x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    x = layers.Dense(channels, name=f"{name}_pointwise_conv_2", **KERNELS)(x)
    # The stock layer that multiplies each channel by a trained number.
    start = constant(1e-6)
    x = layers.EinsumDense("bhwc,c->bhwc", x.shape[1:], name=f"{name}_layer_scale", kernel_initializer=start)(x)
    x = drop_path(x, drop, name=f"{name}_stochastic_depth")
    return layers.Add(name=f"{name}_add")([shortcut, x])


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.LayerNormalization(epsilon=1e-6, name=name)(x)
