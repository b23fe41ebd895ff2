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
torchvision's ("v1.5") gives it to the 3 × 3, has no convolution biases, and another epsilon.

Version 2: He, Zhang, Ren, Sun 2016, "Identity Mappings in Deep Residual Networks", arXiv:1603.05027. Batch norm and ReLU
come before each convolution, and nothing comes after the addition.

Section 4.2 of the first paper has networks for the 32 × 32 pictures of CIFAR-10: n basic blocks of 16, of 32 and of 64
filters, 6n + 2 layers in all, and no weights in the shortcuts.
"""

from collections.abc import Callable
from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build
from zoo.layers import conv_bn, norm, pad_like_torch, stage
from zoo.weights.names import resnet as names

RESNET = Family({"keras": "caffe", "torch": "torch"})
RESNET_BASIC = Family({"torch": "torch"})
RESNET_V2 = Family({"keras": "tf"})
RESNET_CIFAR = Family({"torch": "torch"}, input_shape=(32, 32, 3), num_classes=10, min_size=16, resize=32)

# How a variant's convolutions and norms differ.
FORMS = {
    "keras": dict(use_bias=True, epsilon=1.001e-5),
    "keras v2": dict(use_bias=False, epsilon=1.001e-5),
    "torch": dict(use_bias=False, epsilon=1e-5, momentum=0.9),
}


def resnet18(**options: Unpack[Options]) -> keras.Model:
    """ResNet-18 of He et al. 2015 (arXiv:1512.03385), table 1: 11,689,512 parameters and 9,600 statistics.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", and timm's.
    """
    return _basic_resnet("resnet18", (2, 2, 2, 2), options)


def resnet34(**options: Unpack[Options]) -> keras.Model:
    """ResNet-34 of He et al. 2015 (arXiv:1512.03385), table 1: 21,797,672 parameters and 17,024 statistics.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights:
    "imagenet_torchvision", and timm's.
    """
    return _basic_resnet("resnet34", (3, 4, 6, 3), options)


def resnet50(**options: Unpack[Options]) -> keras.Model:
    """ResNet-50 of He et al. 2015 (arXiv:1512.03385), table 1.

    Variant "keras": 25,636,712 parameters, moving statistics included; "torch": 25,557,032 and 53,120 statistics.
    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision", "imagenet_torchvision_v2", and timm's.
    """
    return _bottleneck_resnet("resnet50", (3, 4, 6, 3), options)


def resnet101(**options: Unpack[Options]) -> keras.Model:
    """ResNet-101 of He et al. 2015 (arXiv:1512.03385), table 1.

    Variant "keras": 44,707,176 parameters, moving statistics included; "torch": 44,549,160 and 105,344 statistics.
    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision", "imagenet_torchvision_v2", and timm's.
    """
    return _bottleneck_resnet("resnet101", (3, 4, 23, 3), options)


def resnet152(**options: Unpack[Options]) -> keras.Model:
    """ResNet-152 of He et al. 2015 (arXiv:1512.03385), table 1.

    Variant "keras": 60,419,944 parameters, moving statistics included; "torch": 60,192,808 and 151,424 statistics.
    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications), "imagenet_torchvision", "imagenet_torchvision_v2", and timm's.
    """
    return _bottleneck_resnet("resnet152", (3, 8, 36, 3), options)


def resnet50v2(**options: Unpack[Options]) -> keras.Model:
    """ResNet-50 v2 of He et al. 2016 (arXiv:1603.05027), figure 4e: 25,613,800 parameters, moving statistics included.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications).
    """
    return build("resnet50v2", partial(_v2, depths=(3, 4, 6, 3)), RESNET_V2, **options)


def resnet101v2(**options: Unpack[Options]) -> keras.Model:
    """ResNet-101 v2 of He et al. 2016 (arXiv:1603.05027), figure 4e: 44,675,560 parameters, moving statistics included.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications).
    """
    return build("resnet101v2", partial(_v2, depths=(3, 4, 23, 3)), RESNET_V2, **options)


def resnet152v2(**options: Unpack[Options]) -> keras.Model:
    """ResNet-152 v2 of He et al. 2016 (arXiv:1603.05027), figure 4e: 60,380,648 parameters, moving statistics included.

    Input `(batch, 224, 224, 3)`, or any size from 32 up, RGB in 0..255. See `zoo.builder.Options`; weights: "imagenet"
    (keras.applications).
    """
    return build("resnet152v2", partial(_v2, depths=(3, 8, 36, 3)), RESNET_V2, **options)


def resnet20(**options: Unpack[Options]) -> keras.Model:
    """ResNet-20 for CIFAR-10 of He et al. 2015 (arXiv:1512.03385), section 4.2: 269,722 parameters and 1,376 statistics.

    Input `(batch, 32, 32, 3)`, or any size from 16 up, RGB in 0..255; 10 classes. See `zoo.builder.Options`; weights:
    "cifar10".
    """
    return _cifar_resnet("resnet20", 3, options)


def resnet32(**options: Unpack[Options]) -> keras.Model:
    """ResNet-32 for CIFAR-10 of He et al. 2015 (arXiv:1512.03385), section 4.2: 464,154 parameters and 2,272 statistics.

    Input `(batch, 32, 32, 3)`, or any size from 16 up, RGB in 0..255; 10 classes. See `zoo.builder.Options`; weights:
    "cifar10".
    """
    return _cifar_resnet("resnet32", 5, options)


def resnet44(**options: Unpack[Options]) -> keras.Model:
    """ResNet-44 for CIFAR-10 of He et al. 2015 (arXiv:1512.03385), section 4.2: 658,586 parameters and 3,168 statistics.

    Input `(batch, 32, 32, 3)`, or any size from 16 up, RGB in 0..255; 10 classes. See `zoo.builder.Options`; weights:
    "cifar10".
    """
    return _cifar_resnet("resnet44", 7, options)


def resnet56(**options: Unpack[Options]) -> keras.Model:
    """ResNet-56 for CIFAR-10 of He et al. 2015 (arXiv:1512.03385), section 4.2: 853,018 parameters and 4,064 statistics.

    Input `(batch, 32, 32, 3)`, or any size from 16 up, RGB in 0..255; 10 classes. See `zoo.builder.Options`; weights:
    "cifar10".
    """
    return _cifar_resnet("resnet56", 9, options)


def resnet110(**options: Unpack[Options]) -> keras.Model:
    """ResNet-110 for CIFAR-10 of He et al. 2015 (arXiv:1512.03385), section 4.2: 1,727,962 parameters, 8,096 statistics.

    Input `(batch, 32, 32, 3)`, or any size from 16 up, RGB in 0..255; 10 classes. See `zoo.builder.Options`; weights:
    "cifar10".
    """
    return _cifar_resnet("resnet110", 18, options)


def _basic_resnet(name: str, depths: tuple[int, ...], options: Options) -> keras.Model:
    body = partial(_body, block=partial(_basic, shortcut=_projection), depths=depths)
    return build(name, body, RESNET_BASIC, torch_names={"torch": names.torchvision}, **options)


def _bottleneck_resnet(name: str, depths: tuple[int, ...], options: Options) -> keras.Model:
    body = partial(_body, block=_bottleneck, depths=depths)
    return build(name, body, RESNET, torch_names={"torch": names.torchvision}, **options)


def _cifar_resnet(name: str, depth: int, options: Options) -> keras.Model:
    return build(name, partial(_cifar, depth=depth), RESNET_CIFAR, torch_names={"torch": names.cifar}, **options)


def _body(x: keras.KerasTensor, variant: str, block: Callable, depths: tuple[int, ...]) -> keras.KerasTensor:
    x = _pool(_conv(x, 64, 7, 2, variant, name="conv1"))
    return _stages(x, partial(block, form=variant), (64, 128, 256, 512), depths)


def _cifar(x: keras.KerasTensor, variant: str, depth: int) -> keras.KerasTensor:
    x = _conv(x, 16, 3, 1, variant, name="conv1")
    return _stages(x, partial(_basic, form=variant, shortcut=_subsampling), (16, 32, 64), (depth,) * 3)


def _stages(x: keras.KerasTensor, block: Callable, filters: tuple[int, ...], depths: tuple[int, ...]):
    for i, (width, depth) in enumerate(zip(filters, depths, strict=True), start=1):
        for j in range(1, depth + 1):
            x = block(x, width, 2 if i > 1 and j == 1 else 1, name=f"conv{i + 1}_block{j}")
        x = stage(x, f"stage{i}")
    return stage(layers.GlobalAveragePooling2D(name="avg_pool")(x), "pre_logits")


def _basic(x: keras.KerasTensor, filters: int, strides: int, *, form: str, name: str, shortcut: Callable):
    y = _conv(x, filters, 3, strides, form, name=f"{name}_1")
    y = _conv(y, filters, 3, 1, form, name=f"{name}_2", activation=None)
    x = layers.Add(name=f"{name}_add")([shortcut(x, filters, strides, form, name), y])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _bottleneck(x: keras.KerasTensor, filters: int, strides: int, *, form: str, name: str) -> keras.KerasTensor:
    first, second = (1, strides) if form == "torch" else (strides, 1)
    y = _conv(x, filters, 1, first, form, name=f"{name}_1")
    y = _conv(y, filters, 3, second, form, name=f"{name}_2")
    y = _conv(y, 4 * filters, 1, 1, form, name=f"{name}_3", activation=None)
    x = layers.Add(name=f"{name}_add")([_projection(x, 4 * filters, strides, form, name), y])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _projection(x: keras.KerasTensor, filters: int, strides: int, form: str, name: str) -> keras.KerasTensor:
    """The paper's option B: a 1 × 1 convolution where the shape changes."""
    if strides == 1 and x.shape[-1] == filters:
        return x
    return _conv(x, filters, 1, strides, form, name=f"{name}_0", activation=None)


def _subsampling(x: keras.KerasTensor, filters: int, strides: int, form: str, name: str) -> keras.KerasTensor:
    """The paper's option A: every second pixel, and channels of zeros, half of them on either side."""
    if strides == 1:
        return x
    zeros = (filters - x.shape[-1]) // 2
    x = layers.MaxPooling2D(1, strides, name=f"{name}_0_pool")(x)
    return keras.ops.pad(x, ((0, 0), (0, 0), (0, 0), (zeros, zeros)))


def _v2(x: keras.KerasTensor, variant: str, depths: tuple[int, ...]) -> keras.KerasTensor:
    x = pad_like_torch(x, 7, name="conv1_pad")
    x = _pool(layers.Conv2D(64, 7, 2, name="conv1_conv")(x))
    for i, depth in enumerate(depths, start=1):
        for j in range(1, depth + 1):
            strides = 2 if i < len(depths) and j == depth else 1  # in keras.applications the last block has the stride
            if strides > 1:
                x = stage(x, f"stage{i}")
            x = _preactivated(x, 32 * 2**i, strides, j == 1, f"conv{i + 1}_block{j}")
    x = stage(_norm_v2(x, "post"), f"stage{len(depths)}")
    return stage(layers.GlobalAveragePooling2D(name="avg_pool")(x), "pre_logits")


def _preactivated(x: keras.KerasTensor, filters: int, strides: int, project: bool, name: str) -> keras.KerasTensor:
    y = _norm_v2(x, f"{name}_preact")
    if project:
        x = layers.Conv2D(4 * filters, 1, name=f"{name}_0_conv")(y)
    elif strides > 1:
        x = layers.MaxPooling2D(1, strides, name=f"{name}_0_pool")(x)
    y = _conv(y, filters, 1, 1, "keras v2", name=f"{name}_1")
    y = _conv(y, filters, 3, strides, "keras v2", name=f"{name}_2")
    y = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(y)
    return layers.Add(name=f"{name}_out")([x, y])


def _norm_v2(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return norm(x, names=(f"{name}_bn", f"{name}_relu"), epsilon=FORMS["keras v2"]["epsilon"])


def _conv(x, filters: int, kernel_size: int, strides: int, form: str, *, name: str, activation: str | None = "relu"):
    strided = kernel_size > 1 and strides > 1
    if strided:
        x = pad_like_torch(x, kernel_size, name=f"{name}_pad")
    parts = (f"{name}_conv", f"{name}_bn", f"{name}_relu")
    return conv_bn(
        x,
        filters,
        kernel_size,
        strides,
        names=parts,
        padding="valid" if strided else "same",
        activation=activation,
        **FORMS[form],
    )


def _pool(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.MaxPooling2D(3, 2, name="pool1_pool")(pad_like_torch(x, 3, name="pool1_pad"))
