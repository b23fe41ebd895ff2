"""A penalty towards the pretrained start, on any built model. Plain L2 and L1 penalties are `zoo.regularize`."""

import keras
import numpy as np
from keras import ops

from callbacks.state import snapshot
from zoo.graph import kernels, penalized


def l2_sp(model: keras.Model, start: float, head: float, new: str = "predictions") -> None:
    """Add start/2 · Σ (w - w₀)² over the pretrained kernels and head/2 · Σ w² over the new ones to the loss.

    w₀ are the kernels as they are now: call this when the weights are loaded. L2-SP: Li et al. 2018, arXiv:1802.01483,
    equation 3; biases, norms and embeddings are spared, kernels are those of `zoo.regularize`. It takes the place of the
    kernels' other penalties and acts in training only: what `save` writes is the model without it. Frozen layers add nothing.

    Args:
        model: a built model, compiled afterwards.
        start: the paper's α.
        head: the paper's β.
        new: name, or pattern of names, of the layers without a pretrained start, or of what they lie in.

    Raises:
        ValueError: no layer with a kernel is called so; or a layer has no weights yet, or a matrix that is no known kernel.
    """
    found = penalized(model)
    new_kernels = {id(kernel) for _, kernel, _ in kernels(model, new)}
    if not new_kernels:
        raise ValueError(f"{model.name} has no layer {new!r} with a kernel: it has {', '.join(k.name for k, _, _ in found)}.")
    for layer, kernel, attribute in found:
        setattr(layer, attribute, None)
        if id(kernel) in new_kernels:
            kernel.regularizer = _penalty(kernel, head / 2)
        else:
            kernel.regularizer = _penalty(kernel, start / 2, snapshot(kernel)) if start else None


class _Penalty:
    """A penalty on the way of a kernel from `start`, or on its size: factor · Σ (w - start)².

    Its numbers are variables: a step that TensorFlow has traced follows them.
    """

    def __init__(self, factor: float, start: np.ndarray | None):
        self.factor = keras.Variable(factor, trainable=False, dtype="float32")
        self.start = None if start is None else keras.Variable(start, trainable=False)

    def __call__(self, kernel: keras.KerasTensor) -> keras.KerasTensor:
        way = kernel if self.start is None else kernel - ops.cast(self.start, kernel.dtype)
        return ops.cast(self.factor, kernel.dtype) * ops.sum(ops.square(way))


def _penalty(kernel: keras.Variable, factor: float, start: np.ndarray | None = None) -> _Penalty:
    """Make a penalty, or give the kernel's own other numbers, if it has one of that kind."""
    own = kernel.regularizer
    if not isinstance(own, _Penalty) or (own.start is None) != (start is None):
        return _Penalty(factor, start)
    own.factor.assign(factor)
    if start is not None:
        own.start.assign(start)
    return own
