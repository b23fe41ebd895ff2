"""MobileNet V1 and V2: depthwise separable convolutions, and their inverted residuals.

- V1: Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
  arXiv:1704.04861, table 1
- V2: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv:1801.04381, table 2

`alpha` is the width multiplier: it scales the filters of every layer. "torch" and "timm" pad as PyTorch does and
normalise otherwise. Fresh weights are He et al.'s by fan-out: V1's as in timm, V2's as in torchvision, which counts the fan-out
of a depthwise kernel over all channels. At alpha 1:

    builder       variant  parameters  of which statistics   px  weights
    mobilenet     keras     4,253,864               21,888  224  imagenet, imagenet_*
    mobilenet     timm      4,253,864               21,888  224  imagenet_timm_ra4_e3600_r224
    mobilenet_v2  keras     3,538,984               34,112  224  imagenet, imagenet_*
    mobilenet_v2  torch     3,538,984               34,112  224  imagenet_torchvision, imagenet_torchvision_v2
    mobilenet_v2  timm      3,538,984               34,112  224  imagenet_timm_*
"""

from collections.abc import Callable
from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build, documented
from zoo.initializers import GOOGLE, GOOGLE_DENSE, TORCHVISION, normal
from zoo.layers import classifier, conv_bn, divisible, stage
from zoo.weights.names import mobilenet as names

V1 = Family(
    {"keras": "tf", "timm": "tf"},
    head=partial(classifier, kernel_initializer=GOOGLE_DENSE),
    notes="dropout=0.001 is that of the authors' code.",
)
V2 = Family(
    {"keras": "tf", "torch": "torch", "timm": "torch"},
    head=partial(classifier, kernel_initializer=normal(0.01)),
    notes="dropout=0.2 is that of the authors' code and torchvision's.",
)
V1_NAMES = {"timm": names.timm_v1}
V2_NAMES = {"torch": names.torchvision_v2, "timm": names.timm_v2}

# (filters, stride) of the 13 separable convolutions, a row a stage: V1, table 1.
V1_STAGES = (
    ((64, 1),),
    ((128, 2), (128, 1)),
    ((256, 2), (256, 1)),
    ((512, 2), *[(512, 1)] * 5),
    ((1024, 2), (1024, 1)),
)

# expansion t, filters c, repeats n, stride s: V2, table 2. A stage ends before the resolution falls.
V2_STAGES = (
    ((1, 16, 1, 1),),
    ((6, 24, 2, 2),),
    ((6, 32, 3, 2),),
    ((6, 64, 4, 2), (6, 96, 3, 1)),
    ((6, 160, 3, 2), (6, 320, 1, 1)),
)

# How the convolutions of a variant pad, normalise and begin.
V1_STYLES = {
    "keras": dict(padding="same", **GOOGLE),
    "timm": dict(padding="torch", epsilon=1e-5, momentum=0.9, **GOOGLE),
}
TORCH = dict(padding="torch", epsilon=1e-5, momentum=0.9, **TORCHVISION)
V2_STYLES = {"keras": dict(epsilon=1e-3, momentum=0.999, **TORCHVISION), "torch": TORCH, "timm": TORCH}


@documented(V1)
def mobilenet(*, alpha: float = 1.0, **options: Unpack[Options]) -> keras.Model:
    """Build MobileNet V1 of Howard et al. 2017 (arXiv:1704.04861), table 1.

    Args:
        alpha: the width multiplier; weights are for 0.25, 0.5, 0.75, 1 and 1.25.
    """
    _check(alpha)
    body, arguments = partial(_v1, alpha=alpha), {"alpha": alpha}
    return build("mobilenet", body, V1, arguments=arguments, torch_names=V1_NAMES, **options)


@documented(V2)
def mobilenet_v2(*, alpha: float = 1.0, **options: Unpack[Options]) -> keras.Model:
    """Build MobileNetV2 of Sandler et al. 2018 (arXiv:1801.04381), table 2.

    Args:
        alpha: the width multiplier; weights are for 0.35, 0.5, 0.75, 1, 1.3 and 1.4.
    """
    _check(alpha)
    body, arguments = partial(_v2, alpha=alpha), {"alpha": alpha}
    return build("mobilenet_v2", body, V2, arguments=arguments, torch_names=V2_NAMES, **options)


def _check(alpha: float) -> None:
    if not alpha > 0:
        raise ValueError(f"alpha, the width multiplier, must be positive, found {alpha!r}.")


def _v1(x: keras.KerasTensor, variant: str, alpha: float) -> keras.KerasTensor:
    conv = partial(conv_bn, activation="relu6", **V1_STYLES[variant])
    x = conv(x, int(32 * alpha), 3, 2, names=("conv1", "conv1_bn", "conv1_relu"))
    block = 0
    for i, blocks in enumerate(V1_STAGES, start=1):
        for filters, strides in blocks:
            block += 1
            x = _separable(x, int(filters * alpha), strides, conv, block)
        x = stage(x, f"stage{i}")
    return stage(layers.GlobalAveragePooling2D(name="avg_pool")(x), "pre_logits")


def _separable(x: keras.KerasTensor, filters: int, strides: int, conv: partial, block: int) -> keras.KerasTensor:
    def parts(kind: str) -> tuple[str, str, str]:
        return (f"conv_{kind}_{block}", f"conv_{kind}_{block}_bn", f"conv_{kind}_{block}_relu")

    if strides > 1 and conv.keywords["padding"] == "same":  # right and bottom only, at odd sizes too: "same" would not do so
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{block}")(x)
        x = conv(x, None, 3, strides, names=parts("dw"), padding="valid")
    else:
        x = conv(x, None, 3, strides, names=parts("dw"))
    return conv(x, filters, 1, names=parts("pw"))


def _v2(x: keras.KerasTensor, variant: str, alpha: float) -> keras.KerasTensor:
    conv = partial(conv_bn, activation="relu6", **V2_STYLES[variant])
    x = conv(x, divisible(32 * alpha), 3, 2, names=("Conv1", "bn_Conv1", "Conv1_relu"))
    block = 0
    for i, rows in enumerate(V2_STAGES, start=1):
        for expansion, filters, repeats, stride in rows:
            for repeat in range(repeats):
                strides = stride if repeat == 0 else 1
                prefix = f"block_{block}" if block else "expanded_conv"
                x = _inverted_residual(x, expansion, divisible(filters * alpha), strides, conv, prefix)
                block += 1
        if i == len(V2_STAGES):
            x = conv(x, divisible(1280 * max(alpha, 1.0)), 1, names=("Conv_1", "Conv_1_bn", "out_relu"))
        x = stage(x, f"stage{i}")
    return stage(layers.GlobalAveragePooling2D(name="avg_pool")(x), "pre_logits")


def _inverted_residual(
    x: keras.KerasTensor, expansion: int, filters: int, strides: int, conv: Callable, prefix: str
) -> keras.KerasTensor:
    def parts(kind: str) -> tuple[str, str, str]:
        return (f"{prefix}_{kind}", f"{prefix}_{kind}_BN", f"{prefix}_{kind}_relu")

    shortcut, channels = x, x.shape[-1]
    if expansion > 1:
        x = conv(x, expansion * channels, 1, names=parts("expand"))
    x = conv(x, None, 3, strides, names=parts("depthwise"))
    x = conv(x, filters, 1, names=parts("project"), activation=None)
    if strides == 1 and channels == filters:
        x = layers.Add(name=f"{prefix}_add")([shortcut, x])
    return x
