"""The private parts of Keras that `zoo.keras_private` names are where they were."""

import contextlib

import keras
import numpy as np
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


def test_the_graph_of_a_sequential_model_and_the_layers_in_a_layer():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="a"), keras.layers.Dense(1, name="b")])
    with told("Sequential._functional"):
        assert keras_private.has_graph(model) and not keras_private.has_graph(keras.Sequential())
        assert [call.operation.name for call in keras_private.calls(model)][1:] == ["a", "b"]
        assert keras_private.input_of(model).shape == (None, 3)
    with told("Layer._layers"):
        inner = keras_private.sublayers(keras.layers.Bidirectional(keras.layers.LSTM(2)))
    assert [type(layer) for layer in inner] == [keras.layers.LSTM] * 2
    assert [layer.name for layer in keras_private.sublayers(model)] == ["a", "b"]


@pytest.mark.parametrize("make", [keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention])
def test_where_attention_keeps_its_regularizer(make):
    layer = make(2, 4) if make is keras.layers.MultiHeadAttention else make(4, 2, 1)
    with told("the regularizer of attention"):
        owner, name = keras_private.saved_at((layer, keras.layers.Dense(1)), "kernel_regularizer")
    assert owner is layer and hasattr(layer, name), f"Keras {keras.__version__} has moved the regularizer of attention."
    setattr(layer, name, keras.regularizers.L2(0.5))
    assert layer.get_config()["kernel_regularizer"]["config"] == {"l2": 0.5}


def test_what_keras_callbacks_remember_has_the_names_it_had():
    made = {keras.callbacks.ModelCheckpoint: ("x.keras",), keras.callbacks.LearningRateScheduler: (lambda epoch: 0.1,)}
    for kind, names in keras_private.CALLBACK_STATE.items():
        callback = kind(*made.get(kind, ()))
        callback.on_train_begin()
        missing = [name for name in names if name not in vars(callback)]
        assert not missing, f"Keras {keras.__version__} has moved {missing} of {kind.__name__}."


def test_the_arguments_of_the_fit_that_runs():
    model, seen = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]), []
    model.compile("sgd", "mse")

    def look(logs):
        seen.append({name: keras_private.fit_arguments(model)[name] for name in ("epochs", "validation_freq")})
        assert keras_private.fit_arguments(model)["validation_data"] is not None
        assert keras_private.fit_arguments(model)["callbacks"].callbacks

    x = np.zeros((2, 1), "float32")
    options = dict(validation_data=(x, x), validation_freq=3, callbacks=[keras.callbacks.LambdaCallback(on_train_begin=look)])
    model.fit(x, x, epochs=2, verbose=0, **options)
    assert seen == [{"epochs": 2, "validation_freq": 3}] and keras_private.fit_arguments(model) is None


def test_variables_get_their_values_later():
    keras.utils.set_random_seed(1)
    usual = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    keras.utils.set_random_seed(1)
    with keras_private.values_later():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    given = np.arange(6, dtype="float32").reshape(3, 2)
    with told("Variable._value, _initializer or _deferred_initialize"):
        keras_private.give_value(model.layers[0].kernel, given)
        keras_private.draw_values(model)
    assert np.array_equal(model.layers[0].kernel, given)
    # All others are what they would have been: their seeds were drawn in the same order.
    for one, other in zip(usual.variables[1:], model.variables[1:], strict=True):
        assert np.array_equal(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other))
    keras_private.give_value(model.layers[0].kernel, given + 1)
    assert np.array_equal(model.layers[0].kernel, given + 1)
    assert model.predict_on_batch(np.ones((4, 3))).shape == (4, 1)


@keras.saving.register_keras_serializable("tests")
class Counted(keras.initializers.GlorotUniform):
    """An initialiser that counts how often it draws."""

    calls = 0

    def __call__(self, *arguments, **named):
        Counted.calls += 1
        return super().__call__(*arguments, **named)


def test_a_saved_model_is_loaded_without_drawing(tmp_path):
    layers = keras.layers
    body = [layers.Dense(4, kernel_initializer=Counted()), layers.BatchNormalization(), layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((3,)), *body, layers.Dense(2, kernel_initializer=Counted())])
    for number, variable in enumerate(model.weights):
        variable.assign(keras.ops.full(variable.shape, number + 1, variable.dtype))
    model.save(tmp_path / "model.keras")
    Counted.calls = 0
    loaded = keras_private.load_model(tmp_path / "model.keras")
    assert Counted.calls == 0
    for one, other in zip(model.weights, loaded.weights, strict=True):
        assert np.array_equal(*map(keras.ops.convert_to_numpy, (one, other)))
    x = np.arange(12, dtype="float32").reshape(4, 3)
    assert np.array_equal(model.predict_on_batch(x), loaded.predict_on_batch(x))
    assert len(loaded.variables) == len(model.variables) and len(loaded.trainable_variables) == len(model.trainable_variables)
