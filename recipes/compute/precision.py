"""What numbers training computes with: float32, or bfloat16 for what layers compute while their weights stay float32.

Keras calls the latter `mixed_bfloat16` (Micikevicius et al. 2017, arXiv:1710.03740, with bfloat16 in place of float16, whose
exponents reach as far as those of float32, so that no loss is scaled). It holds for training alone: frozen features, answers,
saved and exported networks are float32.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from recipes.compute import devices
from recipes.settings.shared import PrecisionName
from zoo.graph import before, stage_names, walk

if TYPE_CHECKING:
    from keras import Model
    from keras.layers import Layer

FLOAT32, MIXED = "float32", "mixed"
POLICY = "mixed_bfloat16"
# NVIDIA's generation (Ampere) from which on GPUs multiply bfloat16.
MIN_CAPABILITY = 8.0


def chosen(precision: PrecisionName) -> str:
    """Choose the numbers of training: `auto` takes mixed ones where every GPU has them, and float32 on processors."""
    if precision != "auto":
        return precision
    return MIXED if devices.gpus() and devices.capability() >= MIN_CAPABILITY else FLOAT32


@contextlib.contextmanager
def computed(model: "Model", precision: str) -> Iterator[None]:
    """Let a functional model compute with these numbers in whatever is traced inside the block.

    Its last layers, behind which probabilities come out, and what scales its pixels, stay in float32. A block inside one of
    mixed numbers may ask for float32.
    """
    policy = POLICY if precision == MIXED else FLOAT32
    layers = [layer for layer in _between(model) if layer.dtype_policy.name != policy]
    policies = [layer.dtype_policy for layer in layers]
    for layer in layers:
        layer.dtype_policy = policy
    try:
        yield
    finally:
        for layer, policy in zip(layers, policies, strict=True):
            layer.dtype_policy = policy


def _between(model: "Model") -> list["Layer"]:
    """List the layers from the first that was trained to the classifier's input, and those inside them."""
    from keras.layers import Normalization

    stages = stage_names(model)
    ordered = before(model, stages[-1]) if stages else []
    learnt = [place for place, layer in enumerate(ordered) if layer.weights and not isinstance(layer, Normalization)]
    return [each for layer in ordered[min(learnt, default=0) :] for each in (*(path[-1] for path in walk(layer)), layer)]
