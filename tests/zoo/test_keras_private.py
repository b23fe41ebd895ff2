"""The private parts of Keras that `zoo.keras_private` names are where they were."""

import contextlib

import keras
import pytest

import zoo
from zoo import keras_private


@contextlib.contextmanager
def told(part: str):
    """What a new version of Keras has moved is named in a sentence."""
    try:
        yield
    except (AttributeError, TypeError, KeyError) as error:
        pytest.fail(f"Keras {keras.__version__} has moved {part} ({error}): let zoo/keras_private.py follow it.")


def test_a_generator_that_is_untracked_is_none_of_the_models_variables():
    model, generator = zoo.lenet5(), keras.random.SeedGenerator(0)

    def held():
        return any(variable is generator.state for variable in model.variables)

    model.extra = generator
    assert held(), f"Keras {keras.__version__} no longer counts a model's generators among its variables."
    del model.extra
    with told("Model._tracker.untrack"):
        keras_private.untrack(model, generator)
    assert not held(), f"Model._tracker.untrack of Keras {keras.__version__} leaves a generator among the model's variables."


def test_the_variables_of_an_optimizer_and_their_places():
    model, optimizer = zoo.lenet5(), keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
    with told("Optimizer._trainable_variables"):
        found = keras_private.trained_variables(optimizer)
    assert len(found) == len(model.trainable_variables)
    with told("Optimizer._get_variable_index"):
        places = [keras_private.index_of(optimizer, variable) for variable in found]
    assert places == list(range(len(found)))


def test_what_made_a_tensor_and_all_the_calls_of_a_model():
    model = zoo.lenet5()
    with told("KerasTensor._keras_history"):
        maker = keras_private.made_by(model.output)
    assert maker is model.get_layer("predictions")
    with told("Functional._nodes_by_depth, or what its nodes hold"):
        calls = keras_private.calls(model)
        found = [(call.operation.name, call.outputs[0].shape, call.arguments.args) for call in calls]
    assert [name for name, *_ in found] == [layer.name for layer in model.layers]
