"""Inception: parallel convolutions of several sizes, their outputs concatenated.

- v1, "GoogLeNet": Szegedy et al. 2014, "Going Deeper with Convolutions", arXiv:1409.4842, table 1
- v3: Szegedy et al. 2015, "Rethinking the Inception Architecture for Computer Vision", arXiv:1512.00567, table 1

v1: 7 × 7 / 2 convolution, pooling, 1 × 1 and 3 × 3 convolutions, pooling, then nine modules of one kind, `V1_MODULES`.
The larger convolutions and the pooling of a module stand behind or before a 1 × 1 convolution that keeps them cheap.

v3 makes the 5 × 5 two 3 × 3, and 7 × 7 a 1 × 7 and a 7 × 1; its five kinds of modules:

    stage                                  at 299 px                              module
    1   convolutions and one pooling       71 × 71 ×  192
    2   mixed0 to 2                        35 × 35 ×  288    figure 5             _mixed_a
    3   mixed3                             17 × 17 ×  768    figure 10            _reduce_b
        mixed4 to 7                        17 × 17 ×  768    figure 6, n = 7      _mixed_c
    4   mixed8                              8 ×  8 × 1280                         _reduce_d
        mixed9, 10                          8 ×  8 × 2048    figure 7             _mixed_e

Auxiliary classifiers, by option, help training only: their losses, with a weight of 0.3 in v1, add to the main one's. They
are 3.2 million parameters each in v1.

torchvision's GoogLeNet has batch norm instead of biases and of local response normalisation, and 3 × 3 where the paper has
5 × 5. Its v3 has scales in its batch norm, and its average pooling counts the padding.

Dropout, off unless asked for: v1's paper has 0.4 before the classifier and 0.7 before the auxiliary ones, `dropout=0.4` and
`aux_dropout=0.7`. Fresh weights: Caffe's for "paper", uniform by fan-in with biases of 0.2; torchvision's for all others,
N(0, 0.01²) in `googlenet` and N(0, 0.1²) in v3.

    builder       variant  parameters  of which statistics   px  weights
    inception_v1  paper     6,998,552                    0  224  none
    googlenet     torch     6,639,464               14,560  224  imagenet_torchvision
    inception_v3  keras    23,851,784               34,432  299  imagenet
    inception_v3  torch    23,869,000               34,432  299  imagenet_torchvision, imagenet_timm_*
"""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Unpack

import keras
from keras import layers

from zoo.arguments import rate as read_rate
from zoo.builder import Family, Options, build, documented
from zoo.initializers import constant, normal, uniform, variance_scaling
from zoo.layers import (
    CLASSIFIER,
    adaptive_average,
    classifier,
    conv_bn,
    drop,
    local_response_norm,
    max_pool_ceil,
    pad_like_torch,
    stage,
)
from zoo.weights.names import inception as names


def _head_v3(
    x: keras.KerasTensor, num_classes: int, dropout: float, activation: str | None, name: str = CLASSIFIER
) -> keras.KerasTensor:
    """Classify as all families do; the auxiliary classifier begins nearer to zero than the main one."""
    stddev = 0.1 if name == CLASSIFIER else 0.001
    return classifier(x, num_classes, dropout, activation, name, normal(stddev))


# Caffe's "xavier", and its published GoogLeNet's biases.
CAFFE = variance_scaling(1.0, "fan_in", "uniform")
BIASED = dict(kernel_initializer=CAFFE, bias_initializer=constant(0.2))

V1 = Family(
    {"paper": "bvlc"},
    head=partial(classifier, kernel_initializer=CAFFE),
    notes="dropout=0.4 and aux_dropout=0.7 are the paper's.",
)
# torchvision ported both networks' weights from TensorFlow, and feeds them as TensorFlow did: its `transform_input`.
# A model of theirs that was not made of these weights has `transform_input=False`, and is fed as all others are.
GOOGLENET = Family(
    {"torch": "tf"},
    other_modes={"torch": ("torch",)},
    spare=("aux1.", "aux2."),
    # Its biases are PyTorch's default for 1024 inputs.
    head=partial(classifier, kernel_initializer=normal(0.01), bias_initializer=uniform(1024**-0.5)),
    notes="dropout=0.4 and aux_dropout=0.7 are the paper's, 0.2 and 0.7 torchvision's.",
)
V3 = Family(
    {"keras": "tf", "torch": "tf"},
    (299, 299, 3),
    min_size=75,
    resize=342,
    spare=("AuxLogits.",),
    other_modes={"torch": ("torch",)},
    head=_head_v3,
    notes="dropout=0.2 is that of the authors' code, 0.5 torchvision's.",
)

# Filters of the branches 1 × 1; 3 × 3, reduced and whole; 5 × 5, reduced and whole; pooling: table 1. A row a stage.
V1_MODULES = (
    {"3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64)},
    {
        "4a": (192, 96, 208, 16, 48, 64),
        "4b": (160, 112, 224, 24, 64, 64),
        "4c": (128, 128, 256, 24, 64, 64),
        "4d": (112, 144, 288, 32, 64, 64),
        "4e": (256, 160, 320, 32, 128, 128),
    },
    {"5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128)},
)

# How the norms of v3 differ in a variant.
STYLES = {
    "keras": dict(scale=False, momentum=0.99, kernel_initializer=normal(0.1)),
    "torch": dict(scale=True, momentum=0.9, kernel_initializer=normal(0.1)),
}

Conv = Callable[..., keras.KerasTensor]  # (x, filters, kernel size, strides, ...): a convolution and all that belongs to it


@documented(V1)
def inception_v1(*, lrn: bool = True, aux: bool = False, aux_dropout: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build the GoogLeNet of Szegedy et al. 2014 (arXiv:1409.4842), table 1, with Caffe's 5 × 5 branches and biases.

    Args:
        lrn: local response normalisation, with Caffe's constants, for the paper gives none.
        aux: two more outputs, for training; the output is then a list.
        aux_dropout: rate before the classifiers of these.
    """
    rate = _aux_rate("inception_v1", aux, aux_dropout)
    body = partial(_v1, lrn=lrn, aux=aux, aux_dropout=rate)
    return build("inception_v1", body, V1, arguments={"lrn": lrn}, **options)


@documented(GOOGLENET)
def googlenet(*, aux: bool = False, aux_dropout: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build torchvision's GoogLeNet after Szegedy et al. 2014 (arXiv:1409.4842), with batch norm and 3 × 3 for 5 × 5.

    Args:
        aux: two more outputs, for training; the output is then a list.
        aux_dropout: rate before the classifiers of these.
    """
    rate = _aux_rate("googlenet", aux, aux_dropout)
    body = partial(_v1, aux=aux, aux_dropout=rate)
    return build("googlenet", body, GOOGLENET, torch_names={"torch": names.torchvision_v1}, **options)


@documented(V3)
def inception_v3(*, aux: bool = False, **options: Unpack[Options]) -> keras.Model:
    """Build Inception v3 of Szegedy et al. 2015 (arXiv:1512.00567), table 1.

    Args:
        aux: one more output, for training, which the weights of keras.applications lack; the output is then a list.
    """
    return build("inception_v3", partial(_v3, aux=aux), V3, torch_names={"torch": names.torchvision_v3}, **options)


def _aux_rate(name: str, aux: bool, aux_dropout: float) -> float:
    """Read the rate before the auxiliary classifiers. Raises ValueError: it is none, or there are no such classifiers."""
    rate = read_rate(aux_dropout, f"{name}: aux_dropout")
    if rate and not aux:
        raise ValueError(f"{name}: aux_dropout needs auxiliary classifiers, aux=True.")
    return rate


# ---------------------------------------------------------------------------------------------- v1
def _v1(x: keras.KerasTensor, variant: str, aux: bool, aux_dropout: float, lrn: bool = False) -> tuple[keras.KerasTensor, ...]:
    torch = variant == "torch"
    conv = _conv_bn_v1 if torch else _conv_bias
    x = pad_like_torch(x, 7, name="conv1_pad")
    x = conv(x, 64, 7, 2, name="conv1_7x7_s2", padding="valid")
    x = max_pool_ceil(x, name="pool1_3x3_s2")
    if lrn:
        x = local_response_norm(x, alpha=1e-4 / 5, k=1.0, name="pool1_norm1")
    x = conv(x, 64, 1, name="conv2_3x3_reduce")
    x = conv(x, 192, 3, name="conv2_3x3")
    if lrn:
        x = local_response_norm(x, alpha=1e-4 / 5, k=1.0, name="conv2_norm2")
    x = stage(x, "stage1")
    branches = []
    for i, modules in enumerate(V1_MODULES, start=2):
        if torch and i == 4:
            x = layers.MaxPooling2D(2, padding="same", name="pool4_3x3_s2")(x)
        else:
            x = max_pool_ceil(x, name=f"pool{i}_3x3_s2")
        for module, filters in modules.items():
            x = _module(x, filters, conv, 3 if torch else 5, f"inception_{module}")
            if aux and module in ("4a", "4d"):
                branches.append(_aux_v1(x, conv, torch, aux_dropout, f"aux{len(branches) + 1}"))
        x = stage(x, f"stage{i}")
    x = stage(layers.GlobalAveragePooling2D(name="pool5_7x7_s1")(x), "pre_logits")
    return x, *branches


def _module(x: keras.KerasTensor, filters: tuple[int, ...], conv: Conv, large: int, name: str) -> keras.KerasTensor:
    """Concatenate the branches of figure 2b; torchvision makes the 5 × 5 one `large` = 3."""
    one, three_reduce, three, five_reduce, five, pool = filters
    branch1 = conv(x, one, 1, name=f"{name}_1x1")
    branch3 = conv(x, three_reduce, 1, name=f"{name}_3x3_reduce")
    branch3 = conv(branch3, three, 3, name=f"{name}_3x3")
    branch5 = conv(x, five_reduce, 1, name=f"{name}_5x5_reduce")
    branch5 = conv(branch5, five, large, name=f"{name}_5x5")
    branch_pool = layers.MaxPooling2D(3, 1, padding="same", name=f"{name}_pool")(x)
    branch_pool = conv(branch_pool, pool, 1, name=f"{name}_pool_proj")
    return layers.Concatenate(name=name)([branch1, branch3, branch5, branch_pool])


def _aux_v1(x: keras.KerasTensor, conv: Conv, torch: bool, dropout: float, name: str) -> keras.KerasTensor:
    if torch or x.shape[1:3] != (14, 14):
        x = adaptive_average(x, 4)
    else:
        x = layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)
    x = conv(x, 128, 1, name=f"{name}_conv")
    x = layers.Flatten(name=f"{name}_flatten")(x)
    more = dict(kernel_initializer=normal(0.01)) if torch else BIASED
    x = layers.Dense(1024, activation="relu", name=f"{name}_fc", **more)(x)
    return drop(x, dropout, name=f"{name}_dropout")


def _conv_bias(
    x: keras.KerasTensor, filters: int, kernel_size: int, strides: int = 1, *, name: str, padding: str = "same"
) -> keras.KerasTensor:
    return layers.Conv2D(filters, kernel_size, strides, padding, activation="relu", name=name, **BIASED)(x)


def _conv_bn_v1(
    x: keras.KerasTensor, filters: int, kernel_size: int, strides: int = 1, *, name: str, padding: str = "same"
) -> keras.KerasTensor:
    parts = (name, f"{name}_bn", f"{name}_relu")
    return conv_bn(
        x, filters, kernel_size, strides, names=parts, padding=padding, momentum=0.9, kernel_initializer=normal(0.01)
    )


# ---------------------------------------------------------------------------------------------- v3
def _v3(x: keras.KerasTensor, variant: str, aux: bool) -> tuple[keras.KerasTensor, ...]:
    torch, style, numbers = variant == "torch", STYLES[variant], count()

    def conv(
        x: keras.KerasTensor, filters: int, kernel_size: int | tuple[int, int], strides: int = 1, padding: str = "same"
    ) -> keras.KerasTensor:
        """Apply a convolution, numbered as official files do: in the order in which keras.applications makes them."""
        number = next(numbers)
        kinds = ("conv2d", "batch_normalization", "activation")
        parts = tuple(f"{kind}_{number}" if number else kind for kind in kinds)
        return conv_bn(x, filters, kernel_size, strides, names=parts, padding=padding, **style)

    x = conv(x, 32, 3, 2, "valid")
    x = conv(x, 32, 3, 1, "valid")
    x = conv(x, 64, 3)
    x = layers.MaxPooling2D(3, 2, name="max_pool1")(x)
    x = conv(x, 80, 1)
    x = stage(conv(x, 192, 3, 1, "valid"), "stage1")
    x = layers.MaxPooling2D(3, 2, name="max_pool2")(x)
    for i, pool in enumerate((32, 64, 64)):
        x = _mixed_a(x, conv, pool, torch, f"mixed{i}")
    x = _reduce_b(stage(x, "stage2"), conv, "mixed3")
    for i, filters in enumerate((128, 160, 160, 192), start=4):
        x = _mixed_c(x, conv, filters, torch, f"mixed{i}")
    branches = [_aux_v3(x, style)] if aux else []
    x = _reduce_d(stage(x, "stage3"), conv, "mixed8")
    for i in (9, 10):
        x = _mixed_e(x, conv, torch, f"mixed{i}")
    x = stage(x, "stage4")
    return stage(layers.GlobalAveragePooling2D(name="avg_pool")(x), "pre_logits"), *branches


def _mixed_a(x: keras.KerasTensor, conv: Conv, pool: int, torch: bool, name: str) -> keras.KerasTensor:
    branch1 = conv(x, 64, 1)
    branch5 = conv(conv(x, 48, 1), 64, 5)
    double = conv(conv(conv(x, 64, 1), 96, 3), 96, 3)
    branch_pool = conv(_average(x, torch, name), pool, 1)
    return layers.Concatenate(name=name)([branch1, branch5, double, branch_pool])


def _reduce_b(x: keras.KerasTensor, conv: Conv, name: str) -> keras.KerasTensor:
    branch3 = conv(x, 384, 3, 2, "valid")
    double = conv(conv(conv(x, 64, 1), 96, 3), 96, 3, 2, "valid")
    branch_pool = layers.MaxPooling2D(3, 2, name=f"{name}_pool")(x)
    return layers.Concatenate(name=name)([branch3, double, branch_pool])


def _mixed_c(x: keras.KerasTensor, conv: Conv, filters: int, torch: bool, name: str) -> keras.KerasTensor:
    branch1 = conv(x, 192, 1)
    branch7 = conv(conv(conv(x, filters, 1), filters, (1, 7)), 192, (7, 1))
    double = conv(x, filters, 1)
    for kernel_size in ((7, 1), (1, 7), (7, 1)):
        double = conv(double, filters, kernel_size)
    double = conv(double, 192, (1, 7))
    branch_pool = conv(_average(x, torch, name), 192, 1)
    return layers.Concatenate(name=name)([branch1, branch7, double, branch_pool])


def _reduce_d(x: keras.KerasTensor, conv: Conv, name: str) -> keras.KerasTensor:
    branch3 = conv(conv(x, 192, 1), 320, 3, 2, "valid")
    branch7 = conv(conv(conv(x, 192, 1), 192, (1, 7)), 192, (7, 1))
    branch7 = conv(branch7, 192, 3, 2, "valid")
    branch_pool = layers.MaxPooling2D(3, 2, name=f"{name}_pool")(x)
    return layers.Concatenate(name=name)([branch3, branch7, branch_pool])


def _mixed_e(x: keras.KerasTensor, conv: Conv, torch: bool, name: str) -> keras.KerasTensor:
    branch1 = conv(x, 320, 1)
    branch3 = conv(x, 384, 1)
    branch3 = [conv(branch3, 384, (1, 3)), conv(branch3, 384, (3, 1))]
    double = conv(conv(x, 448, 1), 384, 3)
    double = [conv(double, 384, (1, 3)), conv(double, 384, (3, 1))]
    branch_pool = conv(_average(x, torch, name), 192, 1)
    return layers.Concatenate(name=name)([branch1, *branch3, *double, branch_pool])


def _average(x: keras.KerasTensor, torch: bool, name: str) -> keras.KerasTensor:
    """Average 3 × 3 and keep the size: PyTorch counts the padding's zeros at the border, Keras averages what is there."""
    if torch:
        x = pad_like_torch(x, 3, name=f"{name}_pool_pad")
    return layers.AveragePooling2D(3, 1, "valid" if torch else "same", name=f"{name}_pool")(x)


def _aux_v3(x: keras.KerasTensor, style: dict) -> keras.KerasTensor:
    if x.shape[1:3] == (17, 17):
        x = layers.AveragePooling2D(5, 3, name="aux1_pool")(x)
    else:
        x = adaptive_average(x, 5)
    for name, filters, kernel_size, stddev in (("aux1_conv0", 128, 1, 0.1), ("aux1_conv1", 768, 5, 0.01)):
        parts = (name, f"{name}_bn", f"{name}_relu")
        own = style | dict(kernel_initializer=normal(stddev))
        x = conv_bn(x, filters, kernel_size, names=parts, padding="valid", **own)
    return layers.Flatten(name="aux1_flatten")(x)
