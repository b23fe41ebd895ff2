"""SqueezeNet: Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", arXiv:1602.07360.

A fire module squeezes with 1 × 1 convolutions, then expands with 1 × 1 and 3 × 3 ones side by side. Table 1 of the paper
(1.0), and the authors' cheaper 1.1, which pools earlier; /2 is a 3 × 3 max pooling of stride 2:

    stage              1                     2                                    3
    squeeze            16   16   32          32   48   48   64                    64
    expand, each       64   64  128         128  192  192  256                   256
    1.0: conv 7 × 7, 96 /2 fire2, 3, 4   /2 fire5, 6, 7, 8                     /2 fire9
    1.1: conv 3 × 3, 64 /2 fire2, 3      /2 fire4, 5                           /2 fire6, 7, 8, 9
    then a 1 × 1 convolution to the classes with a ReLU, whose average is the answer

1.1 is as accurate for 2.4 times less computation. The classifier is a convolution: "pre_logits" is a feature map, averaged
where `num_classes=0` or `new_head` ends it. Fresh weights are torchvision's: He et al.'s, uniform by fan-in, and N(0, 0.01²)
in the classifier.

    builder        variant  parameters  of which statistics   px  weights
    squeezenet1_0  torch     1,248,424                    0  224  imagenet_torchvision
    squeezenet1_1  torch     1,235,496                    0  224  imagenet_torchvision
"""

from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build, documented
from zoo.initializers import HE_UNIFORM, normal
from zoo.layers import convolutional_classifier, max_pool_ceil, stage
from zoo.weights.names import squeezenet as names

# One variant: Caffe, where the paper's model was made, gluon and torchvision build the same graph.
SQUEEZENET = Family(
    {"torch": "torch"},
    head=partial(convolutional_classifier, kernel_initializer=normal(0.01)),
    notes="dropout=0.5 is the paper's, behind the last fire module.",
)
KERNELS = dict(kernel_initializer=HE_UNIFORM)

# Squeezing filters of fire2 to fire9; each of the two expansions has four times as many.
SQUEEZE = (16, 16, 32, 32, 48, 48, 64, 64)


@documented(SQUEEZENET)
def squeezenet1_0(**options: Unpack[Options]) -> keras.Model:
    """Build SqueezeNet 1.0 of Iandola et al. 2016 (arXiv:1602.07360), table 1."""
    body = partial(_body, stem=dict(filters=96, kernel_size=7), depths=(3, 4, 1))
    return build("squeezenet1_0", body, SQUEEZENET, torch_names={"torch": names.torchvision((4, 8))}, **options)


@documented(SQUEEZENET)
def squeezenet1_1(**options: Unpack[Options]) -> keras.Model:
    """Build SqueezeNet 1.1, the cheaper form by the authors of Iandola et al. 2016 (arXiv:1602.07360)."""
    body = partial(_body, stem=dict(filters=64, kernel_size=3), depths=(2, 2, 4))
    return build("squeezenet1_1", body, SQUEEZENET, torch_names={"torch": names.torchvision((3, 5))}, **options)


def _body(x: keras.KerasTensor, variant: str, stem: dict[str, int], depths: tuple[int, ...]) -> keras.KerasTensor:
    x = layers.Conv2D(**stem, strides=2, activation="relu", name="conv1", **KERNELS)(x)
    block = 2
    for i, depth in enumerate(depths, start=1):
        x = max_pool_ceil(x, name=f"pool{block - 1}")
        for _ in range(depth):
            x = _fire(x, SQUEEZE[block - 2], f"fire{block}")
            block += 1
        x = stage(x, f"stage{i}")
    return x


def _fire(x: keras.KerasTensor, squeeze: int, name: str) -> keras.KerasTensor:
    more = dict(padding="same", activation="relu", **KERNELS)
    x = layers.Conv2D(squeeze, 1, name=f"{name}_squeeze1x1", **more)(x)
    branch1 = layers.Conv2D(4 * squeeze, 1, name=f"{name}_expand1x1", **more)(x)
    branch3 = layers.Conv2D(4 * squeeze, 3, name=f"{name}_expand3x3", **more)(x)
    return layers.Concatenate(name=name)([branch1, branch3])
