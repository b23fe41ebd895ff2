"""What every architecture of the zoo promises, one test a promise, over all of `MODELS`.

Built small (7 classes, a small picture), one model at a time. All but a few small members are marked slow, and the deep
forms of a network deep (conftest.py).
"""

import fnmatch
import functools
import inspect
import json
import re

import keras
import numpy as np
import pytest
from helpers import ROOT, array, digest, pixels, python, randomize

import zoo
from zoo import MODELS, builder, facts, freeze, get_model, list_models, new_head, split, stages
from zoo.weights import catalog
from zoo.weights.catalog import citations

slow = pytest.mark.slow
FAST = ("lenet5", "resnet20", "squeezenet1_1", "mobilenet-0.25")  # half a second each
OTHERS = [  # besides the default form of every name
    ("resnet50", {"variant": "torch"}),
    ("inception_v3", {"variant": "torch"}),
    ("mobilenet", {"alpha": 0.25}),
    ("mobilenet_v2", {"alpha": 0.25}),
    ("mobilenet_v2", {"variant": "torch"}),
    ("mobilenet_v3_small", {"variant": "torch"}),
    ("efficientnet_b0", {"variant": "torch"}),
]
CASES = [(name, {}) for name in MODELS] + OTHERS
L2, DROPOUT = 1e-3, 0.5
CONVOLUTIONAL = ("squeezenet1_0", "squeezenet1_1")  # whose classifier is a convolution, behind a 4-D "pre_logits"
# Of tokens; sizes fixed, and multiples of the patch.
PATCHES = [name for name in MODELS if name.startswith(("vit_", "deit3_", "dinov2_"))]
FLAT = [*PATCHES, *(name for name in MODELS if name.startswith(("swin_", "tiny_vit_"))), "lenet5"]  # sizes fixed when built


def label(name, options):
    return "-".join([name, *map(str, options.values())])


@functools.cache
def smallest(name):
    """The smallest legal height, as the builder itself says."""
    with pytest.raises(ValueError, match="height and width must be") as caught:
        MODELS[name](input_shape=(1, 1, 3))
    return int(re.search(r"must be (\d+) or more", str(caught.value))[1])


def low(name):
    """A legal height of 32 or little more."""
    least = smallest(name)
    return -(-32 // least) * least if name in PATCHES else max(32, least)


def size_of(name):
    """Legal, small, and large enough that no stage before the last is a single pixel, where all statistics are alike."""
    size = low(name)
    return (size, size, 1 if name == "lenet5" else 3)


def create(name, options, **more):
    """The small form of a case: 7 classes, always the same weights."""
    keras.utils.set_random_seed(7)
    more = {"num_classes": 7, "input_shape": size_of(name), "l2": L2, "dropout": DROPOUT, **more}
    return MODELS[name](**options, **more)


def call(model, x, **options):
    return array(model(x, **options))


@pytest.fixture(scope="module")  # so that pytest sorts the tests by case, and each is built once
def built(request):
    """(name, options, model, digest of its first weights); a test may train the model."""
    name, options = request.param
    model = create(name, options)
    return name, options, model, digest(model)


def cases(function):
    values = [
        pytest.param((name, options), id=label(name, options), marks=() if label(name, options) in FAST else slow)
        for name, options in CASES
    ]
    return pytest.mark.parametrize("built", values, indirect=True)(function)


def names(function):
    values = [pytest.param(name, marks=() if name in FAST else slow) for name in MODELS]
    return pytest.mark.parametrize("name", values)(function)


# ---------------------------------------------------------------------------------------------- one built model
@slow
@cases
def test_seven_classes_from_bytes_or_floats(built):
    name, _, model, _ = built
    x = pixels(2, *size_of(name))
    y = call(model, x)
    assert y.shape == (2, 7)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(call(model, x.astype(np.float32)), y)


@cases
def test_same_seed_same_weights(built):
    name, options, _, first = built
    assert digest(create(name, options)) == first


@cases
def test_splits_at_every_stage_and_rejoins(built):
    name, _, model, _ = built
    x = pixels(2, *size_of(name))
    whole = call(model, x)
    cuts = call_all(zoo.features(model), x)
    for stage, cut in zip(stages(model), cuts, strict=True):
        np.testing.assert_allclose(call(split(model, stage)[1], cut), whole, rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match="has no stage 'stage9': its stages are stage1, stage2"):
        split(model, "stage9")


def call_all(model, x):
    return [array(output) for output in model(x)]


@cases
def test_stages_are_as_declared(built):
    """Names, strides that never decrease, and channels: what `facts.json` says is true of the built graph."""
    name, _, model, _ = built
    declared = next(f for f in facts.read() if f.model == name and f.variant == model.origin.variant)
    if "alpha" not in built[1]:
        channels = [model.get_layer(stage.name).output.shape[-1] for stage in declared.stages]
        assert channels == [stage.channels for stage in declared.stages]
    assert [stage.name for stage in declared.stages] == stages(model)
    assert stages(model) == [f"stage{i}" for i in range(1, len(stages(model)))] + ["pre_logits"]
    strides = [stage.stride for stage in declared.stages if stage.stride]
    assert strides == sorted(strides)
    height = size_of(name)[0]
    for stage in declared.stages:
        shape = model.get_layer(stage.name).output.shape
        if len(shape) == 4:  # unpadded layers lose a border beside the stride
            unpadded = name.startswith(("lenet", "inception", "alexnet", "squeezenet", "xception"))
            assert abs(shape[1] - height / stage.stride) <= (5 if unpadded else 1)
    rank = len(model.get_layer("pre_logits").output.shape)
    assert rank == (4 if name in CONVOLUTIONAL else 2)


def ancestors(model, stage):
    """Names of all layers that the stage depends on, found by walking the graph's nodes."""
    todo, found = [model.get_layer(stage)], set()
    while todo:
        layer = todo.pop()
        if layer.name not in found:
            found.add(layer.name)
            todo += [node.operation for node in layer._inbound_nodes[0].parent_nodes]
    return found & {layer.name for layer in model.layers}  # not bare operations, such as that which flips RGB to BGR


def check_freezing(model):
    for stage in stages(model):
        freeze(model, stage)
        assert {layer.name for layer in model.layers if not layer.trainable} == ancestors(model, stage)


@cases
def test_freezing_freezes_the_ancestors_and_nothing_else(built):
    _, _, model, _ = built
    check_freezing(model)
    freeze(model, None)
    assert all(layer.trainable for layer in model.layers)


@slow
@cases
def test_every_trainable_variable_gets_a_gradient(built):
    tf = pytest.importorskip("tensorflow", reason="gradients are taken with TensorFlow's tape")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("gradients are taken with TensorFlow's tape, and the backend is another")
    name, _, model, _ = built
    model = new_head(model, 7, activation=None)  # logits, and batch norm as in inference: neither cancels anything
    randomize(model, gain=0.7)  # a deep network's fresh weights let the signal fade until float32 has none left
    weighting = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(pixels(4, *size_of(name)), training=False) * weighting)
    gradients = tape.gradient(loss, model.trainable_variables)
    pairs = list(zip(model.trainable_variables, gradients, strict=True))
    assert [v.path for v, g in pairs if g is None] == []
    # The bias of a key is the same for every key, so attention does not see it; else nothing may be dead.
    assert [v.path for v, g in pairs if not np.any(g) and not isinstance(g, tf.IndexedSlices)] == []


@slow
@cases
def test_a_training_step_moves_nothing_frozen(built):
    name, _, model, _ = built
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
    # Of the rest, statistics move without a gradient, and the classifier always has one.
    there = {v.path for v in model.weights} - still
    assert {path for path in there if path.endswith(("moving_mean", "moving_variance")) or "predictions" in path} <= moved


@cases
def test_l2_is_the_sum_of_squares_of_trainable_kernels(built):
    _, _, model, _ = built
    for until in (None, stages(model)[0]):
        freeze(model, until)
        kernels = [array(v) for v in model.trainable_variables if v.name.endswith("kernel") and len(v.shape) > 1]
        assert len(kernels) > 2
        loss = sum(float(value) for value in model.losses)
        assert loss == pytest.approx(L2 * sum(float(np.square(kernel).sum()) for kernel in kernels), rel=1e-4)
    freeze(model, None)


@cases
def test_dropout_acts_in_training_only(built):
    name, _, model, _ = built
    dropout = model.get_layer("dropout")
    assert dropout.input is model.get_layer("pre_logits").output or name in CONVOLUTIONAL
    ones = np.ones((50, *(8 for _ in dropout.input.shape[1:-1]), dropout.input.shape[-1]), np.float32)
    dropped = call(dropout, ones, training=True)
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert np.mean(dropped == 0) == pytest.approx(DROPOUT, abs=0.03)
    np.testing.assert_array_equal(call(dropout, ones), ones)


@cases
def test_a_new_head_shares_the_body(built):
    name, _, model, _ = built
    other = new_head(model, 3, activation=None)
    assert call(other, pixels(1, *size_of(name))).shape == (1, 3)
    assert other.get_layer("pre_logits") is model.get_layer("pre_logits")
    assert stages(other) == stages(model)
    with pytest.raises(ValueError, match="num_classes must be 1 or more"):
        new_head(model, 0)


LOAD_ELSEWHERE = """
import json, sys
sys.modules["zoo"] = None  # importing it raises
import keras, numpy as np
for line in sys.stdin:
    path = line.strip()
    model = keras.models.load_model(path)
    np.savez(path + ".npz", output=model(np.load(path + ".npy")), loss=float(sum(model.losses)))
    print(json.dumps({"classes": model.output_shape[-1]}), flush=True)
    del model
    keras.backend.clear_session()
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Another process, in which `zoo` cannot be imported, loads what it is told."""
    import os
    import subprocess
    import sys

    command = [sys.executable, "-W", "error", "-c", LOAD_ELSEWHERE]
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONWARNINGS": ""}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path_factory.mktemp("elsewhere"),
    ) as process:

        def load(path):
            print(path, file=process.stdin, flush=True)
            return json.loads(process.stdout.readline() or '{"classes": "the process died"}')

        yield load
        process.stdin.close()


@slow  # a process that imports Keras
@cases
def test_saved_models_need_no_zoo(built, elsewhere, tmp_path):
    name, _, model, _ = built
    path, x = tmp_path / "model.keras", pixels(2, *size_of(name))
    model.save(path)
    np.save(f"{path}.npy", x)
    assert elsewhere(path) == {"classes": 7}
    with np.load(f"{path}.npz") as there:
        np.testing.assert_allclose(there["output"], call(model, x), rtol=1e-5, atol=1e-7)
        assert there["loss"] == pytest.approx(float(sum(model.losses)), rel=1e-5)
    path.unlink()


# ---------------------------------------------------------------------------------------------- counts
PAPER = {  # as published, moving statistics counted where their publisher counts them
    ("lenet5", "keras"): 61_706,
    ("alexnet", "paper"): 60_965_224,
    ("alexnet", "torch"): 61_100_840,
    ("vgg16", "keras"): 138_357_544,
    ("vgg19", "keras"): 143_667_240,
    ("inception_v1", "paper"): 6_998_552,
    ("inception_v3", "keras"): 23_851_784,
    ("resnet50", "keras"): 25_636_712,
    ("resnet101", "keras"): 44_707_176,
    ("resnet152", "keras"): 60_419_944,
    ("resnet50", "torch"): 25_557_032 + 53_120,  # parameters and moving statistics
    ("mobilenet", "keras"): 4_253_864,
    ("mobilenet_v2", "keras"): 3_538_984,
    ("mobilenet_v2", "torch"): 3_504_872 + 34_112,
}
TRAINABLE = {  # without moving statistics, as torchvision counts
    "googlenet": 6_624_904,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "densenet121": 7_978_856,
    "vit_b_16": 86_567_656,
    "convnext_tiny": 28_589_128,
    "convnext_v2_atto": 3_708_400,
    "swin_tiny": 28_288_354,
    "regnet_y_400mf": 4_344_144,
}


def test_declared_parameters_are_the_papers():
    """What is declared is what is built: test_analysis.py."""
    declared = {(f.model, f.variant): f.parameters for f in reversed(facts.read())}
    assert {key: declared[key] for key in PAPER} == PAPER


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINABLE)
def test_trainable_parameters_are_torchvisions(name):
    from zoo import analysis

    variant = "torch" if "torch" in facts_variants(name) else None
    model = analysis.blueprint(MODELS[name], variant=variant)
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == TRAINABLE[name]


def facts_variants(name):
    return {f.variant for f in facts.read() if f.model == name}


def test_lenet_layer_by_layer():
    counts = [layer.count_params() for layer in zoo.lenet5().layers if layer.count_params()]
    assert counts == [156, 2_416, 48_120, 10_164, 850]


def test_modern_lenet():
    """ReLU and max pooling, the same parameters; the weights in `zoo/pretrained` are for the other form."""
    model = zoo.lenet5(modern=True)
    assert model.count_params() == 61_706
    assert {model.get_layer(name).activation.__name__ for name in ("c1", "c3", "c5", "f6")} == {"relu"}
    assert all(isinstance(model.get_layer(name), keras.layers.MaxPooling2D) for name in ("s2", "s4"))
    with pytest.raises(ValueError, match="lenet5 with modern=True has no weights 'mnist'"):
        zoo.lenet5(modern=True, weights="mnist")


# ---------------------------------------------------------------------------------------------- arguments
# Three builds a name, which between them have 1, 2 and 4 channels, the smallest, odd and open sizes.
@slow
@names
def test_the_smallest_size_in_grey(name):
    least = smallest(name)
    y = call(MODELS[name](num_classes=1, input_shape=(least, least, 1), activation=None), pixels(1, least, least, 1))
    assert y.shape == (1, 1) and np.isfinite(y).all()
    with pytest.raises(ValueError, match=f"must be {least} or more"):
        MODELS[name](input_shape=(least - 1, least, 3))


@slow
@names
def test_no_classifier_and_open_sizes_with_four_channels(name):
    height = low(name)
    sizes, shape = [(height + 1, height + 15)], (None, None, 4)
    if name in FLAT:
        with pytest.raises(ValueError, match="needs a fixed height and width"):
            MODELS[name](input_shape=(None, height, 1))
        sizes, shape = [(height, 2 * height)], (height, 2 * height, 4)
    model = MODELS[name](num_classes=0, input_shape=shape)
    declared = next(f for f in facts.read() if f.model == name)
    for size in sizes:
        y = call(model, pixels(1, *size, 4))
        assert y.shape == (1, declared.stages[-1].channels) and np.isfinite(y).all()
    assert "predictions" not in [layer.name for layer in model.layers]


@slow
@names
def test_mixed_precision_with_two_channels(name):
    height = low(name)
    shape = (height, height, 2) if name in PATCHES else (height + 1, height + 3, 2)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = MODELS[name](num_classes=3, input_shape=shape)
        y = call(model, pixels(2, *shape))
    finally:
        keras.config.set_dtype_policy("float32")
    assert y.shape == (2, 3) and y.dtype == np.float32 and np.isfinite(y).all()
    assert {v.dtype for v in model.trainable_variables} == {"float32"}


@pytest.mark.parametrize("name", MODELS)
def test_illegal_arguments_are_told_in_one_sentence(name):
    illegal = [
        ({"num_classes": -1}, "num_classes must be 0 or a positive integer, found -1"),
        ({"num_classes": 2.5}, "num_classes must be 0 or a positive integer, found 2.5"),
        ({"input_shape": (96, 96)}, r"input_shape must be \(height, width, channels\), found \(96, 96\)"),
        ({"input_shape": (96, 96, 0)}, "input_shape must be"),
        ({"input_shape": (8, 96, 3)}, "height and width must be"),
        ({"input_shape": (96.5, 96, 3)}, "height and width must be"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), found 1.0"),
        ({"dropout": -0.1}, "dropout must be a number in"),
        ({"l2": -1e-4}, "l2 must be a number, 0 or positive, found -0.0001"),
        ({"l2": float("nan")}, "l2 must be a number, 0 or positive, found nan"),
        ({"variant": "caffe"}, "has the variants .*, found 'caffe'"),
        ({"weights": "no_such_tag"}, "has no weights 'no_such_tag': it is no existing file and none of the tags"),
    ]
    if name in ("mobilenet", "mobilenet_v2"):
        illegal += [({"alpha": 0}, "alpha, the width multiplier, must be positive, found 0")]
        illegal += [({"alpha": 0.3, "weights": "imagenet"}, "with alpha=0.3 has no weights 'imagenet'")]
    for options, message in illegal:
        with pytest.raises(ValueError, match=message) as caught:
            MODELS[name](**options)
        assert "\n" not in str(caught.value)
    with pytest.raises(TypeError, match=f'{name} has no option pretrained: weights="default" loads'):
        MODELS[name](pretrained=True)


def test_every_option_is_an_argument_of_build():
    arguments = set(inspect.signature(builder.build).parameters)
    assert arguments - set(builder.Options.__annotations__) == {"name", "body", "family", "torch_names", "arguments"}


@slow
def test_alpha_scales_the_filters():
    narrow, wide = (zoo.mobilenet(alpha=alpha, num_classes=0, input_shape=(32, 32, 3)) for alpha in (0.25, 0.5))
    assert [m.get_layer("conv1").filters for m in (narrow, wide)] == [8, 16]
    assert [m.get_layer("conv_pw_13").filters for m in (narrow, wide)] == [256, 512]


# ---------------------------------------------------------------------------------------------- the package
ARXIV = {  # of the paper that a builder's docstring must name, and its first author; LeNet-5 and AlexNet are on no arXiv
    "lenet5": (None, "LeCun"),
    "alexnet": (None, "Krizhevsky"),
    "vgg*": ("1409.1556", "Simonyan"),
    "inception_v1": ("1409.4842", "Szegedy"),
    "googlenet": ("1409.4842", "Szegedy"),
    "inception_v3": ("1512.00567", "Szegedy"),
    "resnet*v2": ("1603.05027", "He"),
    "resnet*": ("1512.03385", "He"),
    "squeezenet*": ("1602.07360", "Iandola"),
    "densenet*": ("1608.06993", "Huang"),
    "xception": ("1610.02357", "Chollet"),
    "mobilenet": ("1704.04861", "Howard"),
    "mobilenet_v2": ("1801.04381", "Sandler"),
    "mobilenet_v3*": ("1905.02244", "Howard"),
    "efficientnet_b*": ("1905.11946", "Tan"),
    "efficientnet_v2*": ("2104.00298", "Tan"),
    "efficientnet_lite*": ("1905.11946", "Tan"),
    "regnet*": ("2003.13678", "Radosavovic"),
    "mobilenet_v4*": ("2404.10518", "Qin"),
    "convnext_v2*": ("2301.00808", "Woo"),
    "convnext*": ("2201.03545", "Liu"),
    "vit*": ("2010.11929", "Dosovitskiy"),
    "swin*": ("2103.14030", "Liu"),
    "hgnetv2*": (None, "PaddleClas"),
    "tiny_vit*": ("2207.10666", "Wu"),
    "deit3*": ("2204.07118", "Touvron"),
    "dinov2*_reg": ("2309.16588", "Darcet"),
    "dinov2*": ("2304.07193", "Oquab"),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_docstring_names_the_paper(name):
    number, author = next(value for pattern, value in ARXIV.items() if fnmatch.fnmatch(name, pattern))
    text = inspect.getdoc(MODELS[name])
    citation = citations.of_model(name)
    assert citation.startswith(author) and (f"arXiv:{number}" in citation if number else "arXiv:" not in citation)
    assert author in text and (f"arXiv:{number}" in text if number else "arXiv:" not in text)
    assert re.search(r"[Ii]nput `\(batch, ", text) and "0..255" in text


def test_models_by_name():
    assert list_models() == list(MODELS) and len(MODELS) == 116
    fourth = [f"mobilenet_v4_conv_{size}" for size in ("small", "medium", "large")]
    assert list_models("mobile*") == ["mobilenet", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", *fourth]
    assert list_models("nasnet") == []
    assert get_model("lenet5", num_classes=3).output_shape == (None, 3)
    with pytest.raises(ValueError, match="no model 'resnet': choose one of resnet18, resnet34"):
        get_model("resnet")


def test_all_is_pinned():
    functions = {
        "MODELS",
        "WeightsError",
        "decode",
        "features",
        "freeze",
        "get_model",
        "list_models",
        "load_weights",
        "new_head",
        "regularize",
        "split",
        "stages",
    }
    assert set(zoo.__all__) == functions | set(MODELS) and len(zoo.__all__) == len(set(zoo.__all__))
    assert all(hasattr(zoo, name) for name in zoo.__all__)


@slow
def test_one_import_gives_the_function(tmp_path):
    code = "from zoo import vgg16; print(vgg16.__name__, callable(vgg16))"
    assert python(code, cwd=tmp_path, PYTHONPATH=str(ROOT)).split() == ["vgg16", "True"]


@slow
def test_a_model_knows_where_it_comes_from():
    origin = zoo.resnet50(num_classes=2, variant="torch", input_shape=(64, 64, 3)).origin
    assert origin == builder.Origin("resnet50", "torch", weights=None, size=224, resize=256)


def test_every_model_of_the_catalog_is_there():
    assert {entry.model for entry in catalog.ENTRIES} <= set(MODELS)
