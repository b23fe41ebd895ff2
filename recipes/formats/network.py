"""A network as a graph of TensorFlow's whose weights are constants, which is what converters take."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from recipes.compute.graphs import frozen, plainly
from recipes.data.images import Framing
from recipes.formats import resizing
from recipes.formats.unknown import Known
from recipes.runs.model_file import with_features

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

INPUT, OUTPUT, SCORE, MAPS = "image", "probabilities", "unknown_score", "class_maps"
FEATURES, FRAMED = "features", "framed"


@dataclass(frozen=True)
class Network:
    """What is exported: a model, and how pictures become its input.

    With `any_size` that is a part of the graph; else the input is framed pictures `(batch, size, size, channels)`, float32.
    `known` is by what it scores how foreign a picture is; None if it does not. `maps` are a tensor of the model's that says how
    much each place speaks for each class, `(batch, height, width, classes)`; None if it does not say it.
    """

    model: "keras.Model"
    framing: Framing
    any_size: bool = False
    known: Known | None = None
    maps: "keras.KerasTensor | None" = None

    @cached_property
    def _with_parts(self) -> "keras.Model":
        """The model with all that lies behind framing and before scores as outputs, by their names."""
        import keras

        found = {OUTPUT: self.model.output}
        if self.known:
            found[FEATURES] = with_features(self.model).outputs[0]
        if self.maps is not None:
            found[MAPS] = self.maps
        return keras.Model(self.model.input, found)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of what lies behind framing and before scores, in alphabetical order."""
        return tuple(sorted([OUTPUT, *[MAPS] * (self.maps is not None), *[FEATURES] * bool(self.known)]))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what it gives, in order."""
        return OUTPUT, *[MAPS] * (self.maps is not None), *[SCORE] * bool(self.known)

    def answers(self, image: "tf.Tensor") -> dict[str, "tf.Tensor"]:
        """Give probabilities `(batch, classes)` of an input and, where it can, scores `(batch,)`, by their names."""
        found = self._parts(image)
        if self.known:
            found[SCORE] = self.known.traced(found.pop(FEATURES))
        return found

    def _parts(self, image: "tf.Tensor") -> dict[str, "tf.Tensor"]:
        """Give of an input what `parts` names: probabilities, maps and, where it scores, features `(batch, features)`."""
        with plainly():
            pixels = resizing.framed(image, self.framing) if self.any_size else image
            return self._with_parts(pixels, training=False)

    def signature(self, batch: int | None = None) -> "tf.TensorSpec":
        """Describe the input, of any number of pictures or of so many."""
        import tensorflow as tf

        size, channels = (None if self.any_size else self.framing.size), self.framing.channels
        return tf.TensorSpec((batch, size, size, channels), tf.uint8 if self.any_size else tf.float32, name=INPUT)

    def concrete(self) -> Any:
        """Trace the network as a concrete function of TensorFlow's, its weights constants."""
        return frozen(self.answers, self.signature())

    def single(self) -> Any:
        """Trace the network for one picture, its outputs named, as a concrete function that reads its weights."""
        import tensorflow as tf

        def named(image: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            found = self.answers(image)
            return {name: found[name] for name in self.outputs}

        return tf.function(named, [self.signature(batch=1)], autograph=False).get_concrete_function()

    def weights(self) -> "tf.Module":
        """Hold the weights as variables of TensorFlow's, by which its converters find what a function reads."""
        import tensorflow as tf

        found = tf.Module()
        found.variables_read = [variable.value for variable in self.model.variables]
        return found

    def only_framing(self) -> Any:
        """Trace what frames pictures, alone: from "image" to "framed"."""
        return frozen(lambda image: {FRAMED: resizing.framed(image, self.framing)}, self.signature())

    def only_model(self) -> Any:
        """Trace what lies behind framing: from "image" to what `parts` names."""
        inner = replace(self, any_size=False)
        return frozen(inner._parts, inner.signature())

    def only_score(self) -> Any:
        """Trace what scores how foreign a picture is: from "features" to "unknown_score"."""
        import tensorflow as tf

        signature = tf.TensorSpec((None, self.known.units.shape[1]), tf.float32, name=FEATURES)
        return frozen(lambda features: {SCORE: self.known.traced(features)}, signature)
