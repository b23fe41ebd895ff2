"""LeNet-5: LeCun, Bottou, Bengio, Haffner 1998, "Gradient-Based Learning Applied to Document Recognition", section II-B.

input 32 × 32 × 1 (28 × 28 digits padded by 2)          parameters
c1  6 kernels 5 × 5             28 × 28 × 6              156
s2  pooling 2 × 2               14 × 14 × 6
c3  16 kernels 5 × 5            10 × 10 × 16           2,416
s4  pooling 2 × 2                5 ×  5 × 16
c5  dense                      120                    48,120
f6  dense                       84                    10,164
    classifier                  10                       850

This is the form that is taught. The paper's own differs in three places that nobody builds any more: its pooling has a
trained scale and offset, c3 sees chosen subsets of the maps, and the output measures distances to drawn digits. The weights
"mnist" were trained here, for the form with tanh. Fresh weights are Glorot & Bengio's (2010), made for tanh; the paper's,
uniform in ±2.4 / fan-in, are for its scaled tanh.

    builder  variant  parameters  of which statistics  px  weights
    lenet5   keras        61,706                    0  32  mnist
"""

from functools import partial
from typing import Unpack

import keras
from keras import layers

from zoo.builder import Family, Options, build, documented
from zoo.layers import stage

LENET = Family({"keras": "tf"}, (32, 32, 1), num_classes=10, min_size=16, resize=32, any_size=False)


@documented(LENET)
def lenet5(*, modern: bool = False, **options: Unpack[Options]) -> keras.Model:
    """Build LeNet-5 of LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition", section II-B.

    Args:
        modern: ReLU and max pooling instead of tanh and average pooling.
    """
    arguments = {"modern": True} if modern else {}
    return build("lenet5", partial(_body, modern=modern), LENET, arguments=arguments, **options)


def _body(x: keras.KerasTensor, variant: str, modern: bool) -> keras.KerasTensor:
    activation, pooling = ("relu", layers.MaxPooling2D) if modern else ("tanh", layers.AveragePooling2D)
    x = layers.Conv2D(6, 5, activation=activation, name="c1")(x)
    x = stage(pooling(2, name="s2")(x), "stage1")
    x = layers.Conv2D(16, 5, activation=activation, name="c3")(x)
    x = stage(pooling(2, name="s4")(x), "stage2")
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(120, activation=activation, name="c5")(x)
    x = layers.Dense(84, activation=activation, name="f6")(x)
    return stage(x, "pre_logits")
