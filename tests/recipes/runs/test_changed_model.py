"""A model.keras that was changed: `zoo predict` names the file and what is wrong, and predicts nothing."""

import json
import zipfile

import commands
import keras
import pytest
from helpers import pixels
from PIL import Image

import zoo
from recipes.errors import UserError
from recipes.runs import model_file

CLASSES, FRAMING = ["ant", "bee"], {"size": 32, "resize": 32, "channels": 1, "interpolation": "bilinear"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The file of a model that takes 32 grey pixels and knows two classes."""
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model_file.save(zoo.lenet5(num_classes=2), path, CLASSES, FRAMING)
    return path


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(folder, content):
    """Write (name, bytes) as the model of a run."""
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        for name, value in content:
            archive.writestr(name, value)


CHANGED = {
    "it has no classes.json": {"classes.json": None},
    "it has no framing.json": {"framing.json": None},
    "it has no model.weights.h5": {"model.weights.h5": None},
    "classes.json is no list of names": {"classes.json": b'{"0": "ant"}'},
    "classes.json is no list of names ": {"classes.json": b'["ant", 2]'},
    "classes.json is no list of names  ": {"classes.json": b"[]"},
    "classes.json names a class twice": {"classes.json": b'["ant", "ant"]'},
    "the model gives (None, 2), and by classes.json it should be (None, 3)": {"classes.json": b'["ant", "bee", "wasp"]'},
    "the model gives (None, 2), and by classes.json it should be (None, 1)": {"classes.json": b'["ant"]'},
    "the model takes (None, 32, 32, 1), and by framing.json it should be (None, 32, 32, 3)": {
        "framing.json": json.dumps(FRAMING | {"channels": 3}).encode()
    },
    "the model takes (None, 32, 32, 1), and by framing.json it should be (None, 28, 28, 1)": {
        "framing.json": json.dumps(FRAMING | {"size": 28}).encode()
    },
    "framing.json lacks 'resize'": {"framing.json": b'{"size": 32, "channels": 1}'},
    "framing.json has 'crop', which is no setting": {"framing.json": json.dumps(FRAMING | {"crop": 1}).encode()},
    "'size' must be a whole number, found \"32\"": {"framing.json": json.dumps(FRAMING | {"size": "32"}).encode()},
    "'size' must be a whole number, found null": {"framing.json": json.dumps(FRAMING | {"size": None}).encode()},
    "Framing needs 1 <= size <= resize": {"framing.json": json.dumps(FRAMING | {"resize": 16}).encode()},
    "Framing knows the interpolations": {"framing.json": json.dumps(FRAMING | {"interpolation": "best"}).encode()},
    "framing.json is no object": {"framing.json": b"[32, 32]"},
    "": {"config.json": b"{}"},
    " ": {"model.weights.h5": b"no HDF5"},
    "  ": {"classes.json": b"\xff\xfe"},
}


@pytest.mark.slow
@pytest.mark.fault(
    "Prediction",
    "a `model.keras` that was changed: members missing or twice, names that are not the outputs, framing that does not fit",
    "The sentence names the file and what is wrong; exit status 2, and nothing is predicted.",
    "Names in another number or a crop of another size would give answers under wrong names.",
)
@pytest.mark.parametrize("reason", CHANGED)
def test_what_does_not_fit_is_named(reason, saved, tmp_path):
    content = {name: value for name, value in (members(saved) | CHANGED[reason]).items() if value is not None}
    write(tmp_path, content.items())
    with pytest.raises(UserError) as refused:
        model_file.read(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / 'model.keras'} is damaged or was not written by `zoo finetune` (")
    assert reason.strip() in str(refused.value) and "\n" not in str(refused.value)


def test_a_member_twice_is_refused(saved, tmp_path):
    write(tmp_path, members(saved).items())
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "model.keras", "a") as archive:
        archive.writestr("classes.json", '["bee", "ant"]')
    with pytest.raises(UserError, match="it holds classes.json 2 times"):
        model_file.read(tmp_path)


@pytest.mark.parametrize("end", ["relu", None])
def test_a_model_that_gives_no_probabilities_is_refused(end, tmp_path):
    inputs = keras.Input((32, 32, 1))
    model = keras.Model(inputs, keras.layers.Dense(2, activation=end)(keras.layers.Flatten()(inputs)))
    model_file.save(model, tmp_path / "model.keras", CLASSES, FRAMING)
    with pytest.raises(UserError, match=f"ends with {end or 'linear'}, not with softmax or sigmoid"):
        model_file.read(tmp_path)


@pytest.mark.slow
def test_the_command_says_so_and_what_is_whole_is_read(saved, tmp_path):
    Image.fromarray(pixels(32, 32)).save(tmp_path / "a.png")
    write(tmp_path, members(saved).items())
    assert commands.zoo("predict", tmp_path, tmp_path / "a.png").stdout.count("ant") == 1
    write(tmp_path, (members(saved) | {"classes.json": b'["ant", "bee", "wasp"]'}).items())
    said = commands.refused("predict", tmp_path, tmp_path / "a.png")
    assert f"{tmp_path / 'model.keras'} is damaged" in said and "gives (None, 2)" in said
