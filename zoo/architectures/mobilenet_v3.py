"""MobileNetV3: Howard et al. 2019, "Searching for MobileNetV3", arXiv:1905.02244.

Inverted residuals found by search: some with squeeze-and-excitation (Hu et al. 2017, arXiv:1709.01507), the later ones with
hard-swish, and a last layer that is computed after pooling. Tables 1 and 2 of the paper are `LARGE` and `SMALL`.
`alpha` is the width multiplier: it scales the filters of every block.

torchvision and timm pad like PyTorch, and timm's batch norm has another epsilon. Fresh weights are torchvision's: He et al.'s
by fan-out, which counts all channels of a depthwise kernel, and N(0, 0.01²) in dense layers. At alpha 1:

    builder             variant  parameters  of which statistics   px  weights
    mobilenet_v3_small  keras     2,554,968               12,112  224  imagenet
    mobilenet_v3_small  torch     2,554,968               12,112  224  imagenet_torchvision
    mobilenet_v3_small  timm      2,554,968               12,112  224  imagenet_timm_lamb
    mobilenet_v3_large  keras     5,507,432               24,400  224  imagenet
    mobilenet_v3_large  torch     5,507,432               24,400  224  imagenet_torchvision, imagenet_torchvision_v2
    mobilenet_v3_large  timm      5,507,432               24,400  224  imagenet_timm_*
"""

from functools import partial
from itertools import chain, groupby
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build, documented
from zoo.initializers import HE_FAN_OUT, TORCHVISION, normal
from zoo.layers import classifier, conv_bn, divisible, squeeze_excite, stage
from zoo.weights.names import mobilenet as names

# timm has newer files trained at -1..1, and ports of TensorFlow's ("tf_...") under the same names.
FAMILY = Family(
    {"keras": "tf", "torch": "torch", "timm": "torch"},
    other_modes={"timm": ("tf", "unit")},
    ports={"timm": ("timm", "keras")},
    head=partial(classifier, kernel_initializer=normal(0.01)),
    notes="dropout=0.2 is the paper's (section 6.1.1, where 0.8 is the share that is kept).",
)

# How the convolutions of a variant pad, normalise and begin.
STYLES = {
    "keras": dict(epsilon=1e-3, momentum=0.999, **TORCHVISION),
    "torch": dict(epsilon=1e-3, momentum=0.99, padding="torch", **TORCHVISION),
    "timm": dict(epsilon=1e-5, momentum=0.9, padding="torch", **TORCHVISION),
}

# The tables' abbreviations.
RE = "relu"
HS = "hard_silu"
SE = True

# kernel size, expanded size, filters, squeeze-and-excite, nonlinearity, stride. A stage ends before the resolution falls.
Stages = tuple[tuple[tuple[int, int, int, bool, str, int], ...], ...]
LARGE = (
    ((3, 16, 16, False, RE, 1),),
    ((3, 64, 24, False, RE, 2), (3, 72, 24, False, RE, 1)),
    ((5, 72, 40, SE, RE, 2), (5, 120, 40, SE, RE, 1), (5, 120, 40, SE, RE, 1)),
    (
        (3, 240, 80, False, HS, 2),
        (3, 200, 80, False, HS, 1),
        (3, 184, 80, False, HS, 1),
        (3, 184, 80, False, HS, 1),
        (3, 480, 112, SE, HS, 1),
        (3, 672, 112, SE, HS, 1),
    ),
    ((5, 672, 160, SE, HS, 2), (5, 960, 160, SE, HS, 1), (5, 960, 160, SE, HS, 1)),
)
SMALL = (
    (),  # the stem alone
    ((3, 16, 16, SE, RE, 2),),
    ((3, 72, 24, False, RE, 2), (3, 88, 24, False, RE, 1)),
    (
        (5, 96, 40, SE, HS, 2),
        (5, 240, 40, SE, HS, 1),
        (5, 240, 40, SE, HS, 1),
        (5, 120, 48, SE, HS, 1),
        (5, 144, 48, SE, HS, 1),
    ),
    ((5, 288, 96, SE, HS, 2), (5, 576, 96, SE, HS, 1), (5, 576, 96, SE, HS, 1)),
)


@documented(FAMILY)
def mobilenet_v3_small(*, alpha: float = 1.0, **options: Unpack[Options]) -> keras.Model:
    """Build MobileNetV3-Small of Howard et al. 2019 (arXiv:1905.02244), table 2.

    Args:
        alpha: the width multiplier; weights are for 0.5, 0.75 and 1.
    """
    return _mobilenet_v3("mobilenet_v3_small", stages=SMALL, last=1024, alpha=alpha, options=options)


@documented(FAMILY)
def mobilenet_v3_large(*, alpha: float = 1.0, **options: Unpack[Options]) -> keras.Model:
    """Build MobileNetV3-Large of Howard et al. 2019 (arXiv:1905.02244), table 1.

    Args:
        alpha: the width multiplier; weights are for 0.75 and 1.
    """
    return _mobilenet_v3("mobilenet_v3_large", stages=LARGE, last=1280, alpha=alpha, options=options)


def _mobilenet_v3(name: str, stages: Stages, last: int, alpha: float, options: Options) -> keras.Model:
    if not alpha > 0:
        raise ValueError(f"alpha, the width multiplier, must be positive, found {alpha!r}.")
    rows = _rows(stages)
    torch_names = {"torch": names.torchvision_v3(rows), "timm": names.timm_v3(rows)}
    body = partial(_body, stages=stages, last=last, alpha=alpha)
    return build(name, body, FAMILY, torch_names=torch_names, arguments={"alpha": alpha}, **options)


def _rows(stages: Stages) -> list[list[tuple[str, ...]]]:
    """List what each block consists of, as `names.inverted` calls it; a row has the blocks of one width."""
    by_width = groupby(enumerate(chain(*stages)), key=lambda block: block[1][2])
    return [[_parts(i, squeeze) for i, (_, _, _, squeeze, _, _) in row] for _, row in by_width]


def _parts(block: int, squeeze: bool) -> tuple[str, ...]:
    return (*["expand"] * (block > 0), "depthwise", *["squeeze", "excite"] * squeeze, "project")


def _body(x: keras.KerasTensor, variant: str, stages: Stages, last: int, alpha: float) -> keras.KerasTensor:
    style = STYLES[variant]
    x = conv_bn(x, 16, 3, 2, names=("conv", "conv_bn", "conv_act"), activation=HS, **style)
    # The tables give a block's expanded size beside the width, at alpha 1, of the block before.
    block, width = 0, 16
    for i, rows in enumerate(stages, start=1):
        for kernel_size, expanded, filters, squeeze, activation, strides in rows:
            x = _inverted_residual(
                x,
                kernel_size,
                divisible(x.shape[-1] * expanded / width) if block else None,
                divisible(filters * alpha),
                squeeze,
                strides,
                style | {"activation": activation},
                f"expanded_conv_{block}_" if block else "expanded_conv_",
            )
            block, width = block + 1, filters
        if i == len(stages):
            parts = ("conv_1", "conv_1_bn", "conv_1_act")
            x = conv_bn(x, divisible(6 * x.shape[-1]), 1, names=parts, activation=HS, **style)
        x = stage(x, f"stage{i}")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    # The tables' 1 × 1 convolution, on one pixel.
    x = layers.Dense(divisible(last * max(alpha, 1.0)), activation=HS, kernel_initializer=normal(0.01), name="conv_2")(x)
    return stage(x, "pre_logits")


def _inverted_residual(
    x: keras.KerasTensor,
    kernel_size: int,
    expanded: int | None,
    filters: int,
    squeeze: bool,
    strides: int,
    style: dict,
    prefix: str,
) -> keras.KerasTensor:
    def parts(kind: str) -> tuple[str, str, str]:
        return (f"{prefix}{kind}", f"{prefix}{kind}_bn", f"{prefix}{kind}_act")

    shortcut, channels = x, x.shape[-1]
    if expanded:
        x = conv_bn(x, expanded, 1, names=parts("expand"), **style)
    x = conv_bn(x, None, kernel_size, strides, names=parts("depthwise"), **style)
    if squeeze:
        kinds = tuple(f"{prefix}squeeze_excite_{kind}" for kind in ("avg_pool", "conv", "conv_1", "mul"))
        x = squeeze_excite(x, divisible(x.shape[-1] / 4), names=kinds, gate="hard_sigmoid", kernel_initializer=HE_FAN_OUT)
    x = conv_bn(x, filters, 1, names=parts("project"), **style | {"activation": None})
    if strides == 1 and channels == filters:
        x = layers.Add(name=f"{prefix}add")([shortcut, x])
    return x
