"""How the weights of a fresh network begin: Keras' own initialisers, under the names that papers and PyTorch give them.

All are configurations, of which every layer makes an initialiser of its own: one object in two layers of the same shape
would draw the same numbers for both. Each family says in its docstring whose it follows.

Of a depthwise kernel, Keras' fan-out is one channel's k², its fan-in that of all channels; PyTorch has it the other way
round. So `TORCHVISION` scales depthwise kernels by Keras' fan-in, and is what `kaiming_normal_(mode="fan_out")` does there.
"""

from collections.abc import Mapping
from types import MappingProxyType

# A name or a configuration, as the layers of Keras take it.
Initializer = str | dict[str, object]


def variance_scaling(scale: float, mode: str, distribution: str = "untruncated_normal") -> Initializer:
    """Draw with a variance of `scale` / fan; `mode` says which. With a scale of 2: He et al. 2015, arXiv:1502.01852."""
    return {"class_name": "VarianceScaling", "config": {"scale": scale, "mode": mode, "distribution": distribution}}


def normal(stddev: float) -> Initializer:
    """Draw from N(0, stddev²), which is also what PyTorch's `trunc_normal_` does: it cuts at ±2, and not at 2 `stddev`."""
    return {"class_name": "RandomNormal", "config": {"mean": 0.0, "stddev": stddev}}


def uniform(limit: float) -> Initializer:
    """Draw evenly from -limit to limit."""
    return {"class_name": "RandomUniform", "config": {"minval": -limit, "maxval": limit}}


def constant(value: float) -> Initializer:
    """Begin with one number everywhere."""
    return {"class_name": "Constant", "config": {"value": value}}


GLOROT = "glorot_uniform"  # Keras' own
HE_FAN_IN = variance_scaling(2.0, "fan_in")
HE_FAN_OUT = variance_scaling(2.0, "fan_out")
HE_UNIFORM = variance_scaling(2.0, "fan_in", "uniform")

# What PyTorch gives convolutions and dense layers of which nothing is said: uniform in ±1 / √fan-in.
TORCH_DEFAULT = variance_scaling(1 / 3, "fan_in", "uniform")

# Options of `zoo.layers.conv_bn`: what torchvision's networks share, and what Google's TensorFlow code and timm do.
TORCHVISION: Mapping[str, Initializer] = MappingProxyType(
    {"kernel_initializer": HE_FAN_OUT, "depthwise_initializer": HE_FAN_IN}
)
GOOGLE: Mapping[str, Initializer] = MappingProxyType({"kernel_initializer": HE_FAN_OUT, "depthwise_initializer": HE_FAN_OUT})

# Google's for the classifier: uniform in ±1 / √classes.
GOOGLE_DENSE = variance_scaling(1 / 3, "fan_out", "uniform")
