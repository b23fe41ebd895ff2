"""Classifiers for a new task: what stands behind "pre_logits", of stock layers only.

- `linear`: dropout, if any, and a dense layer; what every network of the zoo ends with.
- `dropout`: the same on standardised features, with a dropout of 0.2 as in Keras' guide to transfer learning.
- `hidden`: standardised features, 256 rectified units, dropout of 0.5, a dense layer.
- `cosine`: a class's probability grows with the cosine of the angle between the features and the class's direction, times
  one learned scale (Gidaris & Komodakis 2018, arXiv:1804.09458, section 3.2; Chen et al. 2019, arXiv:1904.04232, table 1).
  Features are centred first, without which those behind a ReLU all point the same way (Wang et al. 2019, SimpleShot,
  arXiv:1911.04623, section 3.2).

Their last layer is called `layers.CLASSIFIER` and has the activation.
"""

from collections.abc import Callable
from types import MappingProxyType

import keras
import numpy as np
from keras import layers

from zoo import surgery
from zoo.arguments import check_activation, check_model, integer, rate
from zoo.graph import inside
from zoo.keras_private import input_of
from zoo.layers import CLASSIFIER, LAST_NORM, PATCHES, classifier, stage, token_and_mean
from zoo.origin import of_part
from zoo.pixels import watch_part

# The names of layers.
STANDARDIZE = "standardize"
COSINE = "cosine"
SCALE = "scale"

HIDDEN_UNITS = 256
INITIAL_SCALE = 10.0  # Gidaris & Komodakis' own


def standardized(
    x: keras.KerasTensor, num_classes: int, rate: float, activation: str | None, units: int = 0
) -> keras.KerasTensor:
    """Classify standardised features by a dense layer, behind one of so many rectified `units`, if any, and dropout."""
    x = layers.Normalization(name=STANDARDIZE)(x)
    if units:
        x = layers.Dense(units, "relu", name="hidden")(x)
    return classifier(x, num_classes, rate, activation)


def dropout_head(x: keras.KerasTensor, num_classes: int, rate: float, activation: str | None) -> keras.KerasTensor:
    """Classify standardised features behind dropout, of 0.2 where no rate is given."""
    return standardized(x, num_classes, rate or 0.2, activation)


def hidden_head(x: keras.KerasTensor, num_classes: int, rate: float, activation: str | None) -> keras.KerasTensor:
    """Classify standardised features by a hidden layer and dropout, of 0.5 where no rate is given."""
    return standardized(x, num_classes, rate or 0.5, activation, HIDDEN_UNITS)


def cosine_head(x: keras.KerasTensor, num_classes: int, rate: float, activation: str | None) -> keras.KerasTensor:
    """Classify centred features by the cosines of their angles to the classes' directions, times one learned scale."""
    x = layers.UnitNormalization(name="direction")(layers.Normalization(name=STANDARDIZE)(x))
    if rate:
        x = layers.Dropout(rate, name="dropout")(x)
    unit = keras.constraints.UnitNorm(axis=0)
    x = layers.Dense(num_classes, use_bias=False, kernel_constraint=unit, dtype="float32", name=COSINE)(x)
    # One number times all cosines: a dense layer with a single weight, which each cosine passes through.
    start = keras.initializers.Constant(INITIAL_SCALE)
    x = layers.Reshape((num_classes, 1), name="cosines")(x)
    x = layers.Dense(1, use_bias=False, kernel_initializer=start, dtype="float32", name=SCALE)(x)
    x = layers.Reshape((num_classes,), name="logits")(x)
    return layers.Activation(activation, dtype="float32", name=CLASSIFIER)(x)


Head = Callable[[keras.KerasTensor, int, float, str | None], keras.KerasTensor]
HEADS = MappingProxyType({"linear": classifier, "dropout": dropout_head, "hidden": hidden_head, "cosine": cosine_head})


def new_head(
    model: keras.Model,
    num_classes: int,
    dropout: float = 0.0,
    activation: str | None = "softmax",
    head: str | Head = "linear",
    pooling: str = "average",
) -> keras.Model:
    """Make a model that shares everything up to "pre_logits" and has a new, randomly initialised classifier.

    Args:
        dropout: rate before the last layer; the head's own if 0.
        head: a name in `HEADS`, or a function as they are.
        pooling: how the last feature map becomes a vector: "average", which is the network's own way, also where that is
            none; "max"; or "both", one behind the other. Of a vision transformer "both" is the class token and the mean of
            the patches, which linear probes of DINOv2 see.

    Raises:
        ValueError: the model has no stage "pre_logits" or nothing to pool, `num_classes` is below 1, or there is no such
            head.
    """
    check_model(model, "new_head")
    num_classes = integer(num_classes, "new_head: num_classes must be 1 or more, a whole number", 1)
    dropout = rate(dropout, "new_head: dropout")
    check_activation(activation, "new_head")
    if not callable(head) and head not in list(HEADS):
        raise ValueError(f"There is no head {head!r}: choose one of {', '.join(HEADS)}.")
    x = _vector(model, pooling)
    head = head if callable(head) else HEADS[head]
    new = keras.Model(input_of(model), head(x, num_classes, dropout, activation), name=model.name)
    new.origin = of_part(model)
    watch_part(new, model)
    return new


def shorten(model: keras.Model, at: str) -> keras.Model:
    """Cut the model behind a stage, whose output becomes its "pre_logits": averaged over the pixels, if it is a map.

    Raises:
        ValueError: it has no such stage.
    """
    x = surgery.features(model, [at]).outputs[0]
    if len(x.shape) > 2:
        pool = layers.GlobalAveragePooling2D if len(x.shape) == 4 else layers.GlobalAveragePooling1D
        x = pool(name="avg_pool")(x)
    new = keras.Model(input_of(model), stage(x, "pre_logits"), name=model.name)
    new.origin = of_part(model)
    watch_part(new, model)
    return new


def standardize(model: keras.Model, mean: np.ndarray, scale: float | np.ndarray) -> None:
    """Let the head see (features − mean) / scale, before `compile`; `linear` has no such layer and stays as it is."""
    if STANDARDIZE in [layer.name for layer in model.layers]:
        layer = model.get_layer(STANDARDIZE)
        layer.set_weights([mean, np.broadcast_to(scale**2, mean.shape), np.array(0)])
        layer.finalize_state()  # Keras computes with a copy, which is made here


def _vector(model: keras.Model, pooling: str) -> keras.KerasTensor:
    """Find what the head sees: "pre_logits", or a stage of that name behind another pooling of the same map."""
    x = surgery.features(model, ["pre_logits"]).outputs[0]
    if pooling == "average":  # of a feature map: the old classifier was a convolution
        return layers.GlobalAveragePooling2D(name="avg_pool")(x) if len(x.shape) == 4 else x
    if pooling not in ("max", "both"):
        raise ValueError(f"There is no pooling {pooling!r}: choose average, max or both.")
    if pooling == "both" and PATCHES in [layer.name for layer in model.layers]:
        tokens = model.get_layer(LAST_NORM).output
        patches = tokens[:, -model.get_layer(PATCHES).output.shape[1] :]
        return stage(token_and_mean(tokens[:, 0], patches), "pre_logits")
    if len(x.shape) != 4:
        if inside(model, "pre_logits") is not None:
            raise ValueError(f"{model.name} holds the network inside it: pooling={pooling!r} needs the network itself.")
        before = model.get_layer("pre_logits").input
        averages = [layer for layer in model.layers if isinstance(layer, layers.GlobalAveragePooling2D)]
        average = next((layer for layer in averages if layer.output is before), None)
        if average is None:
            raise ValueError(f"{model.name} does not end in an average of a feature map: there is no other pooling of it.")
        x = average.input
    pooled = layers.GlobalMaxPooling2D(name="max_pool")(x)
    if pooling == "both":
        pooled = layers.Concatenate(name="both_pools")([layers.GlobalAveragePooling2D(name="mean_pool")(x), pooled])
    return stage(pooled, "pre_logits")
