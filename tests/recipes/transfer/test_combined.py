"""Several backbones at once: how they are written, what their features are, what is refused, and a run from end to end."""

import csv
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import commands
import keras
import numpy as np
import pytest
from helpers import array, few_digits, pixels, randomize
from PIL import Image

import zoo
from recipes import cli, rank
from recipes.errors import UserError
from recipes.settings.backbones import Written, each, read
from recipes.settings.finetune import Recipe
from recipes.settings.rank import Ranking
from recipes.transfer import contenders
from recipes.transfer.backbone import backbone
from recipes.transfer.combined import combine, join, members, parts_of, widths
from recipes.transfer.view_features import standardization
from zoo.heads import new_head

FOLDER = Path("photos")


def network(builder=zoo.mobilenet, size=32, **options):
    options = {"alpha": 0.25} | options
    return randomize(builder(num_classes=0, input_shape=(size, size, 3), **options))


def test_backbones_are_written_with_width_and_size_and_read_again():
    for text, expected in {
        "resnet50": Written("resnet50"),
        "mobilenet:0.25": Written("mobilenet", 0.25),
        "mobilenet:0.25:128": Written("mobilenet", 0.25, 128),
        "resnet50::64": Written("resnet50", None, 64),
    }.items():
        assert read(text) == expected and str(expected) == text
    for text in ("", ":0.25", "mobilenet:wide", "a:1:2:3"):
        with pytest.raises(ValueError):
            read(text)
    assert each(None, 2) == [None, None] and each("x", 2) == ["x", "x"] and each("x+", 2) == ["x", None]
    assert each("a+b", 1) == ["a+b"]  # a file may be called so


def test_members_and_join_are_each_others_inverse():
    recipe = Recipe(FOLDER, model="mobilenet:0.25:128+efficientnet_lite0", weights="a.h5+")
    found = members(recipe)
    assert [(one.model, one.alpha, one.image_size, one.weights) for one in found] == [
        ("mobilenet", 0.25, 128, "a.h5"),
        ("efficientnet_lite0", None, None, None),
    ]
    assert replace(recipe, **join(found)) == recipe


@pytest.mark.slow
def test_the_features_of_all_lie_side_by_side_each_at_its_own_size():
    """Each one's own network, given the picture as Keras resizes it, is the truth."""
    first, second = network(size=32), network(zoo.mobilenet_v2, 48, alpha=0.35)
    x = pixels(3, 48, 48, 3).astype("float32")
    small = keras.ops.image.resize(x, (32, 32), antialias=True)
    expected = np.concatenate([array(first(small)), array(second(x))], axis=1)
    both = combine([first, second], ["one", "two"])
    assert both.input_shape == (None, 48, 48, 3) and zoo.stages(both) == ["pre_logits"]
    assert widths(both) == (256, 1280) and not widths(first)
    assert np.allclose(array(both(x)), expected, atol=1e-4 * np.abs(expected).max())
    separately = np.concatenate([array(part(x)) for part in parts_of(new_head(both, 2))], axis=1)
    assert np.allclose(separately, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_terms_and_names_of_a_combination_are_those_of_all():
    both = combine([network(), network(zoo.mobilenet_v2, 32, alpha=0.35)], ["one", "two"])
    assert both.origin.name == "mobilenet+mobilenet_v2" and both.origin.weights is None
    assert [text.split(",")[0] for text in both.origin.citations] == ["Howard et al. 2017", "Sandler et al. 2018"]


@pytest.mark.slow
def test_networks_that_see_other_channels_cannot_be_combined():
    with pytest.raises(UserError, match="found lenet 1, mobilenet 3: leave one out"):
        combine([zoo.lenet5(num_classes=0), network()], ["lenet", "mobilenet"])


def test_each_backbone_is_divided_by_its_own_deviation():
    rows = np.array([[0.0, 2.0, 10.0], [2.0, 0.0, 30.0]], "float32")
    center, scale = standardization(rows, (2, 1))
    assert center.tolist() == [1, 1, 20] and scale.tolist() == [1, 1, 10]  # 0, 2, 2, 0 about 1; 10, 30 about 20
    center, scale = standardization(rows)
    assert scale == pytest.approx(rows.std())


def test_to_the_best_comes_what_knows_what_it_does_not():
    """Four classes by two bits: the first and second know one and a little of the other, the third the other."""
    rng, labels = np.random.default_rng(0), np.repeat(np.arange(4), 20)
    high, low = labels // 2 * 2.0 - 1, labels % 2 * 2.0 - 1
    known = (high, 0.3 * low), (high, 0.2 * low), (low, low)
    vectors = [np.stack(columns, axis=1) + 0.3 * rng.standard_normal((80, 2)) for columns in known]
    pair, triple = contenders.grown(vectors, labels)
    assert (pair.members, triple.members) == ((0, 2), (0, 2, 1)) and pair.probe.accuracy > 0.9


def test_those_can_be_combined_that_are_another_and_see_the_same_channels():
    names = ("mobilenet", "mobilenet_v2", "lenet5", "mobilenet")
    found = contenders.combinable([Recipe(FOLDER, model=name) for name in names])
    assert [recipe.model for recipe in found] == ["mobilenet", "mobilenet_v2"]


PAIR = ("--model", "mobilenet:0.25:32+squeezenet1_1::48")


@pytest.mark.parametrize(
    "flags, sentence",
    [
        ((*PAIR, "--strategy", "medium"), "--strategy medium is for a network that is trained, and takes one backbone"),
        ((*PAIR, "--batch-norm", "adapt"), "--batch-norm adapt is for a network that is trained, and takes one backbone"),
        ((*PAIR, "--augment", "modern"), "--augment modern is for a network that is trained, and takes one backbone"),
        ((*PAIR, "--weights", "none"), "--weights none is for a network that is trained, and takes one backbone"),
        ((*PAIR, "--pooling", "max"), "--pooling max reads the last feature map of one network"),
        ((*PAIR, "--weights", "a+b+c"), "--weights has 3 values for 2 backbones"),
        (("--model", "mobilenet+mobilenet"), "--model names mobilenet 2 times: give each backbone once"),
        (("--model", "mobilenet+"), "--model takes NAME, NAME:ALPHA or NAME:ALPHA:PIXELS"),
        (("--model", "auto", "--weights", "a.h5"), "--weights belongs to a network that is named, found --model auto"),
        (("--model", "auto", "--strategy", "scratch"), "--strategy scratch starts at random"),
    ],
)
def test_what_several_or_auto_cannot_have_is_one_sentence(flags, sentence, tmp_path, capsys):
    assert cli.main(["finetune", str(tmp_path / "photos"), "--output", str(tmp_path / "run"), *flags]) == 2
    assert sentence in capsys.readouterr().err


def test_what_takes_one_backbone_says_so(tmp_path, capsys):
    for command in (["describe", "a+b"], ["tune", str(tmp_path), "--scope", "finetune", "--model", "a+b"]):
        assert cli.main(command) == 2
        assert "takes one backbone, found a+b: name one of them." in capsys.readouterr().err


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Two classes of eight pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    for label in ("dark", "light"):
        (folder / label).mkdir()
        for i in range(8):
            noise = pixels(60, 60, 3, seed=i) // 2 + (100 if label == "light" else 0)
            Image.fromarray(noise.astype("uint8")).save(folder / label / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> tuple[Path, Path]:
    """Files of random weights of the two networks of PAIR."""
    folder = tmp_path_factory.mktemp("weights")
    files = folder / "one.weights.h5", folder / "two.weights.h5"
    second = randomize(zoo.squeezenet1_1(num_classes=0, input_shape=(48, 48, 3)))
    for file, model in zip(files, (network(), second), strict=True):
        model.save_weights(file)
    return files


@pytest.mark.slow
def test_a_run_with_two_from_end_to_end(pictures, weights, tmp_path, monkeypatch):
    """The one file that is saved answers in plain Keras as was reported, and recipe.json has the same network from anywhere."""
    flags = ("--weights", "+".join(file.name for file in weights), "--output", tmp_path / "run")
    assert commands.zoo("finetune", pictures, *PAIR, *flags, cwd=weights[0].parent).poll() == 0
    run = tmp_path / "run"
    model = json.loads((run / "result.json").read_text())["model"]
    assert model["name"] == "mobilenet+squeezenet1_1" and model["weights"].endswith("two.weights.h5")
    assert [(one["name"], one["pixels"]) for one in model["backbones"]] == [("mobilenet", 32), ("squeezenet1_1", 48)]
    assert model["trainable"] == 2 * (256 + 512 + 1)
    with zipfile.ZipFile(run / "model.keras") as archive:
        assert json.loads(archive.read("origin.json"))["model"] == "mobilenet+squeezenet1_1"
    with open(run / "files.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    plain = keras.models.load_model(run / "model.keras")
    assert plain.input_shape == (None, 48, 48, 3)
    x = np.stack([np.asarray(Image.open(pictures / row["path"]).resize((48, 48), Image.Resampling.BILINEAR)) for row in rows])
    assert np.array_equal(array(plain(x)), array(plain(x, training=False)))  # nothing behind the resizing takes it for training
    said = commands.zoo("predict", run, *(pictures / row["path"] for row in rows), "--top", "1").stdout
    for row, line in zip(rows, said.splitlines(), strict=True):
        assert float(line.split()[-1]) == pytest.approx(float(row["probability"]), abs=2e-3)
    monkeypatch.chdir(tmp_path)
    again = backbone(Recipe.load(run / "recipe.json"))
    assert np.array_equal(array(again(x)), array(zoo.split(plain, "pre_logits")[0](x)))


@pytest.mark.slow
def test_heads_are_searched_on_the_features_of_two(pictures, weights, tmp_path):
    flags = ("--weights", "+".join(map(str, weights)), "--trials", "2", "--epochs", "2", "--output", tmp_path / "tune")
    assert commands.zoo("tune", pictures, *PAIR, *flags).poll() == 0
    result = json.loads((tmp_path / "tune" / "best" / "result.json").read_text())
    assert len(result["model"]["backbones"]) == 2


@pytest.mark.slow
def test_rank_names_the_pair_its_cost_and_how_to_have_it(pictures, weights, tmp_path):
    given = tuple(f"{name}={file}" for name, file in zip(("mobilenet:0.25:32", "squeezenet1_1"), weights, strict=True))
    rank.run(Ranking(pictures, tmp_path, weights=given, models="lenet5", batch_size=8))  # which sees one channel
    result = json.loads((tmp_path / "result.json").read_text())
    rows = {row["candidate"]: row for row in result["table"]}
    (pair, flags), (sentence,) = *result["flags"].items(), result["together"]
    alone = [rows[name] for name in pair.split(" + ")]
    assert {"mobilenet 0.25 32", "squeezenet1_1"} == set(pair.split(" + "))
    assert rows[pair]["MB"] == pytest.approx(sum(row["MB"] for row in alone))
    assert 1 / rows[pair]["images/s"] == pytest.approx(sum(1 / row["images/s"] for row in alone))
    assert sentence.startswith(f"The best pair is {pair}: ") and "times the time of" in sentence
    assert sentence.endswith(f"`zoo finetune` takes it as --model {flags['model']} --weights {flags['weights']}.")
    found = members(replace(Recipe(pictures), **flags))
    assert {(one.model, one.weights) for one in found} == {
        ("mobilenet", str(weights[0])),
        ("squeezenet1_1", str(weights[1])),
    }


@pytest.mark.slow
def test_auto_takes_what_knows_the_pictures_and_writes_it_down(tmp_path):
    """Of the two on a machine: LeNet-5, which was trained on such digits, and the one that is installed with the project."""
    two = """
from recipes.transfer import candidates
here = candidates.is_local
candidates.is_local = lambda entry: here(entry) and entry.model in ("efficientnet_lite0", "lenet5")
"""
    digits = few_digits(tmp_path / "digits")
    command = commands.zoo("finetune", digits, "--model", "auto", "--output", tmp_path / "run", setup=two)
    assert command.poll() == 0
    assert "efficientnet_lite0" in command.stdout and "--model auto takes lenet5: " in command.stdout
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["model"] == "lenet5"
    assert json.loads((tmp_path / "run" / "result.json").read_text())["model"]["name"] == "lenet5"


@pytest.mark.slow
@pytest.mark.deep
def test_auto_takes_what_is_on_this_machine_and_writes_it_down(pictures, tmp_path):
    """Of photographs, where several may be taken together."""
    command = commands.zoo("finetune", pictures, "--model", "auto", "--output", tmp_path / "run")
    assert command.poll() == 0
    model = json.loads((tmp_path / "run" / "recipe.json").read_text())["model"]
    assert "efficientnet_lite" in model and f"--model auto takes {model}: " in command.stdout
    assert json.loads((tmp_path / "run" / "result.json").read_text())["model"]["name"] == model
