"""ConvNeXt: Liu, Mao, Wu, Feichtenhofer, Darrell, Xie 2022, "A ConvNet for the 2020s", arXiv:2201.03545.

A ResNet with the choices of a vision transformer. Section 3 of the paper, below table 9:

    stage        1     2     3     4      blocks: tiny 3, 3, 9, 3; the others 3, 3, 27, 3
    tiny        96   192   384   768      channels
    small       96   192   384   768
    base       128   256   512  1024
    large      192   384   768  1536
    xlarge     256   512  1024  2048

A block (figure 4) is a depthwise 7 × 7 and a perceptron of four times the width; its output, scaled by a trained vector
that starts at 1e-6, is added back. All publishers have this graph; their files name it differently.
"""

from functools import partial
from typing import Unpack

import keras
import numpy as np
from keras import layers

from zoo.builder import Family, Options, build
from zoo.layers import stage
from zoo.weights.names import convnext as names

CONVNEXT = Family({"keras": "torch", "torch": "torch", "timm": "torch"})
TORCH_NAMES = {"torch": names.torchvision, "timm": names.timm}


def convnext_tiny(**options: Unpack[Options]) -> keras.Model:
    """ConvNeXt-T of Liu et al. 2022 (arXiv:2201.03545), section 3: 28,589,128 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision", "imagenet_timm_fb", "imagenet_timm_fb_in22k_ft" and more: `zoo models
    convnext_tiny`.
    """
    return _build("convnext_tiny", 9, 96, 0.1, options)


def convnext_small(**options: Unpack[Options]) -> keras.Model:
    """ConvNeXt-S of Liu et al. 2022 (arXiv:2201.03545), section 3: 50,223,688 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision", "imagenet_timm_fb", "imagenet_timm_fb_in22k_ft" and more: `zoo models
    convnext_small`.
    """
    return _build("convnext_small", 27, 96, 0.4, options)


def convnext_base(**options: Unpack[Options]) -> keras.Model:
    """ConvNeXt-B of Liu et al. 2022 (arXiv:2201.03545), section 3: 88,591,464 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision", "imagenet_timm_fb", "imagenet_timm_fb_in22k_ft" and more: `zoo models
    convnext_base`. Those of keras.applications saw ImageNet-21k first.
    """
    return _build("convnext_base", 27, 128, 0.5, options)


def convnext_large(**options: Unpack[Options]) -> keras.Model:
    """ConvNeXt-L of Liu et al. 2022 (arXiv:2201.03545), section 3: 197,767,336 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision", "imagenet_timm_fb", "imagenet_timm_fb_in22k_ft" and more: `zoo models
    convnext_large`. Those of keras.applications saw ImageNet-21k first.
    """
    return _build("convnext_large", 27, 192, 0.5, options)


def convnext_xlarge(**options: Unpack[Options]) -> keras.Model:
    """ConvNeXt-XL of Liu et al. 2022 (arXiv:2201.03545), section 3: 350,196,968 parameters.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_timm_fb_in22k_ft", "imagenet_timm_fb_in22k_ft_384". They saw ImageNet-21k first.
    """
    return _build("convnext_xlarge", 27, 256, 0.2, options)  # 0.2: its training on ImageNet-21k, the only one there is


def _build(name: str, third: int, width: int, stochastic_depth: float, options: Options) -> keras.Model:
    body = partial(_body, depths=(3, 3, third, 3), width=width, stochastic_depth=stochastic_depth, name=name)
    return build(name, body, CONVNEXT, torch_names=TORCH_NAMES, **options)


def _body(x, variant: str, depths: tuple[int, ...], width: int, stochastic_depth: float, name: str) -> keras.KerasTensor:
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
