"""All private parts of Keras that this project cannot do without.

tests/zoo/test_keras_private.py tells which of them a new version of Keras has moved.
"""

import contextlib
import os
import random
import sys
from collections.abc import Iterator, Mapping

import keras
import numpy as np
from keras import layers
from keras.src.backend.common import global_state

# What Keras' own callbacks remember between two epochs; what they set in on_train_begin is theirs to set.
CALLBACK_STATE = {
    keras.callbacks.EarlyStopping: ("best", "best_epoch", "best_weights", "stopped_epoch", "wait"),
    keras.callbacks.ReduceLROnPlateau: ("best", "cooldown_counter", "wait"),
    keras.callbacks.ModelCheckpoint: ("best", "_batches_seen_since_last_saving", "_last_batch_seen"),
    keras.callbacks.LearningRateScheduler: (),
    keras.callbacks.TerminateOnNaN: (),
}


def track(model: keras.Model, name: str, generator: keras.random.SeedGenerator) -> None:
    """Make a generator an attribute of a model, and its state one of the model's variables, also where that is closed to more.

    Keras closes a model of a user's own class once it is built.
    """
    is_locked = model._tracker.locked
    model._tracker.unlock()
    try:
        setattr(model, name, generator)
    finally:
        if is_locked:
            model._tracker.lock()


def untrack(model: keras.Model, generator: keras.random.SeedGenerator) -> None:
    """Make a model forget a generator that was its attribute: `delattr` does so for variables only."""
    model._tracker.untrack(generator)


def trained_variables(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """Return the variables that an optimiser was built for, in its order."""
    return optimizer._trainable_variables


def index_of(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> int:
    """Return a variable's place among `trained_variables`."""
    return optimizer._get_variable_index(variable)


def made_by(tensor: keras.KerasTensor) -> keras.Operation:
    """Return the layer or operation whose output a symbolic tensor is."""
    return tensor._keras_history.operation


def has_graph(layer: layers.Layer) -> bool:
    """Whether this is a model that knows which of its layers follow which: a functional one, or a Sequential with a size."""
    return isinstance(layer, keras.Model) and hasattr(_graph(layer), "_nodes_by_depth")


def input_of(model: keras.Model) -> object:
    """Return the symbolic input of a model that has a graph, or its inputs in the form in which they are given."""
    return _graph(model).input


def calls(model: keras.Model) -> list:
    """List every call of a layer or operation in a model that has a graph, parents first.

    They are Keras' nodes, each with its `operation`, `arguments`, `input_tensors` and `outputs`.
    """
    nodes = _graph(model)._nodes_by_depth
    return [node for depth in sorted(nodes, reverse=True) for node in nodes[depth]]


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """Let models built inside the block have variables without values, and leave no trace in Keras' and Python's state."""
    state = random.getstate()
    try:
        with values_later():
            yield
    finally:
        random.setstate(state)


@contextlib.contextmanager
def values_later() -> Iterator[keras.StatelessScope]:
    """Let models built inside the block have variables without values, to which `give_value` and `draw_values` give them.

    The scope that it yields has the values that were assigned in the block.
    """
    collected = "uninitialized_variables"
    before = list(global_state.get_global_attribute(collected, []))
    try:
        with keras.StatelessScope(initialize_variables=False) as scope:
            yield scope
    finally:
        global_state.set_global_attribute(collected, before)  # or the next scope would give the variables their values


def load_model(path: str | os.PathLike) -> keras.Model:
    """Load a saved model, without what it was compiled with, as Keras does, but its initialisers never run.

    JAX compiles an initialiser for every shape, only for a file's values to take the place of what they draw.
    """
    with values_later() as scope:
        model = keras.models.load_model(path, compile=False)
    for variable in model.variables:
        value = scope.get_current_value(variable)
        if value is not None:
            give_value(variable, keras.ops.convert_to_numpy(value))
    draw_values(model)
    return model


def give_value(variable: keras.Variable, value: np.ndarray) -> None:
    """Assign a value to a variable, also to one that has none yet: its initialiser is never run."""
    if variable._value is None:
        variable._initializer = lambda shape, dtype=None: keras.ops.convert_to_tensor(value, dtype)
        variable._deferred_initialize()
    else:
        variable.assign(value)


def draw_values(model: keras.Model) -> None:
    """Let the initialisers give their values to those variables of a model that have none yet."""
    for variable in model.variables:
        if variable._value is None:
            variable._deferred_initialize()


def _graph(model: keras.Model) -> keras.Model | None:
    """Return the functional model that a Sequential one keeps, once it knows its size; any other model itself."""
    return model._functional if isinstance(model, keras.Sequential) else model


def sublayers(layer: layers.Layer) -> list[layers.Layer]:
    """List the layers directly inside a layer or model, those of a graph in its order."""
    inner = {id(one): one for one in layer.layers} if isinstance(layer, keras.Model) else {}
    if not isinstance(layer, keras.Sequential):  # what it keeps besides is the same layers in a functional model
        inner |= {id(one): one for one in layer._layers}
    return list(inner.values())


def saved_at(path: tuple[layers.Layer, ...], regularizer: str) -> tuple[layers.Layer, str]:
    """Return the layer with which the regularizer of a kernel is saved, and its name there: attention saves its parts'.

    Args:
        path: the layer with the kernel, after those that it lies in.
        regularizer: its name in that layer.
    """
    for layer in path:
        if isinstance(layer, layers.MultiHeadAttention):
            return layer, "_kernel_regularizer"
        if isinstance(layer, layers.GroupQueryAttention):
            return layer, "kernel_regularizer"
    return path[-1], regularizer


def fit_arguments(model: keras.Model) -> Mapping | None:
    """Find the arguments of the `fit` of a model that is running; None outside one.

    Keras tells callbacks the number of epochs and steps only: not whether, and when, there is a validation.
    """
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "fit" and frame.f_locals.get("self") is model and "validation_freq" in frame.f_locals:
            return frame.f_locals
        frame = frame.f_back
    return None
