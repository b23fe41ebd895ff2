"""ConvNeXt, and its second version.

- V1: Liu, Mao, Wu, Feichtenhofer, Darrell, Xie 2022, "A ConvNet for the 2020s", arXiv:2201.03545, section 3
- V2: Woo, Debnath, Hu, Chen, Liu, Kweon, Xie 2023, "ConvNeXt V2: Co-designing and Scaling ConvNets with Masked
  Autoencoders", arXiv:2301.00808, section 5

A ResNet with the choices of a vision transformer. The four smallest are timm's, which V2's authors took over:

    stage        1     2     3     4      blocks: atto, femto and pico 2, 2, 6, 2; nano 2, 2, 8, 2
    atto        40    80   160   320      channels
    femto       48    96   192   384
    pico        64   128   256   512
    nano        80   160   320   640
                                          blocks: tiny 3, 3, 9, 3; the others 3, 3, 27, 3
    tiny        96   192   384   768
    small       96   192   384   768
    base       128   256   512  1024
    large      192   384   768  1536
    xlarge     256   512  1024  2048

A block (V1, figure 4) is a depthwise 7 × 7 and a perceptron of four times the width; its output, scaled by a trained vector
that starts at 1e-6, is added back. V2 has global response normalisation inside the perceptron in place of that vector. All
publishers have these graphs; their files name them differently, and timm's hold the perceptrons of the smallest as 1 × 1
convolutions, which are the same matrices. The weights of keras.applications for base, large and xlarge saw ImageNet-21k first.

In training, a picture skips a block with a probability that rises from 0 to `drop_path_rate` at the last: V1, table 5. Of
timm's four nobody says it; V2's are those of github.com/facebookresearch/ConvNeXt-V2, TRAINING.md, atto's for the three
that it leaves out. Fresh weights are N(0, 0.02²), the authors' and torchvision's "truncated" normal.

    builder            variant   parameters  of which statistics   px  weights
    convnext_atto      timm       3,695,520                    0  224  imagenet_timm_d2
    convnext_femto     timm       5,217,784                    0  224  imagenet_timm_d1
    convnext_pico      timm       9,045,672                    0  224  imagenet_timm_d1
    convnext_nano      timm      15,593,560                    0  224  imagenet_timm_*
    convnext_tiny      keras     28,589,128                    0  224  imagenet
    convnext_tiny      torch     28,589,128                    0  224  imagenet_torchvision
    convnext_tiny      timm      28,589,128                    0  224  imagenet_timm_*, lvd1689m_timm_dinov3
    convnext_small     keras     50,223,688                    0  224  imagenet
    convnext_small     torch     50,223,688                    0  224  imagenet_torchvision
    convnext_small     timm      50,223,688                    0  224  imagenet_timm_*, lvd1689m_timm_dinov3
    convnext_base      keras     88,591,464                    0  224  imagenet
    convnext_base      torch     88,591,464                    0  224  imagenet_torchvision
    convnext_base      timm      88,591,464                    0  224  imagenet_timm_*, lvd1689m_timm_dinov3
    convnext_large     keras    197,767,336                    0  224  imagenet
    convnext_large     torch    197,767,336                    0  224  imagenet_torchvision
    convnext_large     timm     197,767,336                    0  224  imagenet_timm_*, lvd1689m_timm_dinov3
    convnext_xlarge    keras    350,196,968                    0  224  imagenet
    convnext_xlarge    torch    350,196,968                    0  224  none
    convnext_xlarge    timm     350,196,968                    0  224  imagenet_timm_*
    convnext_v2_atto   timm       3,708,400                    0  224  imagenet_timm_fcmae_ft
    convnext_v2_femto  timm       5,233,240                    0  224  imagenet_timm_fcmae_ft
    convnext_v2_pico   timm       9,066,280                    0  224  imagenet_timm_fcmae_ft
    convnext_v2_nano   timm      15,623,800                    0  224  imagenet_timm_*
    convnext_v2_tiny   timm      28,635,496                    0  224  imagenet_timm_*
    convnext_v2_base   timm      88,717,800                    0  224  imagenet_timm_*
"""

from functools import partial
from typing import Unpack

import keras
import numpy as np
from keras import layers, ops

from zoo.arguments import rate as read_rate
from zoo.builder import Family, Options, build, documented
from zoo.initializers import constant, normal
from zoo.layers import classifier, drop_path, stage
from zoo.weights.names import convnext as names

NOTES = "drop_path_rate is the last block's; that of the others rises to it from 0."
HEAD = partial(classifier, kernel_initializer=normal(0.02))
CONVNEXT = Family(
    {"keras": "torch", "torch": "torch", "timm": "torch"},
    head=HEAD,
    notes=NOTES,
)
TIMM = Family({"timm": "torch"}, interpolation="bicubic", head=HEAD, notes=NOTES)
KERNELS = dict(kernel_initializer=normal(0.02))
TORCH_NAMES = {"torch": names.torchvision, "timm": names.timm}


@documented(TIMM)
def convnext_atto(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-Atto, timm's, after Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_atto", TIMM, drop_path_rate, options, depths=(2, 2, 6, 2), width=40)


@documented(TIMM)
def convnext_femto(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-Femto, timm's, after Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_femto", TIMM, drop_path_rate, options, depths=(2, 2, 6, 2), width=48)


@documented(TIMM)
def convnext_pico(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-Pico, timm's, after Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_pico", TIMM, drop_path_rate, options, depths=(2, 2, 6, 2), width=64)


@documented(TIMM)
def convnext_nano(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-Nano, timm's, after Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_nano", TIMM, drop_path_rate, options, depths=(2, 2, 8, 2), width=80)


@documented(CONVNEXT)
def convnext_tiny(*, drop_path_rate: float = 0.1, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-T of Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_tiny", CONVNEXT, drop_path_rate, options, depths=(3, 3, 9, 3), width=96)


@documented(CONVNEXT)
def convnext_small(*, drop_path_rate: float = 0.4, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-S of Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_small", CONVNEXT, drop_path_rate, options, depths=(3, 3, 27, 3), width=96)


@documented(CONVNEXT)
def convnext_base(*, drop_path_rate: float = 0.5, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-B of Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext("convnext_base", CONVNEXT, drop_path_rate, options, depths=(3, 3, 27, 3), width=128)


@documented(CONVNEXT)
def convnext_large(*, drop_path_rate: float = 0.5, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-L of Liu et al. 2022 (arXiv:2201.03545), section 3."""
    return _convnext(
        "convnext_large", CONVNEXT, depths=(3, 3, 27, 3), width=192, drop_path_rate=drop_path_rate, options=options
    )


@documented(CONVNEXT)
def convnext_xlarge(*, drop_path_rate: float = 0.2, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt-XL of Liu et al. 2022 (arXiv:2201.03545), section 3; the rate is of its training on ImageNet-21k."""
    return _convnext(
        "convnext_xlarge", CONVNEXT, depths=(3, 3, 27, 3), width=256, drop_path_rate=drop_path_rate, options=options
    )


@documented(TIMM)
def convnext_v2_atto(*, drop_path_rate: float = 0.1, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt V2-A of Woo et al. 2023 (arXiv:2301.00808), section 5."""
    return _convnext(
        "convnext_v2_atto", TIMM, depths=(2, 2, 6, 2), width=40, drop_path_rate=drop_path_rate, options=options, grn=True
    )


@documented(TIMM)
def convnext_v2_femto(*, drop_path_rate: float = 0.1, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt V2-F of Woo et al. 2023 (arXiv:2301.00808), section 5."""
    return _convnext(
        "convnext_v2_femto", TIMM, depths=(2, 2, 6, 2), width=48, drop_path_rate=drop_path_rate, options=options, grn=True
    )


@documented(TIMM)
def convnext_v2_pico(*, drop_path_rate: float = 0.1, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt V2-P of Woo et al. 2023 (arXiv:2301.00808), section 5."""
    return _convnext(
        "convnext_v2_pico", TIMM, depths=(2, 2, 6, 2), width=64, drop_path_rate=drop_path_rate, options=options, grn=True
    )


@documented(TIMM)
def convnext_v2_nano(*, drop_path_rate: float = 0.1, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt V2-N of Woo et al. 2023 (arXiv:2301.00808), section 5."""
    return _convnext(
        "convnext_v2_nano", TIMM, depths=(2, 2, 8, 2), width=80, drop_path_rate=drop_path_rate, options=options, grn=True
    )


@documented(TIMM)
def convnext_v2_tiny(*, drop_path_rate: float = 0.2, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt V2-T of Woo et al. 2023 (arXiv:2301.00808), section 5."""
    return _convnext(
        "convnext_v2_tiny", TIMM, depths=(3, 3, 9, 3), width=96, drop_path_rate=drop_path_rate, options=options, grn=True
    )


@documented(TIMM)
def convnext_v2_base(*, drop_path_rate: float = 0.1, **options: Unpack[Options]) -> keras.Model:
    """Build ConvNeXt V2-B of Woo et al. 2023 (arXiv:2301.00808), section 5."""
    return _convnext(
        "convnext_v2_base", TIMM, depths=(3, 3, 27, 3), width=128, drop_path_rate=drop_path_rate, options=options, grn=True
    )


def _convnext(
    name: str,
    family: Family,
    drop_path_rate: float,
    options: Options,
    depths: tuple[int, ...],
    width: int,
    grn: bool = False,
) -> keras.Model:
    drop_path_rate = read_rate(drop_path_rate, f"{name}: drop_path_rate")
    body = partial(_body, depths=depths, width=width, drop_path_rate=drop_path_rate, grn=grn, name=name)
    return build(name, body, family, torch_names=TORCH_NAMES, **options)


def _body(
    x: keras.KerasTensor, variant: str, depths: tuple[int, ...], width: int, drop_path_rate: float, grn: bool, name: str
) -> keras.KerasTensor:
    rates = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
    x = layers.Conv2D(width, 4, 4, name=f"{name}_stem_conv", **KERNELS)(x)
    x = _norm(x, f"{name}_stem_layernorm")
    for i, depth in enumerate(depths):
        if i > 0:
            x = _norm(x, f"{name}_downsampling_layernorm_{i - 1}")
            x = layers.Conv2D(width * 2**i, 2, 2, name=f"{name}_downsampling_conv_{i - 1}", **KERNELS)(x)
        for block in range(depth):
            x = _block(x, next(rates), grn, f"{name}_stage_{i}_block_{block}")
        x = stage(x, f"stage{i + 1}")
    x = layers.GlobalAveragePooling2D(name=f"{name}_head_gap")(x)
    return stage(_norm(x, f"{name}_head_layernorm"), "pre_logits")


def _block(x: keras.KerasTensor, drop: float, grn: bool, name: str) -> keras.KerasTensor:
    shortcut, channels = x, x.shape[-1]
    x = layers.DepthwiseConv2D(7, padding="same", depthwise_initializer=normal(0.02), name=f"{name}_depthwise_conv")(x)
    x = _norm(x, f"{name}_layernorm")
    x = layers.Dense(4 * channels, name=f"{name}_pointwise_conv_1", **KERNELS)(x)
    x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    if grn:
        x = _global_response_norm(x, f"{name}_grn")
    x = layers.Dense(channels, name=f"{name}_pointwise_conv_2", **KERNELS)(x)
    if not grn:
        x = _per_channel(x, f"{name}_layer_scale", kernel_initializer=constant(1e-6))
    x = drop_path(x, drop, name=f"{name}_stochastic_depth")
    return layers.Add(name=f"{name}_add")([shortcut, x])


def _global_response_norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Add to each channel itself times its share in the size of all channels, scaled and shifted: V2, section 4.

    The size is the root of the mean square, which differs from the paper's L2 norm by a factor that the share does not see,
    and is computed in float32: float16 would overflow. So small a number lets the root of nothing have a gradient.
    """
    squares = layers.Multiply(dtype="float32", name=f"{name}_square")([x, x])
    size = ops.sqrt(layers.GlobalAveragePooling2D(keepdims=True, dtype="float32", name=f"{name}_mean")(squares) + 1e-12)
    y = layers.Multiply(name=f"{name}_multiply")([x, size / ops.mean(size, axis=-1, keepdims=True)])
    y = _per_channel(y, name, kernel_initializer="zeros", bias_axes="c")
    return layers.Add(name=f"{name}_add")([x, y])


def _per_channel(x: keras.KerasTensor, name: str, **options) -> keras.KerasTensor:
    """Multiply each channel by a trained number: the stock layer that does so."""
    return layers.EinsumDense("bhwc,c->bhwc", x.shape[1:], name=name, **options)(x)


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.LayerNormalization(epsilon=1e-6, name=name)(x)
