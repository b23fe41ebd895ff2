"""A network as a graph of TensorFlow's whose weights are constants, which is what converters take."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recipes.compute.graphs import frozen, plainly
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
