"""What a trained network gives for a few pictures: all that saving and reporting ask of it, from one compiled graph."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from recipes.compute.compiling import compiled
from recipes.errors import UserError
from recipes.transfer.features import vector_cut
from recipes.transfer.grad_cam import GradCam
from zoo.keras_private import has_graph


@dataclass(frozen=True)
class Outputs:
    """What a network gives for pictures.

    Probabilities `(pictures, classes)`, features at "pre_logits" `(pictures, features)`, and what the stages give from which
    heat maps are drawn, nothing where there are none.
    """

    probabilities: np.ndarray
    features: np.ndarray
    stages: list[np.ndarray]


class Trained:
    """A trained network that is asked about a few pictures, `(pictures, height, width, channels)`.

    It is compiled once, since compiling takes longer than all that is asked. `grad_cam` draws its heat maps; None for a
    network that cannot be cut where a map is.
    """

    def __init__(self, model: keras.Model):
        self.grad_cam = _grad_cam(model)
        stages = self.grad_cam.outputs if self.grad_cam else []
        # A backbone inside of the network would be computed twice: once up to its stage, and once as a whole.
        self._stages = compiled(keras.Model(model.inputs[0], stages)) if stages and any(map(has_graph, model.layers)) else None
        outputs = [model.outputs[0], vector_cut(model, "pre_logits").output(model)]
        self._all = compiled(keras.Model(model.inputs[0], [*outputs, *([] if self._stages else stages)]))

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Compute the probabilities `(pictures, classes)`."""
        return self._all(pixels)[0]

    def outputs(self, pixels: np.ndarray) -> Outputs:
        """Compute all that it gives."""
        probabilities, features, *stages = self._all(pixels)
        return Outputs(probabilities, features, self._stages(pixels) if self._stages else stages)

    def heat(self, found: Outputs, asked: Sequence[list[int]]) -> list[np.ndarray]:
        """Draw maps of one or two classes of each picture, `(classes, height, width)`; none without `grad_cam`."""
        if not self.grad_cam:
            return [np.zeros((0, 1, 1), "float32") for _ in asked]
        stages = [one.astype("float32") for one in found.stages]
        return list(self.grad_cam.heat_of(stages, np.array([(each * 2 or [0, 0])[:2] for each in asked])))


def _grad_cam(model: keras.Model) -> GradCam | None:
    """Make what draws heat maps: a run is not lost for want of a picture in its report."""
    try:
        return GradCam(model)
    except (UserError, ValueError):
        return None
