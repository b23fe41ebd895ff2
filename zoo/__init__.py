"""A model zoo for Keras 3: one function an architecture, pretrained weights, and cuts for transfer learning.

>>> from zoo import vgg16
>>> model = vgg16(num_classes=10)
"""

import fnmatch

import keras

from zoo.convnext import convnext_base, convnext_large, convnext_small, convnext_tiny, convnext_xlarge
from zoo.lenet import lenet5
from zoo.mobilenet import mobilenet, mobilenet_v2
from zoo.regnet import (
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
from zoo.resnet import resnet50
from zoo.surgery import features, freeze, new_head, regularize, split, stages
from zoo.vgg import vgg16
from zoo.vit import vit_b_16, vit_b_32, vit_l_16, vit_s_16, vit_ti_16
from zoo.weights.files import WeightsError
from zoo.weights.loading import load_weights

__version__ = "0.1.0"

MODELS = {function.__name__: function for function in (
    lenet5,
    vgg16,
    resnet50,
    mobilenet, mobilenet_v2,
    convnext_tiny, convnext_small, convnext_base, convnext_large, convnext_xlarge,
    regnet_x_400mf, regnet_x_800mf, regnet_x_1_6gf, regnet_x_3_2gf, regnet_x_8gf, regnet_x_16gf, regnet_x_32gf,
    regnet_y_400mf, regnet_y_800mf, regnet_y_1_6gf, regnet_y_3_2gf, regnet_y_8gf, regnet_y_16gf, regnet_y_32gf,
    vit_ti_16, vit_s_16, vit_b_16, vit_b_32, vit_l_16,
)}  # fmt: skip


def list_models(pattern: str = "*") -> list[str]:
    """Names of all architectures that match a shell pattern, such as "resnet*"."""
    return [name for name in MODELS if fnmatch.fnmatch(name, pattern)]


def get_model(name: str, **options) -> keras.Model:
    """Build an architecture by its name; the options are its builder's.

    Raises:
        ValueError: no such architecture; the sentence lists those there are.
    """
    if name not in MODELS:
        raise ValueError(f"There is no model {name!r}: choose one of {', '.join(MODELS)}.")
    return MODELS[name](**options)


__all__ = [
    "MODELS", "WeightsError", "features", "freeze", "get_model", "list_models", "load_weights", "new_head", "regularize",
    "split", "stages",
    "convnext_base", "convnext_large", "convnext_small", "convnext_tiny", "convnext_xlarge",
    "lenet5",
    "mobilenet", "mobilenet_v2",
    "regnet_x_16gf", "regnet_x_1_6gf", "regnet_x_32gf", "regnet_x_3_2gf", "regnet_x_400mf", "regnet_x_800mf", "regnet_x_8gf",
    "regnet_y_16gf", "regnet_y_1_6gf", "regnet_y_32gf", "regnet_y_3_2gf", "regnet_y_400mf", "regnet_y_800mf", "regnet_y_8gf",
    "resnet50",
    "vgg16",
    "vit_b_16", "vit_b_32", "vit_l_16", "vit_s_16", "vit_ti_16",
]  # fmt: skip
