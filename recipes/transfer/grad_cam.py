"""Where in a picture a network sees a class: Grad-CAM over the stages of any network of the zoo.

Selvaraju et al. 2016, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization" (arXiv:1610.02391),
section 3: a stage's channels are added up, each weighed by the mean derivative of the class's logit by it. What is below zero
speaks against the class: it is not drawn, but tells which place is hotter where there is little above. Where the stage is
averaged over the pixels and a dense layer follows, the derivative is that layer's column: class activation maps (Zhou et al.
2015, arXiv:1512.04150), for which nothing is differentiated.

A map is in units of the class's logit by its share of the picture, so that the maps of several backbones, whose features stand
side by side before one head, are added.

In a transformer whose classifier reads a class token alone, the patches behind the last block have no say: the stage before it
is taken.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

import zoo
from recipes.errors import UserError, shown
from recipes.transfer import gradients
from zoo.graph import inside
from zoo.keras_private import calls, has_graph, made_by
from zoo.layers import CLASS_TOKEN, PATCHES

# How the name of a stage ends; in several backbones at once the backbone's name stands before it.
STAGE = re.compile(r"(.+_)?(stage\d+|pre_logits)")


@dataclass(frozen=True)
class Part:
    """A network that sees the picture, and its stages that still know where in it something is, the last one last.

    `patches` are those of a transformer, which are the last of its tokens; 0 where stages are maps.
    """

    network: keras.Model
    stages: tuple[str, ...]
    patches: int

    def as_maps(self, values: np.ndarray) -> np.ndarray:
        """Arrange what a stage gives as maps `(batch, height, width, channels)`; tokens that are no patches are left out."""
        if not self.patches:
            return values
        side = round(self.patches**0.5)
        return values[:, -self.patches :].reshape(len(values), side, side, -1)


class GradCam:
    """Draws heat maps of a network with stages, whose last layer gives the probabilities of its classes.

    `stages` has the name of the stage that is looked at, of each backbone; `tail` is what lies behind them, and `kernel` its
    matrix `(channels, classes)`, where that is an average and a dense layer, else None.

    Raises:
        UserError: there is no such stage, or none that knows where in the picture something is.
    """

    def __init__(self, model: keras.Model, stage: str | None = None):
        self._logits = without_activation(model)
        self._parts = _parts(self._logits)
        self.stages = self._chosen(stage)
        self._cut()
        if stage is None:
            self._step_back()

    @property
    def class_maps(self) -> keras.KerasTensor | None:
        """How much each place speaks for each class, `(batch, height, width, classes)`, as a tensor of the model's.

        None where there is no `kernel`, without which it takes a derivative for each picture.
        """
        return None if self.kernel is None else keras.ops.matmul(self._body.outputs[0], self.kernel)

    def heat(self, pixels: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Draw maps of some classes on each picture: `(batch, classes, size, size)`, float32; below 0 it speaks against one.

        Args:
            pixels: `(batch, size, size, channels)`.
            classes: numbers of the classes that are asked about, `(batch, classes)`.
        """
        return self.heat_of(self.values(pixels), classes)

    def heat_of(self, values: Sequence[np.ndarray], classes: np.ndarray) -> np.ndarray:
        """Draw the maps as `heat` does, from what the stages have given for the pictures."""
        size = self._logits.input_shape[1]
        return np.stack([self._of_class(values, column, size) for column in classes.T], axis=1)

    def _of_class(self, values: Sequence[np.ndarray], classes: np.ndarray, size: int) -> np.ndarray:
        """Draw the map of a class on each picture, from what the stages give: `(batch, size, size)`."""
        total = np.zeros((len(classes), size, size), "float32")
        for part, value, weights in zip(self._parts, values, self._weights(values, classes), strict=True):
            summed = np.einsum("nhwc,nc->nhw", part.as_maps(value), weights)
            total += np.stack([resized(one, size) for one in summed])
        return total

    def _weights(self, values: Sequence[np.ndarray], classes: np.ndarray) -> list[np.ndarray]:
        """Weigh the channels of each backbone's stage for a class of each picture, `(batch, channels)`."""
        if self.kernel is not None:
            return [self.kernel.T[classes]]
        derivatives = gradients.by_inputs(self.tail, values, np.eye(self.tail.output_shape[-1])[classes])
        return [part.as_maps(one).sum(axis=(1, 2)) for part, one in zip(self._parts, derivatives, strict=True)]

    @property
    def outputs(self) -> list[keras.KerasTensor]:
        """The outputs of the stages, in the network's own graph."""
        return self._body.outputs

    def values(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Compute what the stages give for pictures."""
        return [one.astype("float32") for one in gradients.outputs(self._body, pixels)]

    def _chosen(self, stage: str | None) -> tuple[str, ...]:
        """Choose the stage of each backbone. Raises UserError."""
        if any(not part.stages for part in self._parts):
            raise UserError(f"{shown(self._logits.name)} has no stage that knows where in a picture something is.")
        if stage is None:
            return tuple(part.stages[-1] for part in self._parts)
        if len(self._parts) > 1:
            raise UserError("--stage is for a run of one backbone, and this one has several: leave it out.")
        if stage not in self._parts[0].stages:
            raise UserError(f"There is no stage {shown(stage)!r} to look at: choose one of {', '.join(self._parts[0].stages)}.")
        return (stage,)

    def _cut(self) -> None:
        """Cut the network behind the stages."""
        self._body = zoo.features(self._logits, self.stages)
        self.tail = _tail(self._logits, self._parts, self.stages)
        self.kernel = averaged_kernel(self.tail)

    def _step_back(self) -> None:
        """Take an earlier stage of a transformer whose patches have no say behind the last one."""
        while any(part.patches for part in self._parts):
            pixels = np.random.default_rng(0).integers(0, 256, (1, *self._logits.input_shape[1:])).astype("uint8")
            weights = self._weights(self.values(pixels), np.zeros(1, int))
            earlier = tuple(
                stage if one.any() or stage == part.stages[0] else part.stages[part.stages.index(stage) - 1]
                for part, stage, one in zip(self._parts, self.stages, weights, strict=True)
            )
            if earlier == self.stages:
                return
            self.stages = earlier
            self._cut()


def without_activation(model: keras.Model) -> keras.Model:
    """Make a model that shares the layers and gives logits, where this one gives probabilities."""
    output = model.outputs[0]
    last = made_by(output)
    if isinstance(last, layers.Activation):
        output = last.input
    elif isinstance(last, layers.Dense) and last.activation is not keras.activations.linear:
        twin = layers.Dense.from_config(last.get_config() | {"activation": "linear"})
        output = twin(last.input)
        twin.set_weights(last.get_weights())
    return keras.Model(model.inputs[0], output, name=model.name)


def averaged_kernel(tail: keras.Model) -> np.ndarray | None:
    """Find the kernel `(channels, classes)` of what averages one map and classifies the means; None for all that does more."""
    first, *others, last = [layer for layer in tail.layers if not isinstance(layer, layers.InputLayer)] or [None, None]
    is_plain = all(isinstance(layer, layers.Identity | layers.Dropout) for layer in others)
    if is_plain and isinstance(first, layers.GlobalAveragePooling2D) and isinstance(last, layers.Dense):
        return keras.ops.convert_to_numpy(last.kernel)
    return None


def resized(values: np.ndarray, size: int) -> np.ndarray:
    """Enlarge a map `(height, width)`, float32, to `(size, size)`, bilinearly."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(values, "float32"))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def _parts(model: keras.Model) -> list[Part]:
    """Find the networks that see the picture: several backbones lie in the model as models, one is the model itself."""
    networks = [layer for layer in model.layers if has_graph(layer)]
    if len(networks) < 2:
        names = zoo.stages(model)
        holders = [inside(model, name) or model for name in names]
        network = holders[-1] if holders else model
        return [_part(network, [name for name, holder in zip(names, holders, strict=True) if holder is network])]
    return [
        _part(one, [layer.name for layer in one.layers if isinstance(layer, layers.Identity) and STAGE.fullmatch(layer.name)])
        for one in networks
    ]


def _part(network: keras.Model, names: Sequence[str]) -> Part:
    """Find the stages of a network that are maps, or the tokens of patches."""
    known = {layer.name: layer for layer in network.layers}
    patches = known[PATCHES].output.shape[1] if PATCHES in known and CLASS_TOKEN in known else 0
    shapes = {name: known[name].output.shape for name in names}
    spatial = [name for name, shape in shapes.items() if len(shape) == (3 if patches else 4)]
    return Part(network, tuple(spatial), patches)


def _tail(logits: keras.Model, parts: Sequence[Part], stages: Sequence[str]) -> keras.Model:
    """Make a model of what lies behind the stages: a list of what they give in, logits out."""
    if len(parts) == 1:
        tail = zoo.split(logits, stages[0])[1]
        return keras.Model([tail.inputs[0]], tail.outputs[0])
    inputs, vectors = [], []
    for part, stage in zip(parts, stages, strict=True):
        rest = zoo.split(part.network, stage)[1]
        inputs.append(keras.Input(batch_shape=rest.inputs[0].shape))
        vectors.append(rest(inputs[-1]))
    joints = [next(call.outputs[0] for call in calls(logits) if call.operation is part.network) for part in parts]
    return keras.Model(inputs, keras.Model(joints, logits.outputs[0])(vectors))
