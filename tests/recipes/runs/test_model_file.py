"""What is saved predicts anywhere: every strategy, every head, several labels, what searches keep."""

import csv
import json
import re
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import ROOT, few_digits, python
from PIL import Image

import zoo
from callbacks.optimizers import LayerwiseRates
from recipes import cli, finetune
from recipes.runs import model_file
from recipes.settings.finetune import Recipe
from recipes.settings.tuned import FineTuneSettings, HeadSettings
from recipes.transfer import heads
from recipes.transfer import strategies as transfer

SNIPPETS = {
    name: re.findall(r"```python\n(import json, zipfile\n.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.S)
    for name in ("README.md", "docs/finetune.md")
}

# In a process that cannot import this project: the documents' lines for each model, and what it then says of the pictures.
SCRIPT = """
import sys
for name in ("zoo", "callbacks", "recipes"):
    sys.modules[name] = None
import numpy as np
snippet, pixels, given = open(sys.argv[1]).read(), np.load(sys.argv[2]), sys.argv[3:]
for path in given:
    found = {}
    exec(snippet.replace("runs/photos/model.keras", path), found)
    assert len(found["classes"]) == found["model"].output_shape[-1] and found["framing"]["size"] == 32
    modules = {type(layer).__module__.partition(".")[0] for layer in found["model"].layers}
    assert modules == {"keras"} and not getattr(found["model"], "optimizer", None), (path, modules)
    np.save(path + ".npy", found["model"].predict(pixels, verbose=0))
"""

TUNED = HeadSettings(cut="stage1", kind="hidden", units=8, epochs=2)
# Those that leave the same kind of network as another are `make deep`'s; that each run's file can be loaded, the run checks.
OTHERS = ("full", "lp_ft", "gradual", "auto")
STRATEGIES = {
    **{name: {"strategy": name} for name in transfer.STRATEGIES if name not in OTHERS},
    "tuned": {"strategy": "tuned", "fine_tuning": FineTuneSettings("stage1", 0.7, 0.01)},
    "momentum": {"strategy": "large", "optimizer": "momentum", "augment": "modern"},
}
HEADS = {
    "tuned head": {"strategy": "small", "tuned": TUNED},
    "tuned both": {"strategy": "tuned", "fine_tuning": FineTuneSettings(None, 0.7), "tuned": HeadSettings(epochs=2)},
    "dropout head": {"strategy": "small", "head": "dropout"},
    **{f"{head} head, large": {"strategy": "large", "head": head} for head in ("hidden", "cosine")},
    "several labels, large": {"strategy": "large", "labels": "labels.csv"},
}


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    folder = few_digits(tmp_path_factory.mktemp("digits"), classes=3)
    lines = [
        f"{path.relative_to(folder).as_posix()},{'even' if int(path.parent.name) % 2 == 0 else 'odd;large'}"
        for path in sorted(folder.glob("*/*.png"))
    ]
    (folder.parent / "labels.csv").write_text("path,labels\n" + "\n".join(lines) + "\n")
    return folder


def table(path: Path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def answers(paths, pixels, folder: Path) -> list[np.ndarray]:
    """What each model file says of the pictures, in a process without this project."""
    (folder / "snippet.py").write_text(SNIPPETS["README.md"][0])
    np.save(folder / "pixels.npy", pixels)
    python(SCRIPT, folder / "snippet.py", folder / "pixels.npy", *paths, cwd=folder)
    return [np.load(f"{path}.npy") for path in paths]


def test_the_documents_show_the_same_lines():
    (one,), (other,) = SNIPPETS.values()
    assert one == other and "load_model(file)" in one


@pytest.mark.slow
@pytest.mark.parametrize(
    "runs",
    [
        pytest.param(STRATEGIES, id="strategies"),
        pytest.param(HEADS, id="heads"),
        pytest.param({name: {"strategy": name} for name in OTHERS}, id="others", marks=pytest.mark.deep),
    ],
)
def test_every_kind_of_run_loads_where_this_project_is_not_and_says_what_was_reported(runs, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(heads, "EPOCH_CHOICES", (1,))
    for name, settings in runs.items():
        labels = {"labels": digits.parent / settings["labels"]} if "labels" in settings else {}
        finetune.run(Recipe(digits, tmp_path / name, "lenet5", **{"epochs": 1} | settings | labels))
    paths = sorted(path.relative_to(digits).as_posix() for path in digits.glob("*/*.png"))
    pixels = np.stack([np.asarray(Image.open(digits / path))[..., None] for path in paths])
    found = answers([tmp_path / name / "model.keras" for name in runs], pixels, tmp_path)
    for name, guesses in zip(runs, found, strict=True):
        rows = {row["path"]: row for row in table(tmp_path / name / "files.csv")}
        stated = [float(rows[path]["probability"]) for path in paths]
        several = "several" in name
        sure = np.abs(guesses - (guesses <= 0.5)).min(axis=1) if several else guesses.max(axis=1)
        np.testing.assert_allclose(sure, stated, atol=1e-5, err_msg=name)
        classes = json.loads(zipfile.ZipFile(tmp_path / name / "model.keras").read("classes.json"))
        said = [";".join(np.array(classes)[guess > 0.5]) if several else classes[guess.argmax()] for guess in guesses]
        assert said == [rows[path]["prediction"] for path in paths], name
        parameters = json.loads((tmp_path / name / "result.json").read_text())["model"]["parameters"]
        assert (tmp_path / name / "model.keras").stat().st_size < 4 * parameters + 100_000, name  # and no optimizer's slots


@pytest.mark.slow
def test_what_searches_keep_loads_there_too(digits, tmp_path):
    """The winner's run; fine-tuned networks whole, the heads of trials as arrays."""
    flags = ["tune", str(digits), "--output", str(tmp_path / "tune"), "--model", "lenet5", "--trials", "2", "--epochs", "2"]
    assert cli.main(flags) == 0 and cli.main([*flags, "--scope", "finetune", "--batch-size", "16", "--trials", "1"]) == 0
    kept = sorted((tmp_path / "tune" / "finetune" / "models").iterdir())
    assert len(kept) == 1 and {path.suffix for path in kept} == {".keras"}
    winners = [tmp_path / "tune" / "best" / "model.keras", tmp_path / "tune" / "finetune" / "best" / "model.keras"]
    pixels = np.zeros((3, 32, 32, 1), "uint8")
    for guesses in answers([*kept, *winners], pixels, tmp_path):
        assert guesses.shape == (3, 3) and guesses.sum(axis=1) == pytest.approx(1, abs=1e-5)
    for head in (tmp_path / "tune" / "models").iterdir():
        with np.load(head) as arrays:
            assert [array.ndim for array in arrays.values()] in ([2, 1], [2, 1, 2, 1])


@pytest.mark.slow
def test_a_compiled_model_is_saved_as_the_network_alone(tmp_path):
    model = zoo.lenet5(num_classes=3)
    model.compile(LayerwiseRates(keras.optimizers.Adam(), {"c1": 0.1}), "sparse_categorical_crossentropy")
    model.train_on_batch(np.zeros((2, 32, 32, 1)), np.zeros(2))
    model_file.save(model, tmp_path / "model.keras", "abc", {})
    assert model.optimizer is not None  # it may train on
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert not json.loads(archive.read("config.json")).get("compile_config")
        assert b"LayerwiseRates" not in archive.read("config.json")
