"""A network of every family, at the smallest size that it takes."""

import pytest

# The smallest member of each family, at a size that every stage survives; that of `make test` converts in seconds.
QUICK = {"lenet5": 32}
OTHERS = {
    "squeezenet1_1": 64,
    "alexnet": 227,
    "vgg11": 32,
    "vgg11_bn": 32,
    "inception_v1": 64,
    "googlenet": 64,
    "inception_v3": 96,
    "resnet18": 64,
    "resnet50v2": 64,
    "resnet20": 32,
    "densenet121": 64,
    "xception": 96,
    "mobilenet": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "mobilenet_v4_conv_small": 64,
    "efficientnet_b0": 64,
    "efficientnet_v2_b0": 64,
    "efficientnet_lite0": 64,
    "regnet_x_400mf": 64,
    "regnet_y_400mf": 64,
    "convnext_atto": 64,
    "convnext_v2_atto": 64,
    "vit_ti_16": 64,
    "deit3_s_16": 64,
    "dinov2_s_14_reg": 56,
    "swin_tiny": 64,
    "hgnetv2_b0": 64,
    "tiny_vit_5m": 64,
}
# Without those that are another's with batch norms.
MEMBERS = [name for name in (*QUICK, *OTHERS) if name not in ("vgg11_bn", "googlenet")]
CASES = [
    *(pytest.param(name, size, marks=pytest.mark.slow) for name, size in QUICK.items()),
    *(pytest.param(name, size, marks=[pytest.mark.slow, pytest.mark.deep]) for name, size in OTHERS.items()),
]
