"""A model's outputs and their derivatives by its inputs, on each of Keras' backends: the one place where they differ."""

from collections.abc import Callable, Sequence

import keras
import numpy as np


def outputs(model: keras.Model, pixels: np.ndarray) -> list[np.ndarray]:
    """Compute what a model gives for pictures `(batch, height, width, channels)`, an array an output.

    On TensorFlow it is called, for `predict` would be traced first. On JAX one operation after the other would take a minute,
    and on PyTorch all would be kept that a derivative needs.
    """
    if keras.backend.backend() == "tensorflow":
        found = model(pixels, training=False)
    else:
        found = model.predict_on_batch(pixels)
    return [keras.ops.convert_to_numpy(one) for one in keras.tree.flatten(found)]


def by_inputs(model: keras.Model, inputs: Sequence[np.ndarray], chosen: np.ndarray) -> list[np.ndarray]:
    """Differentiate the sum of a model's chosen outputs by each of its inputs.

    Args:
        inputs: one array `(batch, ...)` an input of the model, which takes them as a list.
        chosen: how much of each output is in the sum, `(batch, outputs)`: of each picture a 1 for one class.

    Returns:
        An array an input, of its shape, float32; zeros where the outputs do not depend on it.
    """
    arrays = [np.asarray(one, "float32") for one in inputs]
    return BACKENDS[keras.backend.backend()](model, arrays, np.asarray(chosen, "float32"))


def _tensorflow(model: keras.Model, inputs: list[np.ndarray], chosen: np.ndarray) -> list[np.ndarray]:
    import tensorflow as tf

    tensors = [tf.convert_to_tensor(one) for one in inputs]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        total = tf.reduce_sum(tf.cast(model(tensors, training=False), "float32") * chosen)
    found = tape.gradient(total, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [one.numpy() for one in found]


def _jax(model: keras.Model, inputs: list[np.ndarray], chosen: np.ndarray) -> list[np.ndarray]:
    import jax

    trainable, others = ([v.value for v in some] for some in (model.trainable_variables, model.non_trainable_variables))

    def total(tensors: list) -> object:
        found, _ = model.stateless_call(trainable, others, tensors, training=False)
        return (found.astype("float32") * chosen).sum()

    return [np.asarray(one) for one in jax.jit(jax.grad(total))([jax.numpy.asarray(one) for one in inputs])]


def _torch(model: keras.Model, inputs: list[np.ndarray], chosen: np.ndarray) -> list[np.ndarray]:
    import torch

    tensors = [keras.ops.convert_to_tensor(one).detach().requires_grad_(True) for one in inputs]
    with torch.enable_grad():
        total = (model(tensors, training=False).float() * keras.ops.convert_to_tensor(chosen)).sum()
        found = torch.autograd.grad(total, tensors, allow_unused=True)
    return [
        np.zeros(tensor.shape, "float32") if one is None else one.detach().cpu().numpy()
        for tensor, one in zip(tensors, found, strict=True)
    ]


Differentiate = Callable[[keras.Model, list[np.ndarray], np.ndarray], list[np.ndarray]]
BACKENDS: dict[str, Differentiate] = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
