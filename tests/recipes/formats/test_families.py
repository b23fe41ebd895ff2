"""Networks of every family as ONNX, LiteRT and OpenVINO, by those runtimes in this process, against Keras."""

import importlib.util
import inspect
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from families import CASES, MEMBERS
from helpers import ROOT, array, pixels, randomize
from keras import layers
from scipy.spatial.distance import cdist
from varied import photographed, varied

import zoo
from recipes.compute.runtime import silenced
from recipes.data.images import Framing
from recipes.evaluation.tasks import MULTI_CLASS
from recipes.formats import answering, onnx_form
from recipes.formats.agreement import LIMITS, compare
from recipes.formats.form import Job
from recipes.formats.network import Network
from recipes.formats.table import FORMS
from recipes.formats.unknown import Known

NOTHING = np.empty((0, 1, 1, 3), "float32")
FAULTS = {
    "channels swapped": lambda x: x[..., ::-1],
    "other preprocessing": lambda x: x / 2 + 32,
    "upside down": lambda x: x[:, ::-1],
    "the next picture": lambda x: np.roll(x, 1, axis=0),
}
DEEP_OPENVINO = pytest.param("openvino", marks=pytest.mark.deep)


def exported(form, network, folder, precision="float32", calibration=NOTHING, place=0):
    """An output of an exported network, as a function of pictures; skipped where its packages are not installed."""
    if missing := [
        name for name in (*FORMS[form].modules, *(["onnxruntime"] * (form == "onnx"))) if not importlib.util.find_spec(name)
    ]:
        pytest.skip(f"{missing[0]} is not installed")
    with silenced():
        FORMS[form].write(network, folder, Job(precision, {"classes": ["a", "b"]}, calibration))
        answer = answering.RUNTIMES[form](str(folder / FORMS[form].file))
    return lambda x: answer(x)[place]


def all_answers(answer, x):
    """Answers to some pictures, one by one."""
    return np.concatenate([answer(one[None]) for one in x])


@pytest.fixture(scope="module", params=[pytest.param(each.values, marks=each.marks, id=each.values[0]) for each in CASES])
def case(request):
    """A network of a family, a hundred pictures, and what Keras answers to them."""
    name, size = request.param
    model = zoo.get_model(name, num_classes=5, weights=None, input_shape=(size, size, 3))
    x = photographed(size)
    return Network(model, Framing(size, size, 3)), x, varied(model, x)


@pytest.mark.parametrize("form", ["onnx", "litert", "openvino"])
def test_every_family_answers_as_keras_does(case, form, tmp_path):
    network, x, expected = case
    found = compare(MULTI_CLASS, expected, all_answers(exported(form, network, tmp_path), x), LIMITS["float32"])
    assert found.holds, found
    assert found.clear > 80 and len(set(expected.argmax(axis=1))) > 2  # the answers differ from picture to picture


@pytest.mark.fault(
    "Export",
    "channels swapped, other preprocessing, a picture upside down or another one",
    "told from what Keras answers, for a network of every family",
    "random networks answer nearly the same to all pictures: a comparison on them sees nothing",
)
@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_broken_export_would_answer_is_told_from_what_keras_does(case, fault):
    network, x, expected = case
    found = network.model.predict(FAULTS[fault](x.astype("float32")), batch_size=16, verbose=0)
    assert not compare(MULTI_CLASS, expected, found, LIMITS["float32"]).holds


def test_every_file_of_architectures_has_a_network_here():
    files = {path.stem for path in Path(zoo.__file__).with_name("architectures").glob("[a-z]*.py")}
    assert {inspect.unwrap(getattr(zoo, name)).__module__.rpartition(".")[2] for name in MEMBERS} == files


def test_the_table_of_differences_has_close_rows_and_says_which_networks_have_none():
    text = (ROOT / "docs" / "export.md").read_text("utf-8").partition("## How far from Keras")[2]
    found = {}
    for name, form, difference, same, clear in re.findall(r"\| `(\w+)` \| (\w+) \| ([\d.e-]+) \| (\d+) of (\d+) \|", text):
        found[name, form] = float(difference) <= LIMITS["float32"] and same == clear
    assert found and all(found.values())
    lacking = {name for name in MEMBERS if not {(name, "ONNX"), (name, "LiteRT")} <= set(found)}
    assert lacking == set(re.findall(r"`(\w+)`", text.partition("Not measured so yet: ")[2].partition(";")[0]))


@pytest.fixture(scope="module")
def awkward():
    """What converters stumble over: grouped convolutions, GELU, antialiased resizing, a scaling `Einsum`; never called."""
    image = layers.Input((12, 12, 3))
    return behind(image, layers.Resizing(9, 9, antialias=True)(image))  # a combined network's, for a part that sees fewer


def behind(image, x):
    """The network behind what its input has become."""
    x = keras.ops.flip(layers.Rescaling(1 / 127.5, offset=-1)(x), axis=-1)
    x = layers.Conv2D(8, 3, name="first")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(16, 3, groups=4, strides=2, padding="same")(x)
    x = layers.Activation("gelu")(layers.LayerNormalization(epsilon=1e-6)(x))
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = keras.ops.expand_dims(layers.GlobalAveragePooling2D()(x), -1)
    x = keras.ops.squeeze(layers.EinsumDense("bce,e->bce", (16, 1), bias_axes="e")(x), -1)  # one number times all features
    x = layers.Dense(4, activation="softmax")(x)
    return randomize(keras.Model(image, x))


@pytest.mark.slow
@pytest.mark.fault(
    "Export",
    "grouped convolutions, GELU, antialiased resizing, a model never called",
    "exported, and answers as Keras does",
    "tf2onnx ends normally with files that ONNX Runtime refuses",
)
@pytest.mark.parametrize("form", ["onnx", "litert", "openvino", "saved_model"])
def test_what_tf2onnx_breaks_is_mended(awkward, form, tmp_path):
    x = pixels(3, 12, 12, 3).astype("float32")
    found = all_answers(exported(form, Network(awkward, Framing(12, 12, 3)), tmp_path), x)
    np.testing.assert_allclose(found, array(awkward(x, training=False)), atol=1e-5)


def test_litert_gets_weights_as_variables_of_which_it_makes_no_copies(awkward):
    """Constants took 32 times their size: VGG-11's 0.5 GB ended on a machine of 24 GB."""
    network = Network(awkward, Framing(12, 12, 3))
    constants = [node for node in network.single().graph.as_graph_def().node if node.op == "Const"]
    assert max(node.attr["value"].tensor.ByteSize() for node in constants) < 500  # those of resizing
    held = {id(variable) for variable in network.weights().variables_read}
    assert held >= {id(variable.value) for variable in awkward.variables}


@pytest.mark.slow
def test_the_onnx_file_is_of_the_standard_and_batch_norm_is_folded(awkward, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_form, "LARGE_KERNEL", 200)  # as if its kernels were megabytes, which go round tf2onnx
    graph = Network(awkward, Framing(12, 12, 3)).only_model().graph.as_graph_def()
    assert {kernel.ndim for kernel in onnx_form.taken_out(graph).values()} == {2, 4}
    answer = exported("onnx", Network(awkward, Framing(12, 12, 3)), tmp_path)
    import onnx

    model = onnx.load(tmp_path / "model.onnx")
    assert {node.domain for node in model.graph.node} == {""}
    operations = [node.op_type for node in model.graph.node]
    assert not {"StatefulPartitionedCall", "Erfc", "BatchNormalization"} & set(operations)
    constants = {each.name for each in model.graph.initializer}
    assert not [node for node in model.graph.node if node.op_type == "Transpose" and node.input[0] in constants]
    first = operations.index("Conv")
    assert operations[first + 1] in ("Conv", "Pad"), "what follows the first convolution is the next: batch norm is in it"
    assert [size.dim_param for size in model.graph.input[0].type.tensor_type.shape.dim] == ["batch", "", "", ""]
    assert {each.key: each.value for each in model.metadata_props}["classes"] == '["a", "b"]'
    x = pixels(5, 12, 12, 3).astype("float32")
    np.testing.assert_allclose(answer(x), all_answers(answer, x), atol=1e-6)
    np.testing.assert_allclose(answer(x), array(awkward(x, training=False)), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "litert", "saved_model", DEEP_OPENVINO])
def test_pictures_of_any_size_go_in(awkward, form, tmp_path):
    framing = Framing(12, 14, 3, "bicubic")
    answer = exported(form, Network(awkward, framing, any_size=True), tmp_path)
    for height, width in ((12, 12), (45, 31), (9, 130), (200, 90)):
        from PIL import Image

        from recipes.data.images import center, framed

        picture = pixels(height, width, 3, seed=height)
        shown = center(framed(Image.fromarray(picture), framing)[0], framing)[None].astype("float32")
        np.testing.assert_allclose(answer(picture[None]), array(awkward(shown, training=False)), atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "form, precision", [("onnx", "float16"), ("litert", "float32"), ("saved_model", "float32"), ("openvino", "float32")]
)
def test_how_foreign_a_picture_is_lies_beside_its_probabilities(form, precision, tmp_path):
    model = randomize(zoo.get_model("lenet5", num_classes=3, weights=None, input_shape=(32, 32, 3)))
    features = keras.Model(model.input, model.get_layer("pre_logits").output)
    x = pixels(14, 32, 32, 3).astype("float32")
    rows = array(features(x[:9])).astype("float32")
    known = Known(rows / np.linalg.norm(rows, axis=1, keepdims=True), 0.1, "")
    network = Network(model, Framing(32, 32, 3), any_size=form == "onnx", known=known)
    found = all_answers(exported(form, network, tmp_path, precision, place=1), x[4:])
    distances = np.sort(cdist(array(features(x[4:])), rows, "cosine"), axis=1)[:, 2]
    np.testing.assert_allclose(found, distances, atol=2e-3 if precision == "float16" else 1e-5)
    assert np.ptp(distances) > 0.01
    if form == "onnx":  # the first output is what it was, and the second is exact whatever the first is
        import onnx

        model = onnx.load(tmp_path / "model.onnx")
        assert [each.domain for each in model.opset_import] == [""], "once: onnxruntime.quantization refuses it twice"
        graph = model.graph
        assert [output.name for output in graph.output] == ["probabilities", "unknown_score"]
        (rows_inside,) = [each for each in graph.initializer if 9 in each.dims]
        assert rows_inside.data_type == onnx.TensorProto.FLOAT


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "litert", DEEP_OPENVINO])
def test_half_precision_is_half_the_size(awkward, form, tmp_path):
    (tmp_path / "half").mkdir()
    x, expected = pixels(3, 12, 12, 3).astype("float32"), None
    expected = array(awkward(x, training=False))
    found = all_answers(exported(form, Network(awkward, Framing(12, 12, 3)), tmp_path / "half", "float16"), x)
    np.testing.assert_allclose(found, expected, atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "form, precision, any_size", [("onnx", "int8", True), ("litert", "int8", False), ("litert", "dynamic", False)]
)
def test_eight_bits_are_near_and_resizing_keeps_its_precision(awkward, form, precision, any_size, tmp_path):
    if form == "litert":  # whose eight bits are those of resizing, too: what that loses, the accuracy of a run tells
        image = layers.Input((12, 12, 3))
        awkward = behind(image, image)
    x = pixels(40, 12, 12, 3)
    network = Network(awkward, Framing(12, 12, 3), any_size)
    answer = exported(form, network, tmp_path, precision, x[:30].astype("float32"))
    found = all_answers(answer, x[30:] if any_size else x[30:].astype("float32"))
    difference = np.abs(found - array(awkward(x[30:].astype("float32"), training=False)))
    assert difference.max() < 0.05
    assert form == "litert" or np.abs(found.sum(axis=1) - 1).max() < 1e-5  # softmax itself is not in 256 steps
    assert difference.max() > 1e-6 or precision == "dynamic"  # which rounds large matrices alone
    if any_size:
        import onnx

        graph = onnx.load(tmp_path / "model.onnx").graph
        kinds = {node.op_type for node in graph.node if node.name.startswith("framing/")}
        assert "MatMul" in kinds and "DequantizeLinear" not in kinds
        assert "DequantizeLinear" in {node.op_type for node in graph.node}
