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

from zoo.builder import Family, Options, build, documented
from zoo.layers import stage
from zoo.weights.names import convnext as names

CONVNEXT = Family({"keras": "torch", "torch": "torch", "timm": "torch"})
TORCH_NAMES = {"torch": names.torchvision, "timm": names.timm}


@documented(CONVNEXT)
def convnext_tiny(**options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-T of Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_tiny", depths=(3, 3, 9, 3), width=96, stochastic_depth=0.1, options=options)


@documented(CONVNEXT)
def convnext_small(**options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-S of Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_small", depths=(3, 3, 27, 3), width=96, stochastic_depth=0.4, options=options)


@documented(CONVNEXT)
def convnext_base(**options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-B of Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_base", depths=(3, 3, 27, 3), width=128, stochastic_depth=0.5, options=options)


@documented(CONVNEXT)
def convnext_large(**options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-L of Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_large", depths=(3, 3, 27, 3), width=192, stochastic_depth=0.5, options=options)


@documented(CONVNEXT)
def convnext_xlarge(**options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-XL of Liu et al. 2022 (arXiv:2201.03545), section 3."""
    # The rate of its training on ImageNet-21k, the only one there is.
    return _convnext("convnext_xlarge", depths=(3, 3, 27, 3), width=256, stochastic_depth=0.2, options=options)


def _convnext(name: str, depths: tuple[int, ...], width: int, stochastic_depth: float, options: Options) -> keras.Model:
    body = partial(_body, depths=depths, width=width, stochastic_depth=stochastic_depth, name=name)
    return build(name, body, CONVNEXT, torch_names=TORCH_NAMES, **options)


def _body(
    x: keras.KerasTensor, variant: str, depths: tuple[int, ...], width: int, stochastic_depth: float, name: str
) -> keras.KerasTensor:
    rates = iter(np.linspace(0, stochastic_depth, sum(depths)).tolist())  # table 5: rises to its rate, block by block
    x = layers.Conv2D(width, 4, 4, name=f"{name}_stem_conv")(x)
    x = _norm(x, f"{name}_stem_layernorm")
    for i, depth in enumerate(depths):
        if i > 0:
            x = _norm(x, f"{name}_downsampling_layernorm_{i - 1}")
            x = layers.Conv2D(width * 2**i, 2, 2, name=f"{name}_downsampling_conv_{i - 1}")(x)
        for block in range(depth):
            x = _block(x, next(rates), f"{name}_stage_{i}_block_{block}")
        x = stage(x, f"stage{i + 1}")
    x = layers.GlobalAveragePooling2D(name=f"{name}_head_gap")(x)
    return stage(_norm(x, f"{name}_head_layernorm"), "pre_logits")


def _block(x: keras.KerasTensor, drop: float, name: str) -> keras.KerasTensor:
    shortcut, channels = x, x.shape[-1]
    x = layers.DepthwiseConv2D(7, padding="same", name=f"{name}_depthwise_conv")(x)
    x = _norm(x, f"{name}_layernorm")
    x = layers.Dense(4 * channels, name=f"{name}_pointwise_conv_1")(x)
    x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    x = layers.Dense(channels, name=f"{name}_pointwise_conv_2")(x)
    # The stock layer that multiplies each channel by a trained number.
    x = layers.EinsumDense(
        "bhwc,c->bhwc", x.shape[1:], name=f"{name}_layer_scale", kernel_initializer=keras.initializers.Constant(1e-6)
    )(x)
    if drop:
        x = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}_stochastic_depth")(x)
    return layers.Add(name=f"{name}_add")([shortcut, x])


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.LayerNormalization(epsilon=1e-6, name=name)(x)
