"""Cutting, freezing and changing a built model. Knows stages, never an architecture.

A stage is a named `Identity` layer (`layers.stage`). Everything a strategy does with a network is said with stage
names: `split` cuts there, `freeze` stops training before it, features are what comes out of it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
from keras import layers

from zoo.layers import kernels
from zoo.weights.names import TorchNames

CLASSIFIER = "predictions"
POSITIONS = "position_embedding"  # of transformers: the class token's, then the patches', row by row

@dataclass(frozen=True)
class Origin:
    """Where a built model comes from, as its attribute `origin`: what a recipe must know to feed it and to report it,
    and what loading must know to read files for it.
    """

    name: str
    variant: str
    weights: str | None  # path of the file
    size: int  # what its weights were trained on: pictures resized to `resize`, then `size` cut from the centre
    resize: int
    interpolation: str = "bilinear"
    spare: tuple[str, ...] = field(repr=False, compare=False, default=())  # see builder.Family
    torch_names: TorchNames = field(repr=False, compare=False, default_factory=dict)
    bgr: bool = field(repr=False, compare=False, default=False)  # whether the first kernel of the weights sees BGR
    keras_names: Callable[[str], str] | None = field(repr=False, compare=False, default=None)  # see builder.Family
    variants: tuple[str, ...] = field(repr=False, compare=False, default=())  # all that there are of the model


def stages(model: keras.Model) -> list[str]:
    """Names of the model's cuts, from input to output; the last is "pre_logits"."""
    return _stage_names(model)


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
    """A model that shares the layers and has one output for each of `stages` (default: all), in that order.

    The outputs are `(batch, height, width, channels)`, a transformer's `(batch, tokens, channels)`; that of "pre_logits"
    is `(batch, channels)`, except where the classifier is a convolution. They come as a list, or alone if there is one.
    `zoo.facts` knows the stride and the channels of each.

    >>> pyramid = zoo.features(zoo.resnet50(weights="imagenet"), stages=["stage2", "stage3", "stage4"])
    >>> [output.shape for output in pyramid.outputs]
    [(None, 28, 28, 512), (None, 14, 14, 1024), (None, 7, 7, 2048)]

    Raises:
        ValueError: one of them is no stage of the model, or there is none.
    """
    names = _stage_names(model) if stages is None else list(stages)
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


def adapt_positions(table: np.ndarray, height: int, width: int) -> np.ndarray:
    """Fit the position embeddings `(1 + n * n, channels)` of n × n patches to height × width patches.

    They are interpolated as a picture is: bicubic, without antialiasing, by PyTorch's kernel. The first is the class
    token's and stays.
    """
    n = math.isqrt(len(table) - 1)
    grid = table[1:].reshape(n, n, -1)
    grid = np.einsum("yi,xj,ijc->yxc", _bicubic(n, height), _bicubic(n, width), grid, optimize=True)
    return np.concatenate([table[:1], grid.reshape(height * width, -1)])


def _bicubic(old: int, new: int) -> np.ndarray:
    """The matrix `(new, old)` that resamples `old` points to `new`; beyond its ends a line goes on as it ends."""
    matrix, rows = np.zeros((new, old), np.float32), np.arange(new)
    at = (rows + 0.5) * old / new - 0.5
    for tap in (-1, 0, 1, 2):
        source = np.floor(at).astype(int) + tap
        d = np.abs(at - source)
        near, far = (1.25 * d - 2.25) * d**2 + 1, ((-0.75 * d + 3.75) * d - 6) * d + 3  # Keys' cubic of a = -0.75
        np.add.at(matrix, (rows, source.clip(0, old - 1)), np.where(d <= 1, near, far))
    return matrix


def classifier(
    x: keras.KerasTensor, num_classes: int, dropout: float, activation: str | None, name: str = CLASSIFIER
) -> keras.KerasTensor:
    """Dropout, if any, and a dense layer; nothing for 0 classes."""
    if not num_classes:
        return x
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    # Probabilities and losses stay float32 under mixed precision, as Keras' guide asks.
    return layers.Dense(num_classes, activation=activation, dtype="float32", name=name)(x)


def _stage_names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if isinstance(layer, layers.Identity)]


def _cut(model: keras.Model, name: str) -> keras.KerasTensor:
    """The output of the stage or layer."""
    if name not in [layer.name for layer in model.layers]:
        raise ValueError(f"{model.name} has no stage {name!r}: its stages are {', '.join(stages(model))}.")
    return model.get_layer(name).output
