"""Everything that `zoo` gives by name: builders, weights, cuts. `zoo` imports it, and Keras, when a name is asked for."""

from typing import Unpack

import keras

from zoo.architectures.alexnet import alexnet
from zoo.architectures.convnext import convnext_base, convnext_large, convnext_small, convnext_tiny, convnext_xlarge
from zoo.architectures.densenet import densenet121, densenet161, densenet169, densenet201
from zoo.architectures.efficientnet import (
    efficientnet_b0,
    efficientnet_b1,
    efficientnet_b2,
    efficientnet_b3,
    efficientnet_b4,
    efficientnet_b5,
    efficientnet_b6,
    efficientnet_b7,
    efficientnet_v2_b0,
    efficientnet_v2_b1,
    efficientnet_v2_b2,
    efficientnet_v2_b3,
    efficientnet_v2_l,
    efficientnet_v2_m,
    efficientnet_v2_s,
)
from zoo.architectures.efficientnet_lite import (
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
    efficientnet_lite3,
    efficientnet_lite4,
)
from zoo.architectures.inception import googlenet, inception_v1, inception_v3
from zoo.architectures.lenet import lenet5
from zoo.architectures.mobilenet import mobilenet, mobilenet_v2
from zoo.architectures.mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small
from zoo.architectures.regnet import (
    regnet_x_1_6gf,
    regnet_x_3_2gf,
    regnet_x_8gf,
    regnet_x_16gf,
    regnet_x_32gf,
    regnet_x_400mf,
    regnet_x_800mf,
    regnet_y_1_6gf,
    regnet_y_3_2gf,
    regnet_y_8gf,
    regnet_y_16gf,
    regnet_y_32gf,
    regnet_y_400mf,
    regnet_y_800mf,
)
from zoo.architectures.resnet import (
    resnet18,
    resnet20,
    resnet32,
    resnet34,
    resnet44,
    resnet50,
    resnet50v2,
    resnet56,
    resnet101,
    resnet101v2,
    resnet110,
    resnet152,
    resnet152v2,
)
from zoo.architectures.squeezenet import squeezenet1_0, squeezenet1_1
from zoo.architectures.swin import swin_base, swin_base_384, swin_small, swin_tiny
from zoo.architectures.vgg import vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn
from zoo.architectures.vit import (
    deit3_b_16,
    deit3_s_16,
    dinov2_b_14,
    dinov2_b_14_reg,
    dinov2_l_14,
    dinov2_l_14_reg,
    dinov2_s_14,
    dinov2_s_14_reg,
    vit_b_16,
    vit_b_32,
    vit_l_16,
    vit_s_16,
    vit_ti_16,
)
from zoo.architectures.xception import xception
from zoo.arguments import shown
from zoo.builder import AllOptions
from zoo.decoding import decode
from zoo.heads import new_head
from zoo.migrating import unknown_model
from zoo.patterns import matching
from zoo.reloading import load_weights
from zoo.surgery import features, freeze, regularize, split, stages
from zoo.weights.formats.tensors import WeightsError

MODELS = {
    function.__name__: function
    for function in (
        lenet5,
        alexnet,
        vgg11,
        vgg13,
        vgg16,
        vgg19,
        vgg11_bn,
        vgg13_bn,
        vgg16_bn,
        vgg19_bn,
        inception_v1,
        googlenet,
        inception_v3,
        resnet18,
        resnet34,
        resnet50,
        resnet101,
        resnet152,
        resnet50v2,
        resnet101v2,
        resnet152v2,
        resnet20,
        resnet32,
        resnet44,
        resnet56,
        resnet110,
        squeezenet1_0,
        squeezenet1_1,
        densenet121,
        densenet161,
        densenet169,
        densenet201,
        xception,
        mobilenet,
        mobilenet_v2,
        mobilenet_v3_small,
        mobilenet_v3_large,
        efficientnet_b0,
        efficientnet_b1,
        efficientnet_b2,
        efficientnet_b3,
        efficientnet_b4,
        efficientnet_b5,
        efficientnet_b6,
        efficientnet_b7,
        efficientnet_v2_b0,
        efficientnet_v2_b1,
        efficientnet_v2_b2,
        efficientnet_v2_b3,
        efficientnet_v2_s,
        efficientnet_v2_m,
        efficientnet_v2_l,
        efficientnet_lite0,
        efficientnet_lite1,
        efficientnet_lite2,
        efficientnet_lite3,
        efficientnet_lite4,
        regnet_x_400mf,
        regnet_x_800mf,
        regnet_x_1_6gf,
        regnet_x_3_2gf,
        regnet_x_8gf,
        regnet_x_16gf,
        regnet_x_32gf,
        regnet_y_400mf,
        regnet_y_800mf,
        regnet_y_1_6gf,
        regnet_y_3_2gf,
        regnet_y_8gf,
        regnet_y_16gf,
        regnet_y_32gf,
        convnext_tiny,
        convnext_small,
        convnext_base,
        convnext_large,
        convnext_xlarge,
        swin_tiny,
        swin_small,
        swin_base,
        swin_base_384,
        vit_ti_16,
        vit_s_16,
        vit_b_16,
        vit_b_32,
        vit_l_16,
        deit3_s_16,
        deit3_b_16,
        dinov2_s_14,
        dinov2_b_14,
        dinov2_l_14,
        dinov2_s_14_reg,
        dinov2_b_14_reg,
        dinov2_l_14_reg,
    )
}


def list_models(pattern: str = "*") -> list[str]:
    """Names of all architectures that match a shell pattern, such as "resnet*"; capitals are as good as small letters.

    If none matches, hyphens and underscores are left out: "ResNet-50" and "EfficientNetB*" are found, too.

    Raises:
        ValueError: the pattern is no text.
    """
    if not isinstance(pattern, str):
        raise ValueError(f"list_models: pattern must be a text such as 'resnet*', found {shown(pattern)}.")
    return matching(MODELS, pattern)


def get_model(name: str, **options: Unpack[AllOptions]) -> keras.Model:
    """Build an architecture by its name, such as "resnet50"; the options are its builder's.

    Raises:
        ValueError: no such architecture; the sentence says which is meant, or lists those there are.
        TypeError: an option that its builder does not have.
    """
    if not isinstance(name, str) or name not in MODELS:
        raise ValueError(unknown_model(name, MODELS))
    return MODELS[name](**options)


__all__ = [
    "MODELS",
    "WeightsError",
    "decode",
    "features",
    "freeze",
    "get_model",
    "list_models",
    "load_weights",
    "new_head",
    "regularize",
    "split",
    "stages",
    "lenet5",
    "alexnet",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg11_bn",
    "vgg13_bn",
    "vgg16_bn",
    "vgg19_bn",
    "inception_v1",
    "googlenet",
    "inception_v3",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet50v2",
    "resnet101v2",
    "resnet152v2",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
    "squeezenet1_0",
    "squeezenet1_1",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "xception",
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_b0",
    "efficientnet_v2_b1",
    "efficientnet_v2_b2",
    "efficientnet_v2_b3",
    "efficientnet_v2_s",
    "efficientnet_v2_m",
    "efficientnet_v2_l",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "efficientnet_lite3",
    "efficientnet_lite4",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_x_1_6gf",
    "regnet_x_3_2gf",
    "regnet_x_8gf",
    "regnet_x_16gf",
    "regnet_x_32gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "regnet_y_1_6gf",
    "regnet_y_3_2gf",
    "regnet_y_8gf",
    "regnet_y_16gf",
    "regnet_y_32gf",
    "convnext_tiny",
    "convnext_small",
    "convnext_base",
    "convnext_large",
    "convnext_xlarge",
    "swin_tiny",
    "swin_small",
    "swin_base",
    "swin_base_384",
    "vit_ti_16",
    "vit_s_16",
    "vit_b_16",
    "vit_b_32",
    "vit_l_16",
    "deit3_s_16",
    "deit3_b_16",
    "dinov2_s_14",
    "dinov2_b_14",
    "dinov2_l_14",
    "dinov2_s_14_reg",
    "dinov2_b_14_reg",
    "dinov2_l_14_reg",
]
