"""What `--weights FILE` becomes in a run: the file's own form, preprocessing and framing, or a refusal that names the flag."""

import json
import zipfile
from pathlib import Path

import commands
import keras
import numpy as np
import pytest
from helpers import array, named, pixels, randomize
from PIL import Image

import zoo
from recipes.data.images import Framing
from recipes.data.look import FRAMING
from recipes.errors import UserError
from recipes.search.preparation import base_recipe
from recipes.settings.finetune import Recipe
from recipes.settings.rank import Ranking
from recipes.settings.tune import Tuning
from recipes.transfer import combined, features
from recipes.transfer.backbone import backbone, framing, other_sizes
from zoo.weights.catalog import ENTRIES

MODEL = ("--model", "mobilenet_v2", "--alpha", "0.35")
X = pixels(8, 32, 32, 3)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two classes of seven pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    for label in ("dark", "light"):
        (folder / label).mkdir()
        for i in range(7):
            noise = pixels(40, 40, 3, seed=i) // 2 + (100 if label == "light" else 0)
            Image.fromarray(noise.astype("uint8")).save(folder / label / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def torch_form():
    return randomize(zoo.mobilenet_v2(alpha=0.35, variant="torch", num_classes=4, input_shape=(32, 32, 3)))


def result(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def pre_logits(model: keras.Model) -> np.ndarray:
    return array(zoo.split(model, "pre_logits")[0](X))


@pytest.mark.slow
@pytest.mark.fault(
    "Weights",
    "--weights model.keras of a saved network, or of an earlier run",
    "The run has the file's form, preprocessing, input size, resizing and interpolation, and result.json says them",
    "The form and the framing were lost: 32 of 80 answers differed.",
)
def test_a_saved_model_and_a_run_are_backbones(pictures, torch_form, tmp_path):
    torch_form.save(tmp_path / "saved.keras")
    with zipfile.ZipFile(tmp_path / "saved.keras", "a") as archive:
        archive.writestr("framing.json", json.dumps({"size": 32, "resize": 35, "channels": 3, "interpolation": "bicubic"}))
    weights = tmp_path / "saved.keras"
    for run in (tmp_path / "first", tmp_path / "second"):
        command = commands.zoo("finetune", pictures, *MODEL, "--weights", weights, "--strategy", "small", "--output", run)
        assert command.poll() == 0, command.stderr
        assert "mobilenet_v2: variant torch, preprocessing torch." in command.stdout
        found = result(run)
        assert (found["model"]["variant"], found["model"]["preprocessing"]) == ("torch", "torch")
        frame = {name: found["input"][name] for name in ("size", "resize", "channels", "interpolation")}
        assert frame == {"size": 32, "resize": 35, "channels": 3, "interpolation": "bicubic"}
        weights = run / "model.keras"
        np.testing.assert_array_equal(pre_logits(keras.models.load_model(weights)), pre_logits(torch_form))


@pytest.mark.slow
@pytest.mark.fault(
    "Weights",
    "--weights of values alone that fit two forms of a network, in zoo finetune and zoo rank",
    "Refused with the flag --variant; with it, recipe.json keeps it and --recipe repeats it",
    "The first form was taken in silence.",
)
def test_the_form_is_asked_for_and_kept(pictures, torch_form, tmp_path):
    weights, run = tmp_path / "values.npz", tmp_path / "run"
    np.savez(weights, **named(torch_form))
    words = ("finetune", pictures, *MODEL, "--image-size", "32", "--weights", weights, "--strategy", "small", "--output", run)
    said = commands.refused(*words)
    assert "values.npz fits the variants keras and torch of mobilenet_v2" in said and "--variant" in said
    assert not run.exists()
    assert commands.zoo(*words, "--variant", "torch").poll() == 0
    assert json.loads((run / "recipe.json").read_text())["variant"] == "torch"
    again = backbone(Recipe.load(run / "recipe.json"))
    assert result(run)["model"]["variant"] == again.origin.variant == "torch"
    np.testing.assert_array_equal(array(again(X)), pre_logits(torch_form))
    np.testing.assert_array_equal(pre_logits(keras.models.load_model(run / "model.keras")), pre_logits(torch_form))

    notes = {}
    for more in ((), ("--variant", "torch")):
        files = ("--models", "lenet5", "--weights", f"mobilenet_v2:0.35:32={weights}")
        words = ("rank", pictures, *files, "--output", tmp_path / "rank", *more)
        assert commands.zoo(*words).poll() == 0
        notes |= {row["candidate"]: row["note"] for row in result(tmp_path / "rank")["table"]}
    assert "--variant" in notes["mobilenet_v2 0.35 32"] and "fits" not in notes["mobilenet_v2 0.35 torch 32"]


@pytest.mark.slow
def test_features_of_two_forms_with_the_same_values_are_kept_apart(torch_form):
    other = zoo.mobilenet_v2(alpha=0.35, variant="keras", num_classes=4, input_shape=(32, 32, 3))
    other.set_weights(torch_form.get_weights())
    lighter = zoo.mobilenet_v2(alpha=0.35, variant="torch", preprocessing="unit", num_classes=4, input_shape=(32, 32, 3))
    graphs = [features.graph(model) for model in (torch_form, other, lighter)]
    assert len({repr(graph) for graph in graphs}) == 3 and graphs[0] == features.graph(torch_form)


def test_the_flags_reach_builder_and_search():
    chosen = {"model": "lenet5", "weights": "mnist", "variant": "keras", "preprocessing": "tf"}
    assert backbone(Recipe(Path("data"), **chosen)).origin.preprocessing == "tf"
    recipe = base_recipe(Tuning(Path("data"), **chosen))
    assert (recipe.variant, recipe.preprocessing) == ("keras", "tf")
    with pytest.raises(UserError, match="lenet5 weights 'mnist'.*|.*needs the preprocessing tf, found unit"):
        backbone(Recipe(Path("data"), **chosen | {"preprocessing": "unit"}))
    with pytest.raises(UserError, match="lenet5 has no published weights for --variant torch"):
        backbone(Recipe(Path("data"), model="lenet5", variant="torch"))


def test_a_value_for_all_files_of_a_ranking_or_one_for_each():
    Ranking(Path("data"), weights=("a=x", "b=y"), variant=("torch",), preprocessing=("tf", "unit"))
    with pytest.raises(UserError, match="--variant takes one value for all files of --weights, or one for each of these 2"):
        Ranking(Path("data"), weights=("a=x", "b=y"), variant=("torch", "keras", "timm"))
    with pytest.raises(UserError, match="--preprocessing takes one value"):
        Ranking(Path("data"), preprocessing=("tf",))


@pytest.mark.slow
def test_pictures_are_looked_at_as_the_default_network_reads_them():
    """What is read for that is what a recipe then takes from the cache."""
    assert framing(zoo.MODELS[Recipe.model](num_classes=0)) == FRAMING
    first = next(entry for entry in ENTRIES if entry.model == Recipe.model)
    assert Framing(first.input_shape[0], first.resize, first.input_shape[2], first.interpolation) == FRAMING


@pytest.mark.slow
def test_weights_at_another_size_than_they_were_trained_at_say_so(tmp_path):
    """Neither do a random start and a file that does not say its size."""
    lite = zoo.efficientnet_lite0(num_classes=0, input_shape=(96, 96, 3), weights="imagenet")
    (sentence,) = other_sizes(lite)
    assert sentence.startswith("The weights of efficientnet_lite0 were trained at 224 × 224 pixels and see 96 × 96 here")
    assert other_sizes(zoo.efficientnet_lite0(num_classes=0, weights="imagenet")) == []
    assert other_sizes(zoo.efficientnet_lite0(num_classes=0, input_shape=(96, 96, 3), weights=None)) == []
    lite.save_weights(tmp_path / "own.weights.h5")  # says nothing of its size
    known = {"variant": lite.origin.variant, "preprocessing": lite.origin.preprocessing}
    own = zoo.efficientnet_lite0(num_classes=0, input_shape=(64, 64, 3), weights=tmp_path / "own.weights.h5", **known)
    assert other_sizes(own) == []
    several = combined.combine([lite, zoo.lenet5(num_classes=0, input_shape=(32, 32, 3), weights=None)], ["a", "b"])
    assert other_sizes(several) == [sentence]
