"""Cutting, freezing and changing a built model. Knows stages, never an architecture.

A stage is a named `Identity` layer (`layers.stage`). Everything a strategy does with a network is said with stage
names: `split` cuts there, `freeze` stops training before it, features are what comes out of it.
"""

import keras
import numpy as np
from keras import layers

CLASSIFIER = "predictions"


def stages(model: keras.Model) -> list[str]:
    """Names of the model's cuts, from input to output; the last is "pre_logits"."""
    return [layer.name for layer in model.layers if isinstance(layer, layers.Identity)]


def split(model: keras.Model, at: str) -> tuple[keras.Model, keras.Model]:
    """Cut the model after the stage `at`: (body, head), two models that share its layers.

    Training the head on the body's output trains `model` itself.

    Raises:
        ValueError: `at` is not one of `stages(model)`.
    """
    cut = _stage_layer(model, at).output
    return keras.Model(model.input, cut), keras.Model(cut, model.output)


def freeze(model: keras.Model, until: str | None) -> None:
    """Make untrainable every layer that the stage `until` depends on, and trainable all others; None frees all.

    Call `compile` afterwards: Keras applies `trainable` when it compiles. A frozen `BatchNormalization` uses its
    moving statistics and leaves them alone.

    Raises:
        ValueError: `until` is not one of `stages(model)`.
    """
    frozen = set() if until is None else set(split(model, until)[0].layers)
    model.trainable = True
    # Layer by layer: with TensorFlow, giving a model the value that it has reaches none of its layers.
    for layer in model.layers:
        layer.trainable = layer not in frozen


def regularize(model: keras.Model, l2: float) -> None:
    """Put an L2 penalty of factor `l2` on every kernel of a built model; biases and norms are spared.

    Both the layer's and the variable's attribute are set: the variable's acts in training, the layer's is what
    `save` writes. Frozen layers add nothing to the loss.
    """
    for layer in model.layers:
        if getattr(layer, "kernel", None) is not None:
            regularizer = keras.regularizers.L2(l2)
            depthwise = isinstance(layer, layers.DepthwiseConv2D)
            setattr(layer, "depthwise_regularizer" if depthwise else "kernel_regularizer", regularizer)
            layer.kernel.regularizer = regularizer


def adapt_stem(kernel: np.ndarray, channels: int, reverse: bool = False) -> np.ndarray:
    """Fit the first convolution's kernel `(height, width, channels, filters)` to another number of input channels.

    One channel: the sum, so that a grey picture gives what its three equal channels gave. Otherwise the kernel is
    repeated and scaled by old / new, which keeps the size of the response. `reverse` says that the kernel saw BGR:
    an adapted model is fed without the flip, so the kernel is turned instead.
    """
    old = kernel.shape[2]
    if reverse:
        kernel = kernel[:, :, ::-1]
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True)
    return kernel[:, :, [i % old for i in range(channels)]] * (old / channels)


def new_head(
    model: keras.Model, num_classes: int, dropout: float = 0.0, activation: str | None = "softmax"
) -> keras.Model:
    """A model that shares everything up to "pre_logits" and has a new, randomly initialised classifier.

    Raises:
        ValueError: the model has no stage "pre_logits", or `num_classes` is below 1.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes must be 1 or more for a new head, found {num_classes}.")
    x = _stage_layer(model, "pre_logits").output
    new = keras.Model(model.input, classifier(x, num_classes, dropout, activation), name=model.name)
    new.origin = getattr(model, "origin", None)
    return new


def classifier(x: keras.KerasTensor, num_classes: int, dropout: float, activation: str | None) -> keras.KerasTensor:
    """Dropout, if any, and the dense layer "predictions"."""
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    # Probabilities and losses stay float32 under mixed precision, as Keras' guide asks.
    return layers.Dense(num_classes, activation=activation, dtype="float32", name=CLASSIFIER)(x)


def _stage_layer(model: keras.Model, name: str) -> layers.Layer:
    if name not in stages(model):
        raise ValueError(f"{model.name} has no stage {name!r}: its stages are {', '.join(stages(model))}.")
    return model.get_layer(name)
