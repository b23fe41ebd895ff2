"""Shapes, parameters, multiply-adds and receptive fields: against published numbers, and against what the networks do."""

import math

import house
import keras
import numpy as np
import pytest
from helpers import array, python
from keras import layers, ops

import zoo
from zoo import analysis, facts
from zoo.analysis import analyze, blueprint, total
from zoo.weights import catalog

slow = pytest.mark.slow


def fact(model, name):
    return next(fact for fact in analyze(model) if fact.name == name)


# ---------------------------------------------------------------------------------------------- the lecture
def test_lenet_is_the_lectures():
    model = zoo.lenet5()
    assert [fact.parameters for fact in analyze(model) if fact.parameters] == [156, 2_416, 48_120, 10_164, 850]
    assert [fact.multiply_adds for fact in analyze(model) if fact.multiply_adds] == [117_600, 240_000, 48_000, 10_080, 840]
    assert [fact(model, name).receptive_field[0].size for name in ("c1", "s2", "c3", "s4")] == [5, 6, 14, 16]
    assert fact(model, "c5").receptive_field[0].size == math.inf


def test_three_small_convolutions_see_what_a_large_one_does_for_fewer_weights():
    def network(*kernels, channels=8):
        x = inputs = keras.Input((None, None, channels))
        for kernel in kernels:
            x = layers.Conv2D(channels, kernel, padding="same", use_bias=False)(x)
        return keras.Model(inputs, x)

    for kernels, weights in (((3, 3, 3), 27 * 8**2), ((7,), 49 * 8**2)):
        model = network(*kernels)
        assert [axis.size for axis in analyze(model)[-1].receptive_field] == [7, 7]
        assert total(analyze(model))[0] == weights


# ---------------------------------------------------------------------------------------------- multiply-adds
@pytest.mark.parametrize(
    "name, options, giga",
    [
        ("alexnet", {"variant": "torch"}, 0.71),
        ("vgg16", {}, 15.47),
        ("googlenet", {}, 1.50),
        ("inception_v3", {}, 5.73),
        ("resnet18", {"variant": "torch"}, 1.82),
        ("resnet34", {"variant": "torch"}, 3.67),
        ("resnet50", {"variant": "torch"}, 4.11),
        ("resnet101", {"variant": "torch"}, 7.83),
        ("resnet152", {"variant": "torch"}, 11.56),
        ("mobilenet", {}, 0.569),
        ("vit_b_16", {"variant": "torch"}, 17.56),
        ("swin_tiny", {}, 4.491),
        ("swin_base", {}, 15.431),
    ],
)
@pytest.mark.slow
def test_multiply_adds_are_the_published(name, options, giga):
    if name not in zoo.MODELS:
        pytest.skip(f"the zoo has no {name} yet")
    assert total(analyze(blueprint(zoo.MODELS[name], **options)))[1] == pytest.approx(giga * 1e9, rel=0.01)


def convolved(layer, shape=(9, 9, 8)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(inputs))


@pytest.mark.parametrize(
    "layer, shape, count",
    [
        (layers.Conv2D(12, 3, groups=4), (9, 9, 8), 7 * 7 * 3 * 3 * 2 * 12),
        (layers.Conv2D(12, (3, 1), dilation_rate=2), (9, 9, 8), 5 * 9 * 3 * 8 * 12),
        (layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2), (9, 9, 8), 4 * 4 * 9 * 8 * 2),
        (layers.SeparableConv2D(12, 3, padding="same"), (9, 9, 8), 81 * (9 * 8 + 8 * 12)),
        (layers.Conv2DTranspose(12, 3, strides=2), (9, 9, 8), 81 * 9 * 8 * 12),
        (layers.Dense(5), (8,), 8 * 5),
        (layers.Dense(5), (7, 8), 7 * 8 * 5),
        (layers.Dense(5), (3, 4, 8), 12 * 8 * 5),
        (layers.EinsumDense("bnc,chd->bnhd", (7, 2, 4)), (7, 8), 7 * 8 * 2 * 4),
        (layers.EinsumDense("...c,cd->...d", (5,)), (3, 4, 8), 12 * 8 * 5),
        (layers.BatchNormalization(), (9, 9, 8), 0),
        (layers.AveragePooling2D(3), (9, 9, 8), 0),
    ],
)
def test_multiply_adds_by_hand(layer, shape, count):
    # A layer of a parameter list belongs to one model only.
    model = convolved(type(layer).from_config(layer.get_config()), shape)
    assert total(analyze(model)) == (model.count_params(), count)


def test_attention_as_a_layer_and_as_operations():
    tokens, width, heads, head = 7, 12, 3, 4
    products = 2 * tokens * tokens * width
    layer = layers.MultiHeadAttention(heads, head, name="attention")
    inputs = keras.Input((tokens, width))
    assert fact(keras.Model(inputs, layer(inputs, inputs)), "attention").multiply_adds == 4 * tokens * width**2 + products

    q = layers.Reshape((tokens, heads, head))(inputs)
    assert total(analyze(keras.Model(inputs, ops.dot_product_attention(q, q, q))))[1] == products
    turned = ops.transpose(q, (0, 2, 1, 3))
    scores = ops.softmax(ops.matmul(turned, ops.transpose(turned, (0, 1, 3, 2))))
    assert total(analyze(keras.Model(inputs, ops.matmul(scores, turned))))[1] == products
    scores = ops.einsum("bqhd,bkhd->bhqk", q, q)
    assert total(analyze(keras.Model(inputs, ops.einsum("bhqk,bkhd->bqhd", scores, q))))[1] == products


def test_what_is_shared_costs_each_time_and_is_counted_once():
    inputs = keras.Input((9, 9, 4))
    layer = layers.Conv2D(4, 3, padding="same", use_bias=False)
    assert total(analyze(keras.Model(inputs, layer(layer(inputs))))) == (144, 2 * 81 * 144)


# ---------------------------------------------------------------------------------------------- receptive fields
def residual(x):
    y = layers.Conv2D(3, 3, 2, padding="same")(x)
    y = layers.Conv2D(3, 3, padding="same")(y)
    return layers.Add()([layers.Conv2D(3, 1, 2, padding="same")(x), y])


def branches(x):
    y = layers.Conv2D(2, (1, 7), padding="same")(layers.Conv2D(2, 1)(x))
    z = layers.Conv2D(2, 3, padding="same")(layers.Conv2D(2, 3, padding="same")(x))
    return layers.MaxPooling2D(3, 2)(layers.Concatenate()([y, z, layers.AveragePooling2D(3, 1, padding="same")(x)]))


def crooked(x):
    """Branches whose boxes lie beside each other."""
    left = layers.Cropping2D(((0, 4), (0, 2)))(layers.Conv2D(2, 3, padding="same")(x))
    return layers.Add()([left, layers.Cropping2D(((4, 0), (2, 0)))(layers.Conv2D(2, 3, padding="same")(x))])


def operations(x):
    x = ops.pad(x, ((0, 0), (3, 0), (0, 1), (0, 0)))
    x = ops.average_pool(x, 2, 2)
    x = ops.conv(x, np.ones((3, 3, 2, 2), "float32"), padding="same")
    return ops.flip(x, axis=-1)[..., :1] + 1.0


def gated(x):
    x = layers.Conv2D(3, 3, 2, padding="same")(x)
    gate = layers.Conv2D(3, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Multiply()([x, gate])


NETWORKS = {
    "valid": lambda x: layers.Conv2D(3, 5)(layers.Conv2D(3, 3, 2)(x)),
    "same, even size": lambda x: layers.Conv2D(3, 3, 2, padding="same")(layers.Conv2D(3, 4, 2, padding="same")(x)),
    "torch": lambda x: layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(layers.Conv2D(3, 3)(layers.ZeroPadding2D(1)(x)))),
    "padding on one side": lambda x: layers.DepthwiseConv2D(3, 2)(layers.ZeroPadding2D(((0, 1), (2, 0)))(x)),
    "cropping": lambda x: layers.SeparableConv2D(3, 3)(layers.Cropping2D(((2, 1), (0, 3)))(x)),
    "dilation": lambda x: layers.Conv2D(3, 2)(layers.Conv2D(3, 3, dilation_rate=2, padding="same")(x)),
    "pooling": lambda x: layers.AveragePooling2D(2)(layers.MaxPooling2D(3, 2, padding="same")(x)),
    "adaptive pooling": lambda x: layers.AdaptiveAveragePooling2D(6)(layers.Conv2D(3, 3, padding="same")(x)),
    "dense on a map": lambda x: layers.Dense(2)(layers.Conv2D(3, 3)(x)),
    "residual": lambda x: residual(residual(x)),
    "branches": lambda x: branches(branches(x)),
    "crooked": crooked,
    "operations": operations,
    "gated": gated,
    "patches": lambda x: layers.Reshape((-1, 3))(layers.Conv2D(3, 4, 4)(x)),
    "mean": lambda x: ops.mean(layers.Conv2D(3, 3)(x), axis=(1, 2), keepdims=True),
    "flatten": lambda x: layers.Dense(2)(layers.Flatten()(layers.Conv2D(3, 3)(x))),
}


def reach(model, size, unit):
    """Which pixels change the unit: (height, width) of booleans. All weights are positive, so nothing cancels."""
    rng = np.random.default_rng(0)
    picture = rng.uniform(0.5, 1, (size, size, 2)).astype("float32")
    changed = np.repeat(picture[None], size * size + 1, axis=0)
    changed.reshape(size * size + 1, size * size, 2)[range(size * size), range(size * size)] += 100
    y = array(model(changed))
    y = y[(slice(None), *unit)].sum(axis=-1)
    return np.abs(y[:-1] - y[-1]).reshape(size, size) > 1e-6 * abs(y[-1])


@slow
@pytest.mark.parametrize("size", [24, 25])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_unit_sees_its_field_and_nothing_else(name, size):
    if name == "adaptive pooling" and size == 25:
        pytest.skip("its windows differ where the size does not divide: nothing is said there")
    keras.utils.set_random_seed(0)
    inputs = keras.Input((size, size, 2))
    model = keras.Model(inputs, NETWORKS[name](inputs))
    for variable in model.weights:
        variable.assign(ops.abs(variable) + 0.1)
    known = analyze(model)[-1]
    units = known.output_shape[1:-1]
    middle = tuple(n // 2 for n in units)
    for unit in (tuple(0 for _ in units), middle):
        at = unit if len(unit) == 2 else divmod(*unit, size // 4) if unit else (0, 0)  # a row of patches; all of it
        seen = reach(model, size, unit)
        for axis, place, mask in zip(known.receptive_field, at, (seen.any(axis=1), seen.any(axis=0)), strict=True):
            first, last = (max(axis.first + place * axis.stride, 0), min(axis.last + place * axis.stride, size - 1))
            assert (np.flatnonzero(mask)[[0, -1]] == (first, last)).all(), (unit, axis)
            if axis.center is not None:
                assert axis.center == (axis.first + axis.last) / 2
        if name not in ("dilation", "branches", "crooked"):  # whose boxes have holes and corners
            rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
            assert seen[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_attention_sees_all_but_moves_in_patches():
    inputs = keras.Input((24, 24, 2))
    x = layers.Reshape((-1, 6))(layers.Conv2D(6, 4, 4)(inputs))
    token = layers.Embedding(1, 6)(ops.zeros_like(x[:, :1, 0], dtype="int32"))
    x = layers.Concatenate(axis=1, name="tokens")([token, x])
    y = ops.dot_product_attention(*[layers.Reshape((37, 2, 3))(x)] * 3)
    model = keras.Model(inputs, layers.Reshape((37, 6), name="attended")(y)[:, 0])
    assert [(axis.size, axis.stride) for axis in fact(model, "tokens").receptive_field] == [(4, 4)] * 2
    assert [(axis.size, axis.stride) for axis in fact(model, "attended").receptive_field] == [(math.inf, 4)] * 2
    assert [(axis.size, axis.stride) for axis in analyze(model)[-1].receptive_field] == [(math.inf, 0)] * 2


@pytest.mark.parametrize("size", [24, None])
def test_what_cannot_be_said_is_not(size):
    inputs = keras.Input((size, size, 2))
    x = layers.UpSampling2D(2, name="up")(layers.Conv2D(3, 3, 2)(inputs))
    y = layers.Conv2DTranspose(3, 3, padding="same", name="turned")(inputs)
    model = keras.Model(inputs, [layers.Conv2D(3, 3, name="after")(x), layers.GlobalMaxPooling2D(name="all")(x), y])
    assert [fact(model, name).receptive_field for name in ("up", "turned", "after")] == [None] * 3
    assert fact(model, "all").receptive_field[0].size == math.inf
    assert any(line.split()[-3:] == ["?"] * 3 for line in analysis.table(model))


# ---------------------------------------------------------------------------------------------- models of other kinds
@pytest.mark.slow
def test_open_sizes():
    fixed, free = (analyze(zoo.mobilenet(alpha=0.25, input_shape=(size, size, 3), num_classes=0)) for size in (64, None))
    assert [f.receptive_field for f in free] == [f.receptive_field for f in fixed]
    assert [f.parameters for f in free] == [f.parameters for f in fixed]
    assert total(free)[1] is None and total(fixed)[1] > 0
    model = zoo.mobilenet(alpha=0.25, input_shape=(None, None, 3))
    assert fact(model, "predictions").multiply_adds == 256_000
    assert analysis.table(model)[-1].split() == ["total", "475,544", "?"]


def test_sequential_models_heads_and_pieces():
    model = keras.Sequential([keras.Input((9, 9, 1)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)])
    assert total(analyze(model)) == (40 + 394, 49 * 36 + 392)
    body, head = zoo.split(zoo.lenet5(), "stage2")
    assert total(analyze(body))[0] + total(analyze(head))[0] == 61_706
    vectors = analyze(zoo.split(zoo.lenet5(), "pre_logits")[1])
    assert vectors[-1].parameters == 850 and vectors[-1].receptive_field is None


class Subclassed(keras.Model):
    def call(self, x):
        return x


def nested():
    inputs = keras.Input((32, 32, 1))
    return keras.Model(inputs, zoo.lenet5()(inputs), name="outer")


def two_inputs():
    inputs = [keras.Input((8, 8, 1)), keras.Input((8, 8, 1))]
    return keras.Model(inputs, layers.Add()(inputs), name="two")


def channels_first():
    return convolved(layers.MaxPooling2D(2, data_format="channels_first", name="pool"))


@pytest.mark.parametrize(
    "build, message",
    [
        (Subclassed, "is no functional model"),
        (nested, "outer cannot be analysed: it contains the model lenet5; analyse that alone"),
        (two_inputs, "two cannot be analysed: it has 2 inputs"),
        (channels_first, "pool has its channels first"),
    ],
)
def test_other_models_are_refused_in_one_sentence(build, message):
    with pytest.raises(ValueError, match=message) as caught:
        analyze(build())
    assert "\n" not in str(caught.value)


def test_a_blueprint_has_no_values_and_the_same_facts():
    model = blueprint(zoo.lenet5)
    assert analyze(model) == analyze(zoo.lenet5())
    assert all(variable._value is None for variable in model.weights)
    later = zoo.lenet5()  # what is built afterwards has values
    assert np.isfinite(array(later(np.zeros((1, 32, 32, 1))))).all()
    with pytest.raises(ValueError, match="must be 16 or more"):
        blueprint(zoo.lenet5, input_shape=(8, 8, 1))
    assert all(variable._value is not None for variable in zoo.lenet5().weights)


# ---------------------------------------------------------------------------------------------- the file of facts
def cases():
    """The first record of each network is tested in every run; other variants, sizes, widths and classes of it are deep."""
    seen = set()
    for known in facts.read():
        fast = known.model in ("lenet5", "vgg16") or known.options == {"alpha": 0.25}
        marks = () if fast else (slow, pytest.mark.deep) if known.model in seen else slow
        seen.add(known.model)
        yield pytest.param(known, id="-".join(map(str, facts.key(known))), marks=marks)


@pytest.mark.parametrize("known", list(cases()))
def test_facts_are_those_of_what_is_built(known):
    assert isinstance(known.multiply_adds, int)
    built = facts.measure(
        known.model, known.variant, known.options, input_shape=known.input_shape, num_classes=known.num_classes
    )
    assert built == known


def test_facts_are_complete():
    models = {known.model for known in facts.read()}
    assert models == set(zoo.MODELS), "run `python -m zoo.facts`"
    for entry in catalog.ENTRIES:
        if entry.model in zoo.MODELS:
            assert facts.of(entry) is not None, f"run `python -m zoo.facts`: it lacks {entry}"
            assert facts.of(entry).parameters == entry.parameters, entry


def test_facts_are_read_without_keras(tmp_path):
    code = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("facts", sys.argv[1])
sys.modules["facts"] = facts = importlib.util.module_from_spec(spec)
spec.loader.exec_module(facts)
print(facts.read()[0].stages[0], "keras" in sys.modules)
"""
    assert (
        python(code, house.SOURCES / "zoo" / "facts.py", cwd=tmp_path) == "Stage(name='stage1', stride=2, channels=6) False\n"
    )


def test_facts_are_written_as_they_are_read(tmp_path, monkeypatch):
    text = facts.FILE.read_text()
    monkeypatch.setattr(facts, "FILE", tmp_path / "facts.json")
    facts.write(facts.read())
    assert facts.FILE.read_text() == text


# ---------------------------------------------------------------------------------------------- features
@pytest.mark.slow
def test_features_are_the_bodies_outputs():
    model = zoo.mobilenet(alpha=0.25, num_classes=7, input_shape=(64, 64, 3))
    x = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("uint8")
    every = zoo.features(model)
    assert len(every.outputs) == len(zoo.stages(model))
    for stage, y in zip(zoo.stages(model), every(x), strict=True):
        np.testing.assert_allclose(array(y), array(zoo.split(model, stage)[0](x)), rtol=1e-5, atol=1e-6, err_msg=stage)
    known = next(known for known in facts.read() if known.options == {"alpha": 0.25})
    for stage, y in zip(known.stages, every.outputs, strict=True):
        assert y.shape == (None, *([64 // stage.stride] * 2 if stage.stride else []), stage.channels)


def test_features_come_in_the_order_that_was_asked_for():
    model = zoo.lenet5()
    chosen = zoo.features(model, stages=["pre_logits", "stage1"])
    assert [output.shape for output in chosen.outputs] == [(None, 84), (None, 14, 14, 6)]
    assert chosen.get_layer("c1") is model.get_layer("c1")
    assert zoo.features(model, stages=["stage2"])(np.zeros((1, 32, 32, 1))).shape == (1, 5, 5, 16)  # no list of one


@pytest.mark.parametrize(
    "chosen, message",
    [
        (["stage1", "stage7"], "lenet5 has no stage 'stage7': its stages are stage1, stage2, pre_logits"),
        ([], "features needs one stage or more"),
    ],
)
def test_unknown_stages_are_told_in_one_sentence(chosen, message):
    with pytest.raises(ValueError, match=message) as caught:
        zoo.features(zoo.lenet5(), stages=chosen)
    assert "\n" not in str(caught.value)
