"""Training on several devices of one machine: each holds a copy of the weights, and computes on its share of every batch.

On TensorFlow that is `tf.distribute.MirroredStrategy`, on JAX `keras.distribution.DataParallel`. The batch stays the user's:
its loss is the mean over all of its pictures, so that training goes where it would go on one device, but for the order of sums.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from recipes.errors import UserError
from recipes.settings.shared import ALL_DEVICES, check_devices

if TYPE_CHECKING:
    import keras

BACKENDS = ("tensorflow", "jax")


def count(asked: str, batch_size: int) -> int:
    """Count the devices that `--devices` asks for: graphics cards or, without any, what the backend makes of the processor.

    Raises:
        UserError: the backend cannot use several, there are fewer, or the batch cannot be divided among them.
    """
    import keras

    if asked == "1":
        return 1
    if keras.backend.backend() not in BACKENDS:
        raise UserError(
            f"--devices {asked} needs Keras on TensorFlow or JAX, and it computes on {keras.backend.backend()}: set "
            "KERAS_BACKEND=jax, or leave it out."
        )
    there = len(_names())
    found = there if asked == ALL_DEVICES else int(asked)
    if found > there:
        what = "graphics card" if _kind() == "GPU" else "processor device"
        few = f"{there} {what}{'s' * (there != 1)}{'' if _kind() == 'GPU' else ' and no graphics card'}"
        raise UserError(
            f"--devices {asked} asks for more than there are: {keras.backend.backend()} sees {few} here. Give "
            f"--devices {there}, or leave it out."
        )
    check_devices(str(found), batch_size)
    return found


@contextlib.contextmanager
def spread(
    model: "keras.Model", devices: int, compile_it: Callable[["keras.Model"], None] = lambda model: None
) -> Iterator["keras.Model"]:
    """Give what is fitted in a model's place: itself on one device, else a copy that lies on all of them.

    At the end of the block the model gets the copy's weights; not if the block fails.

    Args:
        model: frozen, and with its penalties, as it is to be trained.
        compile_it: compiles what it is given.
    """
    if devices == 1:
        compile_it(model)
        yield model
        return
    making, fitting = _scopes(devices)
    with fitting:
        with making:
            copy = _copied(model)
            compile_it(copy)
        yield copy
        values = [_value(variable) for variable in copy.variables]
    assign(model, values)


@contextlib.contextmanager
def alone(model: "keras.Model", fitted: "keras.Model") -> Iterator[None]:
    """Have a model compute by itself in the block, with the weights of what is fitted in its place."""
    import keras

    if model is fitted:
        yield
        return
    assign(model, [_value(variable) for variable in fitted.variables])
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def _scopes(devices: int) -> tuple[Any, Any]:
    """Have variables lie on the first so many devices: those that are made in the first, and what is fitted in the second.

    TensorFlow asks when variables are made, and a model keeps to it; JAX asks in every step where data belong.
    """
    import keras

    names = _names()[:devices]
    if keras.backend.backend() == "jax":
        return contextlib.nullcontext(), keras.distribution.DataParallel(devices=names).scope()
    return _mirrored(tuple(names)).scope(), contextlib.nullcontext()


@functools.cache
def _mirrored(names: tuple[str, ...]) -> Any:
    """Make TensorFlow's strategy for devices: one a process, for it counts the sums over devices, and two would count alike."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(names)


def _copied(model: "keras.Model") -> "keras.Model":
    """Copy a model with all that its variables carry besides their values: what trains, and which penalty it has."""
    import keras

    copy = keras.models.clone_model(model)
    for new, old in zip(copy.variables, model.variables, strict=True):
        new.assign(_value(old))
        new.trainable, new.regularizer = old.trainable, old.regularizer
    if keras.backend.backend() == "tensorflow":
        for layer in copy.layers:  # else each device would normalise by the statistics of its own share
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
    return copy


def assign(model: "keras.Model", values: Sequence[Any]) -> None:
    """Give all variables of a model their values, seeds among them."""
    for variable, value in zip(model.variables, values, strict=True):
        variable.assign(value)


def _value(variable: "keras.Variable") -> Any:
    """Read a variable, `variable.shape`, into NumPy."""
    import keras

    return keras.ops.convert_to_numpy(variable)


def _kind() -> str:
    """Name the kind of devices that is trained on: graphics cards where there are any."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return "GPU" if jax.default_backend() == "gpu" else "CPU"
    import tensorflow as tf

    return "GPU" if tf.config.list_logical_devices("GPU") else "CPU"


def _names() -> list[str]:
    """Name the devices of that kind as the backend does."""
    import keras

    if keras.backend.backend() == "jax":
        return keras.distribution.list_devices(_kind().lower())
    import tensorflow as tf

    return [device.name for device in tf.config.list_logical_devices(_kind())]
