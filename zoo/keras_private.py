"""All private parts of Keras that this project cannot do without.

tests/zoo/test_keras_private.py tells which of them a new version of Keras has moved.
"""

import contextlib
import random
from collections.abc import Iterator

import keras
from keras.src.backend.common import global_state


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


def calls(graph: keras.Model) -> list:
    """List every call of a layer or operation in a functional model, parents first.

    They are Keras' nodes, each with its `operation`, `arguments`, `input_tensors` and `outputs`.
    """
    return [node for depth in sorted(graph._nodes_by_depth, reverse=True) for node in graph._nodes_by_depth[depth]]


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """Let models built inside the block have variables without values, and leave no trace in Keras' and Python's state."""
    collected, state = "uninitialized_variables", random.getstate()
    before = list(global_state.get_global_attribute(collected, []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(collected, before)  # or the next scope would give the variables their values
        random.setstate(state)
