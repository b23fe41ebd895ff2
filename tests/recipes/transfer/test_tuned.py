"""A head that a search has found, in a recipe: the run that `zoo finetune --recipe best.json` makes of it."""

import csv
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import array, digits_folder
from PIL import Image

import zoo
from recipes import cli, finetune
from recipes.errors import UserError
from recipes.settings.finetune import Recipe
from recipes.settings.tuned import HeadSettings
from recipes.transfer import heads
from recipes.transfer.head_trainer import HeadTrainer
from zoo.heads import shorten, standardized

TUNED = HeadSettings(cut="stage2", kind="hidden", units=24, dropout=0.2, learning_rate=0.01, epochs=30, patience=6, views=1)


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    return digits_folder(tmp_path_factory.mktemp("digits"), 12)


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory) -> Path:
    """The folder of a run that the command made of best.json."""
    folder = tmp_path_factory.mktemp("tuned")
    Recipe(digits, folder / "run", "lenet5", strategy="small", tuned=TUNED).save(folder / "best.json")
    assert cli.main(["finetune", "--recipe", str(folder / "best.json")]) == 0
    return folder / "run"


@pytest.mark.slow
def test_the_saved_model_ends_at_the_cut_and_has_stock_layers_only(finished):
    model = keras.models.load_model(finished / "model.keras")
    names = [layer.name for layer in model.layers]
    assert names[-5:] == ["pre_logits", "standardize", "hidden", "dropout", "predictions"] and "f6" not in names
    whole = zoo.lenet5(num_classes=0)
    assert model.get_layer("pre_logits").output.shape[-1] == whole.get_layer("stage2").output.shape[-1]
    assert len(model.layers) < len(whole.layers) + 4
    with zipfile.ZipFile(finished / "model.keras") as archive:
        assert '"module": "zoo' not in archive.read("config.json").decode()


@pytest.mark.slow
def test_the_saved_model_gives_the_stated_accuracy(finished, digits):
    model, result = keras.models.load_model(finished / "model.keras"), json.loads((finished / "result.json").read_text())
    with open(finished / "files.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    x = np.stack([np.asarray(Image.open(digits / row["path"]).convert("L"))[..., None] for row in rows])
    guesses = array(model(x.astype("float32"))).argmax(axis=1)
    right = np.mean([str(guess) == row["label"] for guess, row in zip(guesses, rows, strict=True)])
    assert right == pytest.approx(result["metrics"]["test"]["accuracy"]) and right > 0.4
    assert result["strategy"]["name"] == "small" and result["head"]["cut"] == "stage2"
    assert result["strategy"]["reason"] == "a search found the head for it"  # nobody asked for the strategy
    assert result["head"]["epochs"] == len((finished / "history.csv").read_text().splitlines()) - 1


@pytest.mark.slow
def test_the_recipe_of_the_run_repeats_it(finished, tmp_path):
    assert Recipe.load(finished / "recipe.json").tuned == TUNED
    assert cli.main(["finetune", "--recipe", str(finished / "recipe.json"), "--output", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "files.csv").read_bytes() == (finished / "files.csv").read_bytes()


@pytest.mark.slow
def test_the_head_is_trained_on_all_for_the_epochs_that_a_fold_said():
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 10  # shapes as in the run, which are compiled already
    views = (2 * rng.normal(size=(10, 16))[labels] + rng.normal(size=(2, 80, 16))).astype("float32")
    model = zoo.new_head(shorten(zoo.lenet5(num_classes=0), "stage2"), 10, head=lambda *given: standardized(*given, units=24))
    fitted = heads.fit_tuned(model, TUNED, views, [False, False], labels, seed=2)
    everything = HeadTrainer({"stage2": views}, labels, np.arange(80), np.arange(0), 10)
    expected = everything.train(TUNED, 2, last=fitted.chosen["epochs"])
    assert expected.loss is None and len(fitted.history) == expected.epoch == fitted.path[0]["epochs"]
    tail = zoo.split(model, "pre_logits")[1]
    center, scale = everything.standardization("stage2")
    kernel, bias, last, free = expected.weights
    logits = np.maximum((views[0] - center) / scale @ kernel + bias, 0) @ last + free
    np.testing.assert_allclose(
        np.log(array(tail(views[0]))), logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), atol=1e-3
    )


def test_a_shortened_network_gives_the_mean_over_the_pixels():
    model = zoo.lenet5(num_classes=0)
    x = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 1)).astype("float32")
    short = shorten(model, "stage1")
    np.testing.assert_allclose(array(short(x)), array(zoo.features(model, ["stage1"])(x)).mean(axis=(1, 2)), rtol=1e-4)
    assert zoo.stages(short) == ["stage1", "pre_logits"]


@pytest.mark.slow
def test_a_tuned_head_is_no_flag_and_its_recipe_takes_no_other_head(digits, tmp_path, capsys):
    assert cli.main(["finetune", "--help"]) == 0
    assert "--tuned" not in capsys.readouterr().out
    recipe = Recipe(digits, tmp_path / "run", "lenet5", strategy="small", tuned=TUNED)
    for flag, value in {"strategy": "medium", "head": "hidden", "pooling": "max", "balance": "weights"}.items():
        with pytest.raises(UserError, match=f"--{flag} {value} cannot be had with the tuned head of a recipe.json"):
            replace(recipe, **{flag: value})
    with pytest.raises(UserError, match="The tuned head does not fit --model lenet5: .*has no stage 'stage9'"):
        finetune.run(replace(recipe, tuned=replace(TUNED, cut="stage9")))
    replace(recipe, tuned=TUNED).save(tmp_path / "best.json")
    (tmp_path / "best.json").write_text((tmp_path / "best.json").read_text().replace('"units"', '"width"'))
    assert cli.main(["finetune", "--recipe", str(tmp_path / "best.json")]) == 2
    assert "best.json cannot be read as a recipe.json" in capsys.readouterr().err
