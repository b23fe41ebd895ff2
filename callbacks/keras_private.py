"""All private parts of Keras that the callbacks cannot do without.

tests/callbacks/test_callbacks_keras_private.py tells which of them a new version of Keras has moved.
"""

import keras


def untrack(model: keras.Model, generator: keras.random.SeedGenerator) -> None:
    """Make a model forget a generator that was its attribute: `delattr` does so for variables only."""
    model._tracker.untrack(generator)


def trained_variables(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """Return the variables that an optimiser was built for, in its order."""
    return optimizer._trainable_variables


def index_of(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> int:
    """Return a variable's place among `trained_variables`."""
    return optimizer._get_variable_index(variable)
