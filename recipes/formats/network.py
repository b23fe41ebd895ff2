"""A network as a graph of TensorFlow's whose weights are constants, which is what converters take."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from recipes.data.images import Framing
from recipes.formats import resizing

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

INPUT, OUTPUT = "image", "probabilities"


@dataclass(frozen=True)
class Network:
    """What is exported: a model, and how pictures become its input.

    With `any_size` that is a part of the graph; else the input is framed pictures `(batch, size, size, channels)`, float32.
    """

    model: "keras.Model"
    framing: Framing
    any_size: bool = False

    def answers(self, image: "tf.Tensor") -> "tf.Tensor":
        """Give probabilities `(batch, classes)` of an input."""
        with plainly():
            return self.model(resizing.framed(image, self.framing) if self.any_size else image, training=False)

    def signature(self, batch: int | None = None) -> "tf.TensorSpec":
        """Describe the input, of any number of pictures or of so many."""
        import tensorflow as tf

        size, channels = (None if self.any_size else self.framing.size), self.framing.channels
        return tf.TensorSpec((batch, size, size, channels), tf.uint8 if self.any_size else tf.float32, name=INPUT)

    def concrete(self, batch: int | None = None) -> Any:
        """Trace the network as a concrete function of TensorFlow's, its weights constants."""
        return frozen(self.answers, self.signature(batch), OUTPUT)

    def only_framing(self) -> Any:
        """Trace what frames pictures, alone."""
        return frozen(lambda image: resizing.framed(image, self.framing), self.signature(), "framed")

    def inner(self) -> "Network":
        """Leave out what frames pictures."""
        return Network(self.model, self.framing)


def frozen(call: Callable, signature: "tf.TensorSpec", output: str) -> Any:
    """Trace a function of one tensor, with its variables as constants, as a concrete function of TensorFlow's."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function = tf.function(lambda image: tf.identity(call(image), name=output), [signature], autograph=False)
    return convert_variables_to_constants_v2(function.get_concrete_function())


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """Have Keras trace every layer into the one graph, of operations that all forms have.

    Around a grouped convolution it makes a function that XLA compiles, which converters leave as a call that no other runtime
    knows ("StatefulPartitionedCall"); and antialiased resizing is an operation of TensorFlow's alone ("ScaleAndTranslate").
    """
    import tensorflow as tf

    def same(function: Callable | None = None, *_: object, **__: object) -> Callable:
        return function or (lambda inner: inner)

    original = tf.image.resize

    def resized(images: Any, size: tuple[int, int], method: str = "bilinear", antialias: bool = False, **more: Any) -> Any:
        if not antialias or method != "bilinear" or images.shape.rank != 4 or None in images.shape[1:3]:
            return original(images, size, method=method, antialias=antialias, **more)
        down, across = (triangles(*lengths) for lengths in zip(images.shape[1:3], size, strict=True))
        planes = tf.transpose(tf.cast(images, "float32"), (0, 3, 1, 2))
        return tf.transpose(tf.matmul(down, tf.matmul(planes, across, transpose_b=True)), (0, 2, 3, 1))

    with mock.patch.object(tf, "function", same), mock.patch.object(tf.image, "resize", resized):
        yield


def triangles(old: int, new: int) -> np.ndarray:
    """Compute what each pixel of a line gives to each of a new one in antialiased bilinear resizing: `(new, old)`, float32."""
    places = (2 * np.arange(new)[:, None] + 1) * old - (2 * np.arange(old) + 1) * new
    weights = np.maximum(1 - np.abs(places) / (2 * max(old, new)), 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype("float32")
