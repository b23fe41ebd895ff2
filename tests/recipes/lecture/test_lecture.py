"""docs/lecture.md: every file that it names exists and every command runs; and the lecture's numbers, against what is built."""

import ast
import dataclasses
import os
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, array, python
from house import SOURCES
from PIL import Image

import zoo
from recipes import cli
from recipes.data.digits import write_digits
from recipes.lecture import convolution, fields, inspect_kernels
from recipes.lecture.pictures import picture
from zoo import analysis

MAP = ROOT / "docs" / "lecture.md"
ROWS = re.findall(r"^\| \*\*(.+?)\.\*\* .+? \| (.+?) \| `([^`|]+)` \|$", MAP.read_text(encoding="utf-8"), re.M)

# What makes a command short, as one without a network or much time would run it.
LENET = "--model lenet5 --epochs 1 --mirror no"
FAST = {
    "zoo finetune DATA": LENET,
    "zoo finetune DATA --strategy medium": LENET,
    "zoo finetune DATA --strategy small": LENET,
    "zoo finetune DATA --strategy scratch": LENET,
    "zoo finetune DATA --strategy large --augment alexnet": LENET,
    "zoo receptive_fields vgg16": "--image-size 32",
}
SLOW = ("vgg16", "finetune", "inspect_kernels")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two digits, 12 pictures of each."""
    folder = tmp_path_factory.mktemp("lecture")
    every = write_digits(folder / "every", images=12, seed=0)
    for label in "38":
        shutil.copytree(every / "train" / label, folder / "digits" / label)
    return {"DATA": str(folder / "digits")}


# ---------------------------------------------------------------------------------------------- the map
def test_every_idea_has_its_files_and_its_command():
    ideas = [
        "Ways to regularise",
        "Penalised cost",
        "Dropout",
        "Early stopping",
        "Optimisers",
        "Why convolutions",
        "Kernel, padding, stride, depth",
        "Pooling",
        "LeNet-5",
        "Transfer learning",
        "Freeze or fine-tune",
        "By the amount of data",
        "Guiding principles",
        "AlexNet",
        "VGG-16",
        "Inception",
        "ResNet",
    ]
    assert [idea for idea, _, _ in ROWS] == ideas
    lines = [line for line in MAP.read_text(encoding="utf-8").splitlines() if line.startswith("| **")]
    assert len(lines) == len(ROWS)  # no row that the pattern does not read
    for idea, files, _ in ROWS:
        links = re.findall(r"\]\(([^)]+)\)", files)
        assert links, idea
        for link in links:
            places = [Path(os.path.normpath(root / "docs" / link)) for root in (ROOT, SOURCES)]
            assert any(place.exists() for place in places), (idea, link)


ELSEWHERE = ("compare_optimizers", "compare_regularizers", "lenet_mnist")  # what these do, tests of their own run
COMMANDS = sorted({c for _, _, c in ROWS if c.startswith("zoo ") and c.split()[1] not in ELSEWHERE} - {"zoo receptive_fields"})


@pytest.mark.parametrize("name", ELSEWHERE)
def test_commands_that_other_tests_run(name):
    assert name in [command.split()[1] for _, _, command in ROWS]
    text = (ROOT / "tests" / "recipes" / "lecture" / f"test_{name}.py").read_text(encoding="utf-8")
    assert f'cli.main(["{name}"' in text or f'["{name}", str(digits)' in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [pytest.param(c, marks=pytest.mark.slow if any(word in c for word in SLOW) else ()) for c in COMMANDS],
)
def test_commands(command, data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, *arguments = shlex.split(f"{command} {FAST.get(command, '')}")
    assert cli.main([data.get(argument, argument) for argument in arguments]) == 0, capsys.readouterr().err


# As `python -m recipes receptive_fields`, which says at its end what it has loaded.
FIELDS = """
import atexit, runpy, sys
import recipes.lecture.inspect_kernels
atexit.register(lambda: print("loaded", *sys.modules))
sys.argv[1:] = ["receptive_fields"]
runpy.run_module("recipes", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
def test_a_look_at_an_architecture_is_a_process_of_its_own_and_loads_neither_training_nor_search(tmp_path):
    assert "zoo receptive_fields" in [command for _, _, command in ROWS]
    said = python(FIELDS, cwd=tmp_path, PYTHONPATH=str(ROOT))
    names = {path.name for path in (tmp_path / "runs" / "receptive_fields" / "lenet5").iterdir()}
    assert {"worked_example.png", "stacks.png", "fields.png", "table.csv", "result.json"} <= names
    assert "padding 0, stride 2: 2 × 2\n -2   3\n -2  -1\n" in said
    loaded = set(said.splitlines()[-1].split())
    assert {"recipes.lecture.fields", "recipes.lecture.receptive_fields", "recipes.lecture.inspect_kernels"} <= loaded
    above = ("recipes.transfer.training", "recipes.search", "recipes.finetune", "recipes.tune", "optuna", "keras_tuner")
    assert {name for name in loaded if name.startswith(above)} == set()


def test_commands_that_are_tests():
    """Each stands where the map says, and passes there with the others of its file: none is left to `make deep`."""
    commands = [shlex.split(command) for _, _, command in ROWS if not command.startswith("zoo ")]
    assert {program for program, *_ in commands} == {"pytest"}
    for _, test in commands:
        file, name = test.split("::")
        functions = [node for node in ast.parse((ROOT / file).read_text("utf-8")).body if isinstance(node, ast.FunctionDef)]
        (found,) = [function for function in functions if function.name == name]
        assert not any("deep" in ast.unparse(mark) for mark in found.decorator_list), test


# ---------------------------------------------------------------------------------------------- the lecture's numbers
@pytest.mark.parametrize(
    "padding, stride, output",
    [
        (0, 1, "-2 -1 3; 2 5 8; -2 0 -1"),
        (0, 2, "-2 3; -2 -1"),
        (1, 1, "-1 2 2 -1 -2; 2 -2 -1 3 -1; 3 2 5 8 2; 2 -2 0 -1 -3; 1 5 4 1 2"),
        (1, 2, "-1 2 -2; 3 5 2; 1 4 2"),
    ],
)
def test_the_worked_example(padding, stride, output):
    expected = [[int(number) for number in row.split()] for row in output.split(";")]
    measured = convolution.convolve(convolution.INPUT, convolution.KERNEL, padding, stride)
    assert measured.tolist() == expected


def test_sizes_are_those_of_the_formula():
    """⌊(n + 2p − k) / s⌋ + 1 along each axis."""
    rows = convolution.sizes()
    assert len(rows) == 10
    for row in rows:
        kernel, zeros = ([int(n) for n in row[name].split(" × ")] for name in ("kernel", "zeros around"))
        for stride in (1, 2, 4):
            size = [(200 + 2 * p - k) // stride + 1 for k, p in zip(kernel, zeros, strict=True)]
            assert row[f"stride {stride}"] == " × ".join(map(str, size))


@pytest.mark.slow
def test_counts():
    rows = {row["layer"]: (row["output"], row["weights"]) for row in convolution.counts()}
    assert list(rows.values()) == [
        ("200 × 200 × 1", 75),
        ("200 × 200 × 10", 750),
        ("100 × 100 × 3", 0),
        ("100 × 100 × 3", 0),
        ("120000", 14_400_000_000),
    ]
    assert (200 * 200 * 3) ** 2 == 14_400_000_000


def test_stacks_of_small_kernels_cost_less():
    rows = [(row["sees"], row["weights / C²"], row["fewer than one kernel"]) for row in convolution.stacks()]
    assert rows == [("5 × 5", 25, "0 %"), ("5 × 5", 18, "28 %"), ("7 × 7", 49, "0 %"), ("7 × 7", 27, "45 %")]


def test_lenet_has_fewer_weights_than_one_dense_layer():
    facts = [fact.parameters for fact in analysis.analyze(zoo.lenet5()) if fact.parameters]
    assert facts == [156, 2_416, 48_120, 10_164, 850]
    assert sum(facts) == 61_706 < 1200 * 1200
    pooling = [fact for fact in analysis.analyze(zoo.lenet5(modern=True)) if "Pooling" in fact.kind]
    assert [(fact.kind, fact.parameters) for fact in pooling] == [("MaxPooling2D", 0)] * 2


# ---------------------------------------------------------------------------------------------- what a stage sees
def test_lenets_fields_are_measured():
    """By hand: 5, then a pool of 2: 6, stride 2; 5 more of stride 2: 14; a pool of 2: 16, stride 4."""
    measured = fields.measure(zoo.lenet5(num_classes=0))
    assert [(stage["stride"], stage["sees"], stage["measured"]) for stage in measured.values()] == [(2, 6, 6), (4, 16, 16)]


@pytest.mark.parametrize("name, options", [("mobilenet", {"alpha": 0.25}), ("resnet20", {}), ("squeezenet1_1", {})])
@pytest.mark.slow
def test_measured_fields_are_the_computed_ones(name, options):
    model = zoo.get_model(name, num_classes=0, input_shape=(64, 64, 3), **options)
    measured = fields.measure(model)
    assert len(measured) >= 3
    assert any(stage["measured"] < 64 for stage in measured.values())  # not only the picture's edge
    for stage in measured.values():
        assert stage["measured"] == stage["of it in the picture"] <= stage["sees"]
        assert stage["95 % of the influence"] <= stage["measured"]


def test_a_field_that_is_not_what_it_is_said_to_be_would_show():
    """The same network, said to see 4 pixels less: what moves lies outside."""
    model = zoo.lenet5(num_classes=0)
    fact = fields.limited(model)[1]
    places = np.arange(14, 18)
    moved = np.zeros((4, 5, 5))
    for i, place in enumerate(places):
        units = [u for u in range(5) if 4 * u <= place <= 4 * u + 15]
        moved[i][np.ix_(units, units)] = 1
    found = fields.measured_field(fact, places, moved)
    assert (found["of it in the picture"], found["measured"]) == (16, 16)
    smaller = tuple(dataclasses.replace(axis, first=axis.first + 2, last=axis.last - 2) for axis in fact.receptive_field)
    found = fields.measured_field(dataclasses.replace(fact, receptive_field=smaller), places, moved)
    assert (found["of it in the picture"], found["measured"]) == (12, 16)


@pytest.mark.slow
def test_positive_kernels_average():
    model = zoo.mobilenet(alpha=0.25, num_classes=0, input_shape=(32, 32, 3))
    fields.make_positive(model)
    for name, inputs in (("conv1", (0, 1, 2)), ("conv_dw_1", (0, 1)), ("conv_pw_1", (0, 1, 2))):
        kernel = array(model.get_layer(name).kernel)
        assert kernel.min() > 0
        np.testing.assert_allclose(kernel.sum(axis=inputs), 1, rtol=1e-5)


# ---------------------------------------------------------------------------------------------- kernels and feature maps
def test_kernels_of_each_stage_and_their_colours():
    found = [(stage, layer.name, kernel.shape) for stage, layer, kernel in inspect_kernels.widest(zoo.lenet5())]
    assert found == [("stage1", "c1", (5, 5, 1, 6)), ("stage2", "c3", (5, 5, 6, 16))]
    model = zoo.mobilenet(alpha=0.25, input_shape=(32, 32, 3), num_classes=0)
    names = [layer.name for _, layer, _ in inspect_kernels.widest(model)]
    assert names == ["conv1", "conv_dw_2", "conv_dw_4", "conv_dw_6", "conv_dw_12"]  # pointwise ones are passed over
    rgb = next(inspect_kernels.widest(model))[2]
    model.origin = dataclasses.replace(model.origin, bgr=True)
    np.testing.assert_array_equal(next(inspect_kernels.widest(model))[2], rgb[:, :, ::-1])


def test_feature_maps_are_the_stages_outputs():
    model, pixels = zoo.lenet5(weights="mnist"), np.random.default_rng(0).integers(0, 256, (32, 32, 1)).astype("uint8")
    maps = inspect_kernels.feature_maps(model, pixels)
    assert {name: values.shape for name, values in maps.items()} == {"stage1": (14, 14, 6), "stage2": (5, 5, 16)}
    np.testing.assert_allclose(maps["stage2"], array(zoo.split(model, "stage2")[0](pixels[None]))[0], atol=1e-6)


@pytest.mark.slow
def test_a_transformers_tokens_are_laid_out_as_its_patches():
    model = zoo.vit_ti_16(num_classes=0, input_shape=(48, 48, 3))
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3)).astype("uint8")
    maps = inspect_kernels.feature_maps(model, pixels)
    stage = zoo.stages(model)[0]
    tokens = array(zoo.features(model, [stage])(pixels[None]))[0]
    assert tokens.shape == (10, 192) and maps[stage].shape == (3, 3, 192)
    np.testing.assert_allclose(maps[stage][1, 2], tokens[1 + 3 + 2], atol=1e-5)


def test_the_most_active_channels_come_first():
    maps = np.zeros((2, 2, 10))
    maps[0, 0, 7], maps[..., 3], maps[..., 5] = 100, -9, 8
    assert inspect_kernels.most_active(maps).tolist()[:3] == [7, 3, 5] and len(inspect_kernels.most_active(maps)) == 8


@pytest.mark.parametrize("shape", [(3, 3, 3, 7), (5, 5, 6, 16), (3, 3, 50, 1), (3, 3, 16, 32), (7, 7, 1, 64)])
@pytest.mark.slow
def test_kernels_of_any_kind_are_drawn(shape):
    figure = inspect_kernels.draw_kernels("layer", np.random.default_rng(0).normal(size=shape))
    drawn = sum(bool(plot.images) for plot in figure.axes)
    assert drawn == {3: 7, 6: 96, 50: 50, 16: 48, 1: 64}[shape[2]]


def test_the_picture_goes_through_the_decoder(tmp_path):
    Image.new("RGB", (80, 40), (200, 30, 30)).save(tmp_path / "red.png")
    model = zoo.mobilenet(alpha=0.25, input_shape=(32, 32, 3), num_classes=0)
    pixels = picture(model, tmp_path / "red.png")
    assert pixels.shape == (32, 32, 3) and (pixels == (200, 30, 30)).all()
    assert picture(model).std() > 10  # scikit-learn's photograph
    assert picture(zoo.lenet5()).shape == (32, 32, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, says",
    [
        (["receptive_fields", "lenet6"], "There is no model 'lenet6': choose one of lenet5, "),
        (["receptive_fields", "lenet5", "--image-size", "8"], "lenet5: height and width must be 16 or more"),
        (
            ["receptive_fields", "vit_ti_16", "--image-size", "32"],
            "vit_ti_16: no stage sees the same part of the picture",
        ),
        (["inspect_kernels", "lenet6"], "There is no model 'lenet6'"),
        (["inspect_kernels", "lenet5", "nothing.png"], "nothing.png cannot be read"),
        (["inspect_kernels", "lenet5", "--weights", "imagenet"], "imagenet"),
        (["inspect_kernels", "inception_v1"], "inception_v1 has no published weights: give a file as --weights"),
    ],
)
def test_errors_are_a_sentence_and_leave_nothing(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("zoo: ") and says in said and said.count("\n") == 1
    assert os.listdir(tmp_path) == []
