"""What every architecture of the zoo promises, one test a promise, over all of `MODELS`."""

import inspect
import json
import re

import keras
import numpy as np
import pytest
from helpers import ROOT, array, digest, pixels, python

import zoo
from zoo import MODELS, builder, freeze, get_model, list_models, new_head, split, stages
from zoo.weights import catalog

slow = pytest.mark.slow
CASES = [
    pytest.param("lenet5", {}, id="lenet5"),
    pytest.param("vgg16", {}, id="vgg16", marks=slow),
    pytest.param("vgg16", {"variant": "torch"}, id="vgg16-torch", marks=slow),
    pytest.param("resnet50", {}, id="resnet50", marks=slow),
    pytest.param("resnet50", {"variant": "torch"}, id="resnet50-torch", marks=slow),
    pytest.param("mobilenet", {}, id="mobilenet", marks=slow),
    pytest.param("mobilenet", {"alpha": 0.25}, id="mobilenet-0.25"),
    pytest.param("mobilenet", {"alpha": 0.5}, id="mobilenet-0.5", marks=slow),
    pytest.param("mobilenet_v2", {}, id="mobilenet_v2", marks=slow),
    pytest.param("mobilenet_v2", {"variant": "torch"}, id="mobilenet_v2-torch", marks=slow),
    pytest.param("mobilenet_v2", {"alpha": 0.25}, id="mobilenet_v2-0.25"),
    pytest.param("mobilenet_v2", {"alpha": 0.5}, id="mobilenet_v2-0.5", marks=slow),
]
BY_NAME = [pytest.param(name, marks=slow if name in ("vgg16", "resnet50") else ()) for name in MODELS]
L2, DROPOUT = 1e-3, 0.5


def size_of(name):
    return (32, 32, 1 if name == "lenet5" else 3)


def create(name, options, **more):
    """The small form of a case: 7 classes, 32 pixels, always the same weights."""
    keras.utils.set_random_seed(7)
    more = {"num_classes": 7, "input_shape": size_of(name), "l2": L2, "dropout": DROPOUT, **more}
    return MODELS[name](**options, **more)


def call(model, x, **options):
    return array(model(x, **options))


@pytest.fixture(scope="module")
def built(request):
    """One model at a time: pytest runs all tests of a case before it builds the next."""
    name, options = request.param
    return name, options, create(name, options)


def cases(function):
    values = [pytest.param(case.values, marks=case.marks, id=case.id) for case in CASES]
    return pytest.mark.parametrize("built", values, indirect=True)(function)


# ---------------------------------------------------------------------------------------------- one built model
@cases
def test_seven_classes_from_bytes_or_floats(built):
    name, _, model = built
    x = pixels(2, *size_of(name))
    y = call(model, x)
    assert y.shape == (2, 7)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(call(model, x.astype(np.float32)), y)


@cases
def test_same_seed_same_weights(built):
    name, options, model = built
    assert digest(create(name, options)) == digest(model)


@cases
def test_splits_at_every_stage_and_rejoins(built):
    name, _, model = built
    x = pixels(2, *size_of(name))
    whole = call(model, x)
    for stage in stages(model):
        body, head = split(model, stage)
        np.testing.assert_array_equal(call(head, body(x)), whole)
    with pytest.raises(ValueError, match="has no stage 'stage9': its stages are stage1, stage2"):
        split(model, "stage9")


@cases
def test_stages_are_where_the_resolution_falls(built):
    name, _, model = built
    maps = {"lenet5": [14, 5], "vgg16": [16, 8, 4, 2, 1], "resnet50": [8, 4, 2, 1]}.get(name, [16, 8, 4, 2, 1])
    assert stages(model) == [f"stage{i}" for i in range(1, len(maps) + 1)] + ["pre_logits"]
    assert [model.get_layer(stage).output.shape[1:3] for stage in stages(model)[:-1]] == [(n, n) for n in maps]
    assert len(model.get_layer("pre_logits").output.shape) == 2


def ancestors(model, stage):
    """Names of all layers that the stage depends on, found by walking the graph's nodes."""
    todo, found = [model.get_layer(stage)], set()
    while todo:
        layer = todo.pop()
        if layer.name not in found:
            found.add(layer.name)
            todo += [node.operation for node in layer._inbound_nodes[0].parent_nodes]
    return found & {layer.name for layer in model.layers}  # not the bare operation that flips RGB to BGR


@cases
def test_freezing_freezes_the_ancestors_and_nothing_else(built):
    _, _, model = built
    for stage in stages(model):
        freeze(model, stage)
        assert {layer.name for layer in model.layers if not layer.trainable} == ancestors(model, stage)
    freeze(model, None)
    assert all(layer.trainable for layer in model.layers)


@cases
def test_a_training_step_moves_nothing_frozen(built):
    name, _, model = built
    stage = stages(model)[1]
    frozen = ancestors(model, stage)
    freeze(model, stage)
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", run_eagerly=True)
    before = {v.path: array(v).copy() for v in model.weights}
    model.train_on_batch(pixels(4, *size_of(name)), np.arange(4))
    moved = {v.path for v in model.weights if not np.array_equal(before[v.path], array(v))}
    still = {v.path for layer in model.layers if layer.name in frozen for v in layer.weights}
    freeze(model, None)
    assert not moved & still
    # Of the rest, statistics move without a gradient; a bias before a batch norm has none to speak of.
    assert {v.path for v in model.weights if v.name in ("kernel", "moving_mean", "moving_variance")} - still <= moved


@cases
def test_every_trainable_variable_gets_a_gradient(built):
    tf = pytest.importorskip("tensorflow", reason="gradients are taken with TensorFlow's tape")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("gradients are taken with TensorFlow's tape, and the backend is another")
    name, _, model = built
    model = new_head(model, 7, activation=None)  # logits, and batch norm as in inference: neither cancels anything
    weighting = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(pixels(4, *size_of(name)), training=False) * weighting)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert [v.path for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None] == []
    assert [v.path for v, g in zip(model.trainable_variables, gradients, strict=True) if not np.any(g)] == []


@cases
def test_l2_is_the_sum_of_squares_of_trainable_kernels(built):
    _, _, model = built
    for until in (None, stages(model)[0]):
        freeze(model, until)
        kernels = [array(v) for v in model.trainable_variables if v.name == "kernel"]
        assert len(kernels) > 2
        loss = sum(float(value) for value in model.losses)
        assert loss == pytest.approx(L2 * sum(float(np.vdot(kernel, kernel)) for kernel in kernels), rel=1e-5)
    freeze(model, None)


@cases
def test_dropout_acts_in_training_only(built):
    _, _, model = built
    dropout = model.get_layer("dropout")
    assert dropout.input is model.get_layer("pre_logits").output
    ones = np.ones((50, model.get_layer("pre_logits").output.shape[1]), np.float32)
    dropped = call(dropout, ones, training=True)
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert np.mean(dropped == 0) == pytest.approx(DROPOUT, abs=0.03)
    np.testing.assert_array_equal(call(dropout, ones), ones)


@cases
def test_a_new_head_shares_the_body(built):
    name, _, model = built
    other = new_head(model, 3, activation=None)
    assert call(other, pixels(1, *size_of(name))).shape == (1, 3)
    assert other.get_layer("pre_logits") is model.get_layer("pre_logits")
    assert stages(other) == stages(model)
    with pytest.raises(ValueError, match="num_classes must be 1 or more"):
        new_head(model, 0)


# ---------------------------------------------------------------------------------------------- counts
PAPER = {  # as published, moving statistics counted where their publisher counts them
    ("lenet5", "keras"): 61_706,
    ("vgg16", "keras"): 138_357_544,
    ("resnet50", "keras"): 25_636_712,
    ("resnet50", "torch"): 25_557_032 + 53_120,  # parameters and moving statistics
    ("mobilenet", "keras"): 4_253_864,
    ("mobilenet_v2", "keras"): 3_538_984,
    ("mobilenet_v2", "torch"): 3_504_872 + 34_112,
}


@pytest.mark.parametrize(
    "name, variant", [pytest.param(*k, id="-".join(k), marks=slow if k[0] == "vgg16" else ()) for k in PAPER]
)
def test_parameters_are_the_papers(name, variant):
    assert MODELS[name](variant=variant).count_params() == PAPER[name, variant]


@slow
def test_parameters_are_the_catalogs():
    counted = {}
    for entry in catalog.ENTRIES:
        key = (entry.model, entry.variant, *entry.options.items())
        if entry.model == "vgg16":  # counted above, and both variants have the same graph
            counted[key] = PAPER["vgg16", "keras"]
        elif key not in counted:
            counted[key] = MODELS[entry.model](variant=entry.variant, **entry.options).count_params()
        assert entry.parameters == counted[key], entry


def test_lenet_layer_by_layer():
    counts = [layer.count_params() for layer in zoo.lenet5().layers if layer.count_params()]
    assert counts == [156, 2_416, 48_120, 10_164, 850]


def test_resnet_torch_statistics():
    statistics = [v for v in zoo.resnet50(variant="torch").weights if v.name.startswith("moving_")]
    assert sum(np.prod(v.shape) for v in statistics) == 53_120


# ---------------------------------------------------------------------------------------------- saving
LOAD_ELSEWHERE = """
import json, sys
sys.modules["zoo"] = None  # importing it raises
import keras, numpy as np
folder, names = sys.argv[1], sys.argv[2:]
outputs, losses = {}, {}
for name in names:
    model = keras.models.load_model(f"{folder}/{name}.keras")
    outputs[name] = model(np.load(f"{folder}/{name}.npy"))
    losses[name] = float(sum(model.losses))
np.savez(f"{folder}/outputs.npz", **outputs)
print(json.dumps(losses))
"""


@slow
def test_saved_models_need_no_zoo(tmp_path):
    cases = [("lenet5", {}), ("vgg16", {}), ("resnet50", {}), ("mobilenet", {"alpha": 0.25}), ("mobilenet_v2", {})]
    outputs, losses = {}, {}
    for name, options in cases:
        model, x = create(name, options), pixels(2, *size_of(name))
        model.save(tmp_path / f"{name}.keras")
        np.save(tmp_path / f"{name}.npy", x)
        outputs[name], losses[name] = call(model, x), float(sum(model.losses))
    there = json.loads(python(LOAD_ELSEWHERE, tmp_path, *outputs, cwd=tmp_path).splitlines()[-1])
    assert there == pytest.approx(losses, rel=1e-5)
    with np.load(tmp_path / "outputs.npz") as loaded:
        for name, output in outputs.items():
            np.testing.assert_allclose(loaded[name], output, rtol=1e-5, atol=1e-7, err_msg=name)


# ---------------------------------------------------------------------------------------------- arguments
@pytest.mark.parametrize("name", BY_NAME)
def test_any_channels_and_sizes(name):
    smallest = 16 if name == "lenet5" else 32
    for shape, num_classes in (((smallest, smallest, 1), 1), ((smallest + 1, smallest + 15, 2), 7)):
        model = MODELS[name](num_classes=num_classes, input_shape=shape, activation=None)
        y = call(model, pixels(1, *shape))
        assert y.shape == (1, num_classes) and np.isfinite(y).all()
    with pytest.raises(ValueError, match=f"must be {smallest} or more"):
        MODELS[name](input_shape=(smallest - 1, smallest, 3))


@pytest.mark.parametrize("name", BY_NAME)
def test_no_classifier_and_open_sizes(name):
    if name == "lenet5":
        with pytest.raises(ValueError, match="needs a fixed height and width"):
            MODELS[name](input_shape=(None, 32, 1))
        sizes, shape = [(32, 32)], (32, 32, 4)
    else:
        sizes, shape = [(32, 32), (47, 65)], (None, None, 4)
    model = MODELS[name](num_classes=0, input_shape=shape)
    width = {"lenet5": 84, "vgg16": 4096, "resnet50": 2048, "mobilenet": 1024, "mobilenet_v2": 1280}[name]
    for size in sizes:
        y = call(model, pixels(1, *size, 4))
        assert y.shape == (1, width) and np.isfinite(y).all()
    assert "predictions" not in [layer.name for layer in model.layers]


@pytest.mark.parametrize("name", MODELS)
def test_illegal_arguments_are_told_in_one_sentence(name):
    illegal = [
        ({"num_classes": -1}, "num_classes must be 0 or a positive integer, found -1"),
        ({"num_classes": 2.5}, "num_classes must be 0 or a positive integer, found 2.5"),
        ({"input_shape": (64, 64)}, r"input_shape must be \(height, width, channels\), found \(64, 64\)"),
        ({"input_shape": (64, 64, 0)}, "input_shape must be"),
        ({"input_shape": (8, 64, 3)}, "height and width must be"),
        ({"input_shape": (64.5, 64, 3)}, "height and width must be"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), found 1.0"),
        ({"dropout": -0.1}, "dropout must be in"),
        ({"l2": -1e-4}, "l2 must be 0 or positive, found -0.0001"),
        ({"l2": float("nan")}, "l2 must be 0 or positive, found nan"),
        ({"variant": "caffe"}, "has the variants keras.*, found 'caffe'"),
        ({"weights": "no_such_tag"}, "has no weights 'no_such_tag': it is no existing file and none of the tags"),
    ]
    if name.startswith("mobilenet"):
        illegal += [({"alpha": 0}, "alpha, the width multiplier, must be positive, found 0")]
        illegal += [({"alpha": 0.3, "weights": "imagenet"}, "with alpha=0.3 has no weights 'imagenet'")]
    for options, message in illegal:
        with pytest.raises(ValueError, match=message) as caught:
            MODELS[name](**options)
        assert "\n" not in str(caught.value)
    with pytest.raises(TypeError, match="pretrained"):
        MODELS[name](pretrained=True)


def test_every_option_is_an_argument_of_build():
    arguments = set(inspect.signature(builder.build).parameters)
    assert arguments - set(builder.Options.__annotations__) == {"name", "body", "family", "torch_names", "arguments"}


def test_alpha_scales_the_filters():
    narrow, wide = (zoo.mobilenet(alpha, num_classes=0, input_shape=(32, 32, 3)) for alpha in (0.25, 0.5))
    assert [m.get_layer("conv1").filters for m in (narrow, wide)] == [8, 16]
    assert [m.get_layer("conv_pw_13").filters for m in (narrow, wide)] == [256, 512]


# ---------------------------------------------------------------------------------------------- the package
@pytest.mark.parametrize("name", MODELS)
def test_the_docstring_names_the_paper(name):
    authors = {"lenet5": "LeCun", "vgg16": "Simonyan & Zisserman", "resnet50": "He et al. 2015",
               "mobilenet": "Howard et al. 2017", "mobilenet_v2": "Sandler et al. 2018"}  # fmt: skip
    arxiv = {"vgg16": "1409.1556", "resnet50": "1512.03385", "mobilenet": "1704.04861", "mobilenet_v2": "1801.04381"}
    text = MODELS[name].__doc__
    assert authors[name] in text
    assert re.findall(r"arXiv:(\d{4}\.\d{4,5})", text) == ([arxiv[name]] if name in arxiv else [])
    assert (name in arxiv) != ("older than arXiv" in text)


def test_models_by_name():
    assert list_models() == ["lenet5", "vgg16", "resnet50", "mobilenet", "mobilenet_v2"] == list(MODELS)
    assert list_models("mobile*") == ["mobilenet", "mobilenet_v2"]
    assert list_models("alexnet") == []
    assert get_model("lenet5", num_classes=3).output_shape == (None, 3)
    with pytest.raises(ValueError, match="no model 'resnet': choose one of lenet5, vgg16, resnet50"):
        get_model("resnet")


@slow
def test_one_import_gives_the_function(tmp_path):
    code = "from zoo import vgg16; print(vgg16.__name__, callable(vgg16))"
    assert python(code, cwd=tmp_path, PYTHONPATH=str(ROOT)).split() == ["vgg16", "True"]


def test_a_model_knows_where_it_comes_from():
    origin = zoo.resnet50(num_classes=2, variant="torch", input_shape=(64, 64, 3)).origin
    assert origin == builder.Origin("resnet50", "torch", weights=None, size=224, resize=256)
