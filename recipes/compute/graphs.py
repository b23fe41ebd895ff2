"""Networks as graphs of TensorFlow's whose weights are constants, of operations that other runtimes have, too."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def frozen(call: Callable[["tf.Tensor"], Mapping[str, "tf.Tensor"]], signature: "tf.TensorSpec") -> Any:
    """Trace a function from one tensor to named ones, with its variables as constants, as TensorFlow's concrete function.

    Its outputs are in the order of their names' letters, as TensorFlow has it, and have lost their names.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def named(given: "tf.Tensor") -> dict[str, "tf.Tensor"]:
        return {name: tf.identity(value, name=name) for name, value in call(given).items()}

    return convert_variables_to_constants_v2(tf.function(named, [signature], autograph=False).get_concrete_function())


def constant(model: "keras.Model", batch_size: int) -> Any:
    """Trace a network for batches of pixels, uint8, of one size: its outputs are called "output_00", "output_01", ..."""
    import keras
    import tensorflow as tf

    def call(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        with plainly():
            outputs = keras.tree.flatten(model(tf.cast(pixels, "float32"), training=False))
        return {f"output_{number:02}": output for number, output in enumerate(outputs)}

    return frozen(call, tf.TensorSpec((batch_size, *model.input_shape[1:]), tf.uint8, name="pixels"))


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """Have Keras trace every layer into the one graph, of operations that all forms have.

    Around a grouped convolution it makes a function that XLA compiles, which converters leave as a call that no other runtime
    knows ("StatefulPartitionedCall"); antialiased resizing is an operation of TensorFlow's alone ("ScaleAndTranslate"); and
    of an `Einsum` that scales, LiteRT's converter makes a matrix product that fits nothing ("BatchMatMulV2"). A swish has a
    gradient of its own, which no SavedModel takes, and without one LiteRT's converter leaves the signature out.
    """
    import tensorflow as tf

    def same(function: Callable | None = None, *_: object, **__: object) -> Callable:
        return function or (lambda inner: inner)

    original, einsum = tf.image.resize, tf.einsum

    def scaled(equation: str, *inputs: Any, **more: Any) -> Any:
        given, found = equation.split("->") if "->" in equation else (equation, "")
        first, _, second = given.partition(",")
        is_scale = len(inputs) == 2 and first == found and bool(second) and found.endswith(second)
        return inputs[0] * inputs[1] if is_scale else einsum(equation, *inputs, **more)

    def resized(images: Any, size: tuple[int, int], method: str = "bilinear", antialias: bool = False, **more: Any) -> Any:
        if not antialias or method != "bilinear" or images.shape.rank != 4 or None in images.shape[1:3]:
            return original(images, size, method=method, antialias=antialias, **more)
        down, across = (triangles(*lengths) for lengths in zip(images.shape[1:3], size, strict=True))
        planes = tf.transpose(tf.cast(images, "float32"), (0, 3, 1, 2))
        return tf.transpose(tf.matmul(down, tf.matmul(planes, across, transpose_b=True)), (0, 2, 3, 1))

    with (
        mock.patch.object(tf, "function", same),
        mock.patch.object(tf, "einsum", scaled),
        mock.patch.object(tf.nn, "silu", lambda features, beta=1.0: features * tf.sigmoid(beta * features)),
        mock.patch.object(tf.image, "resize", resized),
    ):
        yield


def triangles(old: int, new: int) -> np.ndarray:
    """Compute what each pixel of a line gives to each of a new one in antialiased bilinear resizing: `(new, old)`, float32."""
    places = (2 * np.arange(new)[:, None] + 1) * old - (2 * np.arange(old) + 1) * new
    weights = np.maximum(1 - np.abs(places) / (2 * max(old, new)), 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype("float32")
