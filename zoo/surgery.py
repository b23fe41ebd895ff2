"""Cutting, freezing and regularizing a built model: what is said with stages, of any architecture.

A stage is a named `Identity` layer (`layers.stage`). Everything a strategy does with a network is said with stage
names: `split` cuts there, `freeze` stops training before it, features are what comes out of it.
"""

from collections.abc import Sequence

import keras
from keras import layers

from zoo.layers import kernels


def stages(model: keras.Model) -> list[str]:
    """Names of the model's cuts, from input to output; the last is "pre_logits"."""
    return [layer.name for layer in _stage_layers(model)]


def split(model: keras.Model, at: str) -> tuple[keras.Model, keras.Model]:
    """Cut the model behind `at`: (body, head), two models that share its layers.

    `at` is a stage, or any other layer that everything passes through. Training the head on the body's output trains
    `model` itself. Auxiliary outputs are left out.

    Raises:
        ValueError: there is no such layer, or the network cannot be cut there.
    """
    cut = _cut(model, at)
    body = keras.Model(model.input, cut)
    body.origin = getattr(model, "origin", None)
    try:
        return body, keras.Model(cut, model.outputs[0])
    except ValueError as error:
        raise ValueError(f"{model.name} cannot be cut at {at!r}: other branches run beside it.") from error


def features(model: keras.Model, stages: Sequence[str] | None = None) -> keras.Model:
    """Make a model that shares the layers and has one output for each of `stages` (default: all), in that order.

    The outputs are `(batch, height, width, channels)`, a transformer's `(batch, tokens, channels)`; that of "pre_logits"
    is `(batch, channels)`, except where the classifier is a convolution. They come as a list, or alone if there is one.
    `zoo.facts` knows the stride and the channels of each.

    >>> pyramid = zoo.features(zoo.resnet50(weights="imagenet"), stages=["stage2", "stage3", "stage4"])
    >>> [output.shape for output in pyramid.outputs]
    [(None, 28, 28, 512), (None, 14, 14, 1024), (None, 7, 7, 2048)]

    Raises:
        ValueError: one of them is no stage of the model, or there is none.
    """
    names = [layer.name for layer in _stage_layers(model)] if stages is None else list(stages)
    if not names:
        raise ValueError("features needs one stage or more.")
    return keras.Model(model.input, [_cut(model, name) for name in names], name=f"{model.name}_features")


def freeze(model: keras.Model, until: str | None) -> None:
    """Make untrainable every layer that the stage `until` depends on, and trainable all others; None frees all.

    Call `compile` afterwards: Keras applies `trainable` when it compiles. A frozen `BatchNormalization` uses its
    moving statistics and leaves them alone.

    Raises:
        ValueError: the model has no such stage or layer.
    """
    frozen = set() if until is None else set(keras.Model(model.input, _cut(model, until)).layers)
    model.trainable = True
    # Layer by layer: with TensorFlow, giving a model the value that it has reaches none of its layers.
    for layer in model.layers:
        layer.trainable = layer not in frozen


def regularize(model: keras.Model, l2: float, l1: float = 0.0) -> None:
    """Put a penalty of l2 · Σ w² + l1 · Σ |w| on every kernel of a built model; biases and norms are spared.

    Both the layer's and the variable's attribute are set: the variable's acts in training, the layer's is what
    `save` writes. Frozen layers add nothing to the loss.
    """
    for layer, variable, attribute in kernels(model):
        variable.regularizer = keras.regularizers.L1L2(l1, l2) if l1 else keras.regularizers.L2(l2)
        setattr(layer, attribute, variable.regularizer)


def _stage_layers(model: keras.Model) -> list[layers.Identity]:
    return [layer for layer in model.layers if isinstance(layer, layers.Identity)]


def _cut(model: keras.Model, name: str) -> keras.KerasTensor:
    """Output of the stage or layer of that name."""
    if name not in [layer.name for layer in model.layers]:
        raise ValueError(f"{model.name} has no stage {name!r}: its stages are {', '.join(stages(model))}.")
    return model.get_layer(name).output
