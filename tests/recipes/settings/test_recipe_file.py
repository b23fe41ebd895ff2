"""recipe.json, as people write it by hand: each value is checked, and paths are found from every folder."""

import json
import os
from pathlib import Path

import pytest

from recipes import cli
from recipes.errors import UserError
from recipes.settings.finetune import Recipe
from recipes.settings.tuned import FineTuneSettings, HeadSettings

RIGHT = {"data": "photos", "model": "lenet5"}
NESTED = {"tuned": {"kind": "linear", "unit": 3}}
REFUSED = {
    "it has 'epoch', which is no setting: 'epochs'?": RIGHT | {"epoch": 3},
    "it lacks 'data'": {"model": "lenet5"},
    "'data' must be a path, as text, found 3": {"data": 3},
    "'data' must be a path, as text, found \"\"": {"data": ""},
    "'epochs' must be a whole number or null, found \"3\"": RIGHT | {"epochs": "3"},
    "'epochs' must be a whole number or null, found 1.5": RIGHT | {"epochs": 1.5},
    "'epochs' must be a whole number or null, found true": RIGHT | {"epochs": True},
    "'seed' must be a whole number, found null": RIGHT | {"seed": None},
    "--seed must be a whole number from 0 to": RIGHT | {"seed": 10**30},
    "'validation' must be a number, found [0.2]": RIGHT | {"validation": [0.2]},
    "'strategy' must be one of auto, small, medium": RIGHT | {"strategy": "tiny"},
    "'optimizer' must be one of sgd, momentum": RIGHT | {"optimizer": "lion"},
    "--epochs must be positive": RIGHT | {"epochs": -1},
    "'tuned' has 'unit', which is no setting: 'units'?": RIGHT | NESTED,
    "'class_weights' must be true or false, found 1": RIGHT | {"tuned": {"class_weights": 1}},
    "'fine_tuning' must be an object of JSON or null, found []": RIGHT | {"fine_tuning": []},
    "A tuned head cannot have dropout 1.5": RIGHT | {"tuned": {"dropout": 1.5}},
    "it holds [], not an object": [],
    "it holds null, not an object": None,
}
TEXTS = {
    b"": "it is no JSON",
    b'{"data": "photos",}': "it is no JSON",
    b'{"data": "photos", "learning_rate": NaN}': "it has NaN, which is no number",
    b'{"data": "photos", "learning_rate": 1e999}': "'learning_rate' must be a number or null, found Infinity",
    b'{"data": "photos", "seed": 1, "seed": 2}': "it has 'seed' twice",
    b'{"data": "caf\xe9"}': "it is no text in UTF-8 (byte 13)",
    b'{"data": "a\\u0000b"}': "'data' must be a path, as text",
    b"[" * 100_000: "it is nested too deeply",
}


@pytest.mark.fault(
    "Runs",
    "a recipe.json with a misspelt name, a value of another type, a choice that is none, NaN, a name twice, or no JSON at all",
    "The sentence names the file, the setting, what was expected and what was found; exit status 2.",
    "The types of the settings themselves are what is checked, those of a tuned head as well.",
)
@pytest.mark.parametrize("sentence, content", [*REFUSED.items(), *((said, text) for text, said in TEXTS.items())])
def test_what_is_no_recipe_is_refused_by_name(sentence, content, tmp_path):
    file = tmp_path / "recipe.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(UserError) as refused:
        cli.read_settings("finetune", [f"--recipe={file}"])
    assert str(refused.value).startswith(f"--recipe {file}") and sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_numbers_may_be_written_as_json_writes_them(tmp_path):
    file = tmp_path / "recipe.json"
    file.write_bytes(b'\xef\xbb\xbf{"data": "/photos", "epochs": 1e1, "validation": 0, "learning_rate": 1}')  # and a BOM
    recipe = cli.read_settings("finetune", ["--recipe", str(file)])
    assert recipe == Recipe(Path("/photos"), epochs=10, validation=0.0, learning_rate=1.0)
    assert type(recipe.epochs) is int and type(recipe.validation) is float


def test_paths_by_hand_lie_relative_to_the_file_and_ours_are_written_in_full(tmp_path, monkeypatch):
    work, other = tmp_path / "work", tmp_path / "other"
    for folder in (work, other):
        folder.mkdir()
    (work / "w.h5").touch()
    (work / "recipe.json").write_text(json.dumps({"data": "photos", "output": "../run", "labels": "l.csv", "weights": "w.h5"}))
    monkeypatch.chdir(other)
    recipe = Recipe.load(Path("../work/recipe.json"))
    places = [recipe.data, recipe.output, recipe.labels, recipe.weights]
    assert [os.path.realpath(place) for place in places] == [
        str(place) for place in (work / "photos", tmp_path / "run", work / "l.csv", work / "w.h5")
    ]
    monkeypatch.chdir(work)
    ours = Recipe(
        Path("photos"), Path("run"), weights="w.h5", strategy="tuned", fine_tuning=FineTuneSettings(), tuned=HeadSettings()
    )
    ours.save(tmp_path / "saved.json")
    Recipe(Path("photos"), weights="imagenet").save(tmp_path / "tag.json")
    monkeypatch.chdir(other)
    read = Recipe.load(tmp_path / "saved.json")
    assert (read.data, read.output, read.weights) == (work / "photos", work / "run", str(work / "w.h5"))
    assert (read.tuned, read.fine_tuning) == (ours.tuned, ours.fine_tuning)
    assert Recipe.load(tmp_path / "tag.json").weights == "imagenet"


def test_the_flag_in_every_spelling_once_and_in_the_help(tmp_path, capsys):
    Recipe(tmp_path / "photos", epochs=7).save(tmp_path / "r.json")
    for words in (["--recipe", "r.json"], ["--recipe=r.json"]):
        words = [word.replace("r.json", str(tmp_path / "r.json")) for word in words]
        assert cli.read_settings("finetune", [*words, "--seed", "3"]) == Recipe(tmp_path / "photos", epochs=7, seed=3)
    for words, sentence in {
        ("--recipe", "a", "--recipe=b"): "--recipe is given twice",
        ("photos", "--recipe"): "--recipe needs a file",
        ("--recipe=",): "--recipe needs a file",
        ("--recipe", str(tmp_path)): "cannot be read as a recipe.json: Is a directory",
    }.items():
        with pytest.raises(UserError, match=sentence):
            cli.read_settings("finetune", list(words))
    assert cli.main(["finetune", "--help"]) == 0
    assert "--recipe" in capsys.readouterr().out
