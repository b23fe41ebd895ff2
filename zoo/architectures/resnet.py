"""ResNet: He, Zhang, Ren, Sun 2015, "Deep Residual Learning for Image Recognition", arXiv:1512.03385.

Table 1 of the paper. A basic block is two 3 × 3 convolutions, a bottleneck is 1 × 1, 3 × 3, 1 × 1, and each adds its
input back:

    stage           1          2           3           4
    filters        64        128         256         512       basic blocks
               64, 256   128, 512   256, 1024   512, 2048      bottlenecks
    ResNet-18       2          2           2           2       basic blocks
    ResNet-34       3          4           6           3       basic blocks
    ResNet-50       3          4           6           3       bottlenecks
    ResNet-101      3          4          23           3       bottlenecks
    ResNet-152      3          8          36           3       bottlenecks

Two graphs have public weights. In the paper's, which keras.applications has, the first 1 × 1 of a stage has the stride;
torchvision's ("v1.5") gives it to the 3 × 3, has no convolution biases, and another epsilon. Fresh weights are He et al.'s
(arXiv:1502.01852), as the paper says: by fan-out, as in torchvision, by fan-in for CIFAR-10; no residual begins at zero.

Version 2: He, Zhang, Ren, Sun 2016, "Identity Mappings in Deep Residual Networks", arXiv:1603.05027. Batch norm and ReLU
come before each convolution, and nothing comes after the addition.

Section 4.2 of the first paper has networks for the 32 × 32 pictures of CIFAR-10: n basic blocks of 16, of 32 and of 64
filters, 6n + 2 layers in all, and no weights in the shortcuts. Their weights "cifar10" are those of
github.com/akamaster/pytorch_resnet_cifar10.

    builder      variant  parameters  of which statistics   px  weights
    resnet18     torch    11,699,112                9,600  224  imagenet_torchvision, imagenet_timm_*
    resnet34     torch    21,814,696               17,024  224  imagenet_torchvision, imagenet_timm_*
    resnet50     keras    25,636,712               53,120  224  imagenet
    resnet50     torch    25,610,152               53,120  224  imagenet_dino, imagenet_torchvision*, imagenet_timm_*
    resnet101    keras    44,707,176              105,344  224  imagenet
    resnet101    torch    44,654,504              105,344  224  imagenet_torchvision, imagenet_torchvision_v2, imagenet_timm_*
    resnet152    keras    60,419,944              151,424  224  imagenet
    resnet152    torch    60,344,232              151,424  224  imagenet_torchvision, imagenet_torchvision_v2, imagenet_timm_*
    resnet50v2   keras    25,613,800               45,440  224  imagenet
    resnet101v2  keras    44,675,560               97,664  224  imagenet
    resnet152v2  keras    60,380,648              143,744  224  imagenet
    resnet20     torch       271,098                1,376   32  cifar10
    resnet32     torch       466,426                2,272   32  cifar10
    resnet44     torch       661,754                3,168   32  cifar10
    resnet56     torch       857,082                4,064   32  cifar10
    resnet110    torch     1,736,058                8,096   32  cifar10
"""

from collections.abc import Callable
from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build, documented
from zoo.initializers import HE_FAN_IN, HE_FAN_OUT, TORCH_DEFAULT, normal
from zoo.layers import classifier, conv_bn, norm, pad_like_torch, stage
from zoo.weights.names import resnet as names

HEAD = partial(classifier, kernel_initializer=TORCH_DEFAULT)
RESNET = Family({"keras": "caffe", "torch": "torch"}, head=HEAD)
RESNET_BASIC = Family({"torch": "torch"}, head=HEAD)
RESNET_V2 = Family({"keras": "tf"}, head=partial(classifier, kernel_initializer=normal(0.01)))
RESNET_CIFAR = Family(
    {"torch": "torch"},
    input_shape=(32, 32, 3),
    num_classes=10,
    min_size=16,
    resize=32,
    head=partial(classifier, kernel_initializer=HE_FAN_IN),
)

TORCHVISION = {"torch": names.torchvision}
CIFAR = {"torch": names.cifar}

# How the convolutions and norms of a variant differ.
STYLES = {
    "keras": dict(use_bias=True, epsilon=1.001e-5, kernel_initializer=HE_FAN_OUT),
    "torch": dict(use_bias=False, epsilon=1e-5, momentum=0.9, kernel_initializer=HE_FAN_OUT),
}
STYLE_V2 = dict(use_bias=False, epsilon=1.001e-5, kernel_initializer=HE_FAN_OUT)
STYLE_CIFAR = STYLES["torch"] | dict(kernel_initializer=HE_FAN_IN)

Block = Callable[[keras.KerasTensor, int, int, str, str], keras.KerasTensor]  # (x, filters, strides, variant, name)


@documented(RESNET_BASIC)
def resnet18(**options: Unpack[Options]) -> keras.Model:
    """Build ResNet-18 of He et al. 2015 (arXiv:1512.03385), table 1."""
    body = partial(_body, block=_basic, depths=(2, 2, 2, 2))
    return build("resnet18", body, RESNET_BASIC, torch_names=TORCHVISION, **options)


@documented(RESNET_BASIC)
def resnet34(**options: Unpack[Options]) -> keras.Model:
    """Build ResNet-34 of He et al. 2015 (arXiv:1512.03385), table 1."""
    body = partial(_body, block=_basic, depths=(3, 4, 6, 3))
    return build("resnet34", body, RESNET_BASIC, torch_names=TORCHVISION, **options)


@documented(RESNET)
def resnet50(**options: Unpack[Options]) -> keras.Model:
    """Build ResNet-50 of He et al. 2015 (arXiv:1512.03385), table 1."""
    body = partial(_body, block=_bottleneck, depths=(3, 4, 6, 3))
    return build("resnet50", body, RESNET, torch_names=TORCHVISION, **options)


@documented(RESNET)
def resnet101(**options: Unpack[Options]) -> keras.Model:
    """Build ResNet-101 of He et al. 2015 (arXiv:1512.03385), table 1."""
    body = partial(_body, block=_bottleneck, depths=(3, 4, 23, 3))
    return build("resnet101", body, RESNET, torch_names=TORCHVISION, **options)


@documented(RESNET)
def resnet152(**options: Unpack[Options]) -> keras.Model:
    """Build ResNet-152 of He et al. 2015 (arXiv:1512.03385), table 1."""
    body = partial(_body, block=_bottleneck, depths=(3, 8, 36, 3))
    return build("resnet152", body, RESNET, torch_names=TORCHVISION, **options)


@documented(RESNET_V2)
def resnet50v2(**options: Unpack[Options]) -> keras.Model:
    """Build ResNet-50 v2 of He et al. 2016 (arXiv:1603.05027), figure 4e."""
    body = partial(_body_v2, depths=(3, 4, 6, 3))
    return build("resnet50v2", body, RESNET_V2, **options)


@documented(RESNET_V2)
def resnet101v2(**options: Unpack[Options]) -> keras.Model:
    """Build ResNet-101 v2 of He et al. 2016 (arXiv:1603.05027), figure 4e."""
    body = partial(_body_v2, depths=(3, 4, 23, 3))
    return build("resnet101v2", body, RESNET_V2, **options)


@documented(RESNET_V2)
def resnet152v2(**options: Unpack[Options]) -> keras.Model:
    """Build ResNet-152 v2 of He et al. 2016 (arXiv:1603.05027), figure 4e."""
    body = partial(_body_v2, depths=(3, 8, 36, 3))
    return build("resnet152v2", body, RESNET_V2, **options)


@documented(RESNET_CIFAR)
def resnet20(**options: Unpack[Options]) -> keras.Model:
    """Build ResNet-20 for CIFAR-10 of He et al. 2015 (arXiv:1512.03385), section 4.2."""
    body = partial(_body_cifar, depth=3)
    return build("resnet20", body, RESNET_CIFAR, torch_names=CIFAR, **options)


@documented(RESNET_CIFAR)
def resnet32(**options: Unpack[Options]) -> keras.Model:
    """Build ResNet-32 for CIFAR-10 of He et al. 2015 (arXiv:1512.03385), section 4.2."""
    body = partial(_body_cifar, depth=5)
    return build("resnet32", body, RESNET_CIFAR, torch_names=CIFAR, **options)


@documented(RESNET_CIFAR)
def resnet44(**options: Unpack[Options]) -> keras.Model:
    """Build ResNet-44 for CIFAR-10 of He et al. 2015 (arXiv:1512.03385), section 4.2."""
    body = partial(_body_cifar, depth=7)
    return build("resnet44", body, RESNET_CIFAR, torch_names=CIFAR, **options)


@documented(RESNET_CIFAR)
def resnet56(**options: Unpack[Options]) -> keras.Model:
    """Build ResNet-56 for CIFAR-10 of He et al. 2015 (arXiv:1512.03385), section 4.2."""
    body = partial(_body_cifar, depth=9)
    return build("resnet56", body, RESNET_CIFAR, torch_names=CIFAR, **options)


@documented(RESNET_CIFAR)
def resnet110(**options: Unpack[Options]) -> keras.Model:
    """Build ResNet-110 for CIFAR-10 of He et al. 2015 (arXiv:1512.03385), section 4.2."""
    body = partial(_body_cifar, depth=18)
    return build("resnet110", body, RESNET_CIFAR, torch_names=CIFAR, **options)


def _body(x: keras.KerasTensor, variant: str, block: Block, depths: tuple[int, ...]) -> keras.KerasTensor:
    x = _pool(_conv(x, 64, 7, 2, STYLES[variant], name="conv1"))
    return _stages(x, variant, block, filters=(64, 128, 256, 512), depths=depths)


def _body_cifar(x: keras.KerasTensor, variant: str, depth: int) -> keras.KerasTensor:
    x = _conv(x, 16, 3, 1, STYLE_CIFAR, name="conv1")
    return _stages(x, variant, _basic_cifar, filters=(16, 32, 64), depths=(depth, depth, depth))


def _body_v2(x: keras.KerasTensor, variant: str, depths: tuple[int, ...]) -> keras.KerasTensor:
    x = pad_like_torch(x, 7, name="conv1_pad")
    x = _pool(_plain_conv(x, 64, 7, 2, name="conv1_conv"))
    for i, depth in enumerate(depths, start=1):
        for j in range(1, depth + 1):
            strides = 2 if i < len(depths) and j == depth else 1  # in keras.applications the last block has the stride
            if strides > 1:
                x = stage(x, f"stage{i}")
            x = _preactivated(x, 32 * 2**i, strides, j == 1, f"conv{i + 1}_block{j}")
    x = stage(_norm_v2(x, "post"), f"stage{len(depths)}")
    return stage(layers.GlobalAveragePooling2D(name="avg_pool")(x), "pre_logits")


def _stages(
    x: keras.KerasTensor, variant: str, block: Block, filters: tuple[int, ...], depths: tuple[int, ...]
) -> keras.KerasTensor:
    for i, (width, depth) in enumerate(zip(filters, depths, strict=True), start=1):
        for j in range(1, depth + 1):
            x = block(x, width, 2 if i > 1 and j == 1 else 1, variant, f"conv{i + 1}_block{j}")
        x = stage(x, f"stage{i}")
    return stage(layers.GlobalAveragePooling2D(name="avg_pool")(x), "pre_logits")


def _basic(x: keras.KerasTensor, filters: int, strides: int, variant: str, name: str) -> keras.KerasTensor:
    y = _two_convolutions(x, filters, strides, STYLES[variant], name)
    return _sum(_projection(x, filters, strides, STYLES[variant], name), y, name)


def _basic_cifar(x: keras.KerasTensor, filters: int, strides: int, variant: str, name: str) -> keras.KerasTensor:
    y = _two_convolutions(x, filters, strides, STYLE_CIFAR, name)
    return _sum(_subsampling(x, filters, strides, name), y, name)


def _bottleneck(x: keras.KerasTensor, filters: int, strides: int, variant: str, name: str) -> keras.KerasTensor:
    style = STYLES[variant]
    first, second = (1, strides) if variant == "torch" else (strides, 1)
    y = _conv(x, filters, 1, first, style, name=f"{name}_1")
    y = _conv(y, filters, 3, second, style, name=f"{name}_2")
    y = _conv(y, 4 * filters, 1, 1, style, name=f"{name}_3", activation=None)
    return _sum(_projection(x, 4 * filters, strides, style, name), y, name)


def _preactivated(x: keras.KerasTensor, filters: int, strides: int, project: bool, name: str) -> keras.KerasTensor:
    y = _norm_v2(x, f"{name}_preact")
    if project:
        x = _plain_conv(y, 4 * filters, 1, name=f"{name}_0_conv")
    elif strides > 1:
        x = layers.MaxPooling2D(1, strides, name=f"{name}_0_pool")(x)
    y = _conv(y, filters, 1, 1, STYLE_V2, name=f"{name}_1")
    y = _conv(y, filters, 3, strides, STYLE_V2, name=f"{name}_2")
    y = _plain_conv(y, 4 * filters, 1, name=f"{name}_3_conv")
    return layers.Add(name=f"{name}_out")([x, y])


def _two_convolutions(x: keras.KerasTensor, filters: int, strides: int, style: dict, name: str) -> keras.KerasTensor:
    x = _conv(x, filters, 3, strides, style, name=f"{name}_1")
    return _conv(x, filters, 3, 1, style, name=f"{name}_2", activation=None)


def _sum(shortcut: keras.KerasTensor, y: keras.KerasTensor, name: str) -> keras.KerasTensor:
    x = layers.Add(name=f"{name}_add")([shortcut, y])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _projection(x: keras.KerasTensor, filters: int, strides: int, style: dict, name: str) -> keras.KerasTensor:
    """Apply the paper's option B: a 1 × 1 convolution where the shape changes."""
    if strides == 1 and x.shape[-1] == filters:
        return x
    return _conv(x, filters, 1, strides, style, name=f"{name}_0", activation=None)


def _subsampling(x: keras.KerasTensor, filters: int, strides: int, name: str) -> keras.KerasTensor:
    """Apply the paper's option A: every second pixel, and channels of zeros, half of them on either side."""
    if strides == 1:
        return x
    zeros = (filters - x.shape[-1]) // 2
    x = layers.MaxPooling2D(1, strides, name=f"{name}_0_pool")(x)
    return keras.ops.pad(x, ((0, 0), (0, 0), (0, 0), (zeros, zeros)))


def _pool(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.MaxPooling2D(3, 2, name="pool1_pool")(pad_like_torch(x, 3, name="pool1_pad"))


def _plain_conv(x: keras.KerasTensor, filters: int, kernel_size: int, strides: int = 1, *, name: str) -> keras.KerasTensor:
    return layers.Conv2D(filters, kernel_size, strides, kernel_initializer=HE_FAN_OUT, name=name)(x)


def _norm_v2(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return norm(x, names=(f"{name}_bn", f"{name}_relu"), epsilon=STYLE_V2["epsilon"])


def _conv(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    strides: int,
    style: dict,
    *,
    name: str,
    activation: str | None = "relu",
) -> keras.KerasTensor:
    strided = kernel_size > 1 and strides > 1
    if strided:
        x = pad_like_torch(x, kernel_size, name=f"{name}_pad")
    parts = (f"{name}_conv", f"{name}_bn", f"{name}_relu")
    padding = "valid" if strided else "same"
    return conv_bn(x, filters, kernel_size, strides, names=parts, padding=padding, activation=activation, **style)
