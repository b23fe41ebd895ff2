"""Layers inside models and wrappers: kernels as Keras itself regularizes them, and stages of a network inside another model."""

import keras
import numpy as np
import pytest
from helpers import array
from keras import layers

import zoo
from zoo import graph

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1)).astype("uint8")


def every_kernel(penalty=None):
    """A kernel of every kind that Keras regularizes, inside models, wrappers and cells; 26 of them."""
    own, parts = dict(kernel_regularizer=penalty), dict(depthwise_regularizer=penalty, pointwise_regularizer=penalty)
    cell = dict(kernel_regularizer=penalty, recurrent_regularizer=penalty)
    convolutions = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            layers.DepthwiseConv2D(3, padding="same", depthwise_regularizer=penalty),
            keras.Sequential([keras.Input((8, 8, 4)), layers.SeparableConv2D(4, 3, padding="same", **parts)]),
        ]
    )
    inner = keras.Input((8, 8, 4))
    functional = keras.Model(inner, layers.Conv2DTranspose(4, 3, padding="same", **own)(inner))
    inputs = keras.Input((8, 8, 4))
    x = functional(convolutions(layers.Conv2D(4, 3, padding="same", **own)(inputs)))
    x = layers.TimeDistributed(layers.Dense(4, **own))(layers.Reshape((64, 4))(x))
    x = layers.MultiHeadAttention(2, 4, **own)(x, x)
    x = layers.GroupQueryAttention(4, 2, 1, **own)(x, x)
    x = layers.EinsumDense("abc,cd->abd", (None, 4), **own)(x)
    x = layers.DepthwiseConv1D(3, depthwise_regularizer=penalty)(layers.Conv1D(4, 3, strides=8, **own)(x))
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True, **cell))(x)
    x = layers.RNN([layers.SimpleRNNCell(3, **cell), layers.GRUCell(3, **cell)])(x)
    return keras.Model(inputs, layers.Dense(1, **own)(layers.PReLU()(x)))


def guide(base, **call):
    """The layout of Keras' guide to transfer learning: inputs, network, pooling, dense layer."""
    inputs = keras.Input((32, 32, 1))
    x = base(layers.Rescaling(1.0, name="outside")(inputs), **call)
    return keras.Model(inputs, layers.Dense(3, name="top")(layers.Dropout(0.2, name="drop")(x)), name="guide")


class Around(keras.Model):
    """A network inside a class of a user's own, whose order stands in `call` alone."""

    def __init__(self, base):
        super().__init__(name="around")
        self.base, self.top = base, layers.Dense(2)

    def call(self, x):
        return self.top(self.base(x))


class Matrix(layers.Layer):
    """A layer of a user's own, whose matrix nobody can know for a kernel."""

    def build(self, shape):
        self.w = self.add_weight((shape[-1], 2), name="w")

    def call(self, x):
        return x @ self.w


@pytest.mark.slow
@pytest.mark.fault(
    "Models",
    "a penalty on a model with attention, recurrent layers and models inside it",
    "every kernel is penalised that Keras itself would penalise, and the saved model has the penalty",
    "part of the kernels without a word would be another model than the one asked for",
)
def test_every_kernel_that_keras_regularizes_has_its_penalty(tmp_path):
    theirs, ours = every_kernel(keras.regularizers.L2(0.1)), every_kernel()
    ours.set_weights(theirs.get_weights())
    zoo.regularize(ours, 0.1)
    assert len(ours.losses) == len(theirs.losses) == 26
    expected = float(array(sum(theirs.losses)))
    assert float(array(sum(ours.losses))) == pytest.approx(expected, rel=1e-6)
    ours.save(tmp_path / "m.keras")
    assert float(array(sum(keras.models.load_model(tmp_path / "m.keras").losses))) == pytest.approx(expected, rel=1e-6)


def test_shared_layers_and_low_rank_updates_count_once():
    shared = keras.Sequential([keras.Input((4,)), layers.Dense(4, use_bias=False)])
    inputs = keras.Input((4,))
    model = keras.Model(inputs, shared(shared(inputs)))
    assert len(list(graph.kernels(model))) == 1
    shared.layers[0].enable_lora(2)
    assert [kernel.name for _, kernel, _ in graph.kernels(model)] == ["lora_kernel_a", "lora_kernel_b"]


def test_a_name_finds_layers_and_what_lies_in_them():
    model = guide(zoo.lenet5(weights=None, num_classes=0))
    assert [layer.name for layer, *_ in graph.kernels(model, "lenet5")] == ["c1", "c3", "c5", "f6"]
    assert [layer.name for layer, *_ in graph.kernels(model, "c[13]")] == ["c1", "c3"]


@pytest.mark.fault(
    "Models",
    "a penalty on a model that is not built, or that holds a matrix of a user's own layer",
    "refused, with the name of the layer",
    "what has no weights yet, or is no known kernel, would be left out without a word",
)
def test_what_a_penalty_would_miss_is_refused():
    with pytest.raises(ValueError, match="late has no weights yet in thin: begin a Sequential model with keras.Input"):
        zoo.regularize(keras.Sequential([layers.Dense(2, name="thin")], name="late"), 0.1)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2), Matrix(name="own")], name="mixed")
    with pytest.raises(ValueError, match=r"Layer 'own' \(Matrix\) of mixed holds a trainable matrix .*: w. Give it a `reg"):
        zoo.regularize(model, 0.1)
    assert not model.losses
    model.get_layer("own").w.regularizer = keras.regularizers.L2(0.5)
    zoo.regularize(model, 0.1)
    assert len(model.losses) == 2


@pytest.mark.fault(
    "Models",
    "zoo.freeze and zoo.stages on a model around a network, as in Keras' guide",
    "the stages are those of the network inside, and freezing reaches into it",
    "the network's stages were not found at all",
)
def test_freezing_reaches_into_the_network_of_keras_guide():
    base = zoo.lenet5(weights=None, num_classes=0)
    model = guide(base, training=False)
    assert zoo.stages(model) == ["stage1", "stage2", "pre_logits"]
    zoo.freeze(model, "stage2")
    names = {v.path.split("/")[0] for v in model.trainable_variables}
    assert names == {"c5", "f6", "top"}
    assert not model.get_layer("outside").trainable and model.get_layer("lenet5").trainable
    zoo.freeze(model, None)
    assert len(model.trainable_variables) == len(model.weights) == 10
    zoo.freeze(model, "lenet5")
    assert {v.path.split("/")[0] for v in model.trainable_variables} == {"top"}
    zoo.freeze(model, "stage1")
    assert {v.path.split("/")[0] for v in model.trainable_variables} == {"c3", "c5", "f6", "top"}


def test_parts_of_a_network_inside_another_compute_what_the_whole_does():
    base = zoo.lenet5(weights=None, num_classes=0)
    for model in (guide(base, training=False), guide(keras.Sequential([base, layers.Identity(name="after")]))):
        whole = array(model(PICTURES))
        for stage in zoo.stages(model):
            body, head = zoo.split(model, stage)
            np.testing.assert_allclose(array(head(body(PICTURES))), whole, rtol=1e-5, atol=1e-6)
        for ours, theirs in zip(zoo.features(model)(PICTURES), zoo.features(base)(PICTURES), strict=False):
            np.testing.assert_allclose(array(ours), array(theirs), rtol=1e-5, atol=1e-6)
        head = zoo.new_head(model, 7)
        assert head.output_shape == (None, 7) and {id(v) for v in base.weights} < {id(v) for v in head.weights}
        np.testing.assert_allclose(array(zoo.features(head, ["stage1"])(PICTURES)), array(zoo.features(base)(PICTURES)[0]))


WRAPPERS = {
    "Sequential": lambda base: keras.Sequential(
        [keras.Input((32, 32, 1)), layers.Rescaling(1.0), layers.Identity(name="stage_mine"), base, layers.Dense(2, name="top")]
    ),
    "augmented": lambda base: keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            keras.Sequential([layers.RandomFlip()]),
            base,
            layers.Identity(),
            layers.Dense(2, name="top"),
        ]
    ),
    "functional": lambda base: guide(base, training=False),
    "in a wrapper": lambda base: guide(keras.Sequential([guide(base), layers.Identity(name="my_stage1"), layers.Dense(2)])),
}


@pytest.mark.slow
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_a_users_own_identity_is_no_stage(wrap, tmp_path):
    model = wrap(zoo.lenet5(weights=None, num_classes=0))
    model.save(tmp_path / "m.keras")
    for same in (model, keras.models.clone_model(model), keras.models.load_model(tmp_path / "m.keras")):
        assert zoo.stages(same) == ["stage1", "stage2", "pre_logits"]
        zoo.freeze(same, "stage2")
        names = {v.path.split("/")[-2] for v in same.trainable_variables}
        assert {"c5", "f6", "top"} <= names and not names & {"c1", "c3"}


def test_any_layer_is_a_place_to_cut_or_freeze_all_the_same():
    inputs = keras.Input((4,))
    x = layers.Identity(name="mine")(layers.Dense(3, name="a")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="b")(x))
    assert zoo.stages(model) == [] and zoo.features(model, ["mine"]).output_shape == (None, 3)
    zoo.freeze(model, "mine")
    assert {v.path.split("/")[0] for v in model.trainable_variables} == {"b"}


def test_one_of_two_networks_is_frozen_by_itself():
    model = pair()
    zoo.freeze(model.get_layer("one"), "stage2")
    assert len(model.trainable_variables) == 20 - 4


def test_a_sequential_model_is_a_model_like_any_other():
    layers_ = [keras.Input((4,)), layers.Dense(3, name="a"), layers.Identity(name="pre_logits"), layers.Dense(2, name="b")]
    model = keras.Sequential(layers_, name="plain")
    x = np.ones((1, 4), "float32")
    assert zoo.stages(model) == ["pre_logits"]
    body, head = zoo.split(model, "pre_logits")
    np.testing.assert_allclose(array(head(body(x))), array(model(x)), rtol=1e-6)
    assert zoo.new_head(model, 5).output_shape == (None, 5)
    around = keras.Sequential([zoo.lenet5(weights=None, num_classes=0), layers.Dense(2)])
    assert zoo.new_head(around, 5).output_shape == (None, 5)


@pytest.mark.fault(
    "Models",
    "cutting or freezing a model that is a class of a user's own, is not built, or has no stages",
    "refused; the sentence names the network inside it",
    "in which order such a model calls its layers cannot be read",
)
@pytest.mark.parametrize(
    "make, says",
    [
        (
            lambda: Around(zoo.lenet5(weights=None)),
            "around is of the class Around, .*: give the functional model inside it, 'lenet5'",
        ),
        (lambda: keras.Sequential([layers.Dense(2)], name="late"), "late is a Sequential model without a size of input"),
        (lambda: keras.Sequential([keras.Input((2,)), layers.Dense(2)], name="bare"), "has no stages, such as keras.layers.Id"),
        (lambda: twice(zoo.lenet5(weights=None)), "twins cannot be cut at 'stage1': it calls lenet5 2 times"),
        (lambda: pair(), r"pair has several layers 'stage1': in one and in other: .* model.get_layer\('other'\)"),
        (
            lambda: frames(zoo.lenet5(weights=None)),
            r"has 'stage1' inside the layer 'frames' \(TimeDistributed\), .*: give the functional model inside it, 'lenet5'",
        ),
        (lambda: named_alike(zoo.lenet5(weights=None)), "alike has several layers 'stage1': in alike and in lenet5: give"),
    ],
    ids=["subclassed", "unbuilt", "no stages", "called twice", "two networks", "in a layer", "two stages of a name"],
)
def test_what_cannot_be_cut_is_refused(make, says):
    model = make()
    for cut in (zoo.split, lambda model, at: zoo.features(model, [at])):
        with pytest.raises(ValueError, match=says):
            cut(model, "stage1")
    if "twins" not in says:
        with pytest.raises(ValueError, match=says):
            zoo.freeze(model, "stage1")
    if "alike" not in says:
        with pytest.raises(ValueError):
            zoo.new_head(model, 2)


def twice(base):
    one, other = keras.Input((32, 32, 1)), keras.Input((32, 32, 1))
    return keras.Model([one, other], layers.Add()([base(one), base(other)]), name="twins")


def frames(base):
    inputs = keras.Input((4, 32, 32, 1))
    return keras.Model(inputs, layers.TimeDistributed(base, name="frames")(inputs), name="video")


def named_alike(base):
    inputs = keras.Input((32, 32, 1))
    return keras.Model(inputs, base(layers.Identity(name="stage1")(inputs)), name="alike")


def pair():
    inputs, networks = keras.Input((32, 32, 1)), [zoo.lenet5(weights=None), zoo.lenet5(weights=None)]
    for network, name in zip(networks, ("one", "other"), strict=True):
        network.name = name
    return keras.Model(inputs, layers.Add()([network(inputs) for network in networks]), name="pair")


def test_another_pooling_needs_the_network_itself():
    with pytest.raises(ValueError, match="guide holds the network inside it: pooling='max' needs the network itself"):
        zoo.new_head(guide(zoo.lenet5(weights=None, num_classes=0)), 2, pooling="max")
    with pytest.raises(ValueError, match="guide cannot be cut at 'top': nothing lies behind it"):
        zoo.split(guide(zoo.lenet5(weights=None, num_classes=0)), "top")
