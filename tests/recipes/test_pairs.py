"""Every two settings of `zoo finetune` and of `zoo tune` together, at the smallest size, as a user gives them.

Each combination ends with 0, and its folder says what was asked for; or with 2 and one sentence. None ends in a traceback, and
none warns.
"""

import csv
import importlib.util
import json
import os
import re
import zipfile
from pathlib import Path

import commands
import numpy as np
import pytest
import tinynet
from helpers import ROOT, WITHOUT_TENSORFLOW, python, randomize
from pairs import all_pairs
from PIL import Image

import zoo
from recipes import cli
from recipes.transfer import heads


@pytest.fixture(scope="module", autouse=True)
def known():
    """The network is one of the zoo's for these tests alone."""
    tinynet.register()
    yield
    del zoo.MODELS["tinynet"]


# Each command's process knows it, too.
SETUP = f"import sys; sys.path.append({str(ROOT / 'tests')!r}); import tinynet; tinynet.register()"
FACTORS = {
    "strategy": ("small", "medium", "large", "full", "lp_ft", "gradual", "scratch", "auto"),
    "optimizer": ("adam", "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adamw"),
    "augment": ("auto", "none", "crops", "alexnet", "modern"),
    "head": ("linear", "dropout", "hidden", "cosine"),
    "network": ("lenet5 inference", "tinynet inference", "tinynet affine", "tinynet adapt"),
    "pooling": ("average", "max", "both"),
    "balance": ("none", "weights", "sampling"),
    "mirror": ("auto", "yes", "no"),
    "repeats": ("", "--seeds 2", "--folds 2"),
    "labels": ("classes", "labels"),
}
# Two settings that cannot be had together, and what the sentence says.
REFUSED = {
    ("labels", "labels", "head", "cosine"): "--head cosine tells classes apart",
    ("labels", "labels", "balance", "weights"): "--balance is for pictures with one label",
    ("labels", "labels", "balance", "sampling"): "--balance is for pictures with one label",
    ("strategy", "small", "augment", "alexnet"): "--augment alexnet has nothing to act on",
    ("strategy", "small", "augment", "modern"): "--augment modern has nothing to act on",
    ("strategy", "small", "network", "tinynet affine"): "--batch-norm affine has nothing to act on",
    ("strategy", "small", "network", "tinynet adapt"): "--batch-norm adapt has nothing to act on",
    ("strategy", "scratch", "network", "tinynet affine"): "--batch-norm affine",
    ("network", "lenet5 inference", "pooling", "max"): "--pooling max",
    ("network", "lenet5 inference", "pooling", "both"): "--pooling both",
}


def is_refused(row: dict) -> bool:
    return any(row.get(a) == x and row.get(b) == y for a, x, b, y in REFUSED)


COMBINATIONS = all_pairs(FACTORS, is_refused)
# A few that hold every value but the repeats, and train once: the others take minutes.
FIRST = [row | {"repeats": ""} for row in COMBINATIONS[:9]]


def name_of(row: dict) -> str:
    return "-".join(str(value).replace(" ", "_").replace("--", "") for value in row.values() if value)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Class folders of a dozen pictures, of 60 and of 300, tables of labels for them, and weights."""
    folder, generator = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for name, count in (("few", 6), ("sixty", 30), ("many", 150)):
        rows = []
        for label, base in (("dark", 60), ("light", 160)):
            (folder / name / label).mkdir(parents=True)
            for i in range(count):
                picture = generator.integers(base - 50, base + 50, (32, 32, 3)).astype("uint8")
                Image.fromarray(picture).save(folder / name / label / f"{i}.png")
                rows.append([f"{label}/{i}.png", f"{label};even" if i % 2 else label])
        with open(folder / f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows([["path", "labels"], *rows])
    randomize(zoo.get_model("tinynet", num_classes=10)).save_weights(folder / "tinynet.weights.h5")
    return folder


def flags(row: dict, data: Path, output: Path) -> list[str]:
    """The command line of a combination."""
    model, policy = row["network"].split()
    pictures = "many" if policy == "adapt" else "few"
    words = ["finetune", str(data / pictures), "--model", model, "--output", str(output), "--epochs", "1"]
    words += ["--batch-size", "16", "--batch-norm", policy, *row["repeats"].split()]
    if model == "tinynet" and row["strategy"] != "scratch":
        words += ["--weights", str(data / "tinynet.weights.h5")]
    if row["labels"] == "labels":
        words += ["--labels", str(data / f"{pictures}.csv")]
    for name in ("strategy", "optimizer", "augment", "head", "pooling", "balance", "mirror"):
        words += [f"--{name}", row[name]]
    return words


def check(row: dict, output: Path, words: list[str]) -> None:
    """What was asked for is what was done, or is said not to be used."""
    result = json.loads((output / "result.json").read_text())
    strategy, head = result["strategy"], result["head"]
    unused = " ".join(strategy["unused"])
    _, policy = row["network"].split()
    assert row["strategy"] in (strategy["name"], "auto")
    for phase in strategy["phases"]:
        assert phase["optimizer"] == row["optimizer"] and phase["epochs"] == 1
        assert phase["batch_norm"] == policy or (row["strategy"], policy) == ("scratch", "inference")
    if not strategy["phases"]:
        assert "--epochs 1" in unused and (row["optimizer"] == "adam" or f"--optimizer {row['optimizer']}" in unused)
    assert row["augment"] in (strategy["augment"], "auto")
    with zipfile.ZipFile(output / "model.keras") as file:
        layers = {layer["config"]["name"] for layer in json.loads(file.read("config.json"))["config"]["layers"]}
    assert [kind for kind in ("hidden", "cosine") if kind in layers] == [
        kind for kind in ("hidden", "cosine") if kind == row["head"]
    ]
    if head:
        assert (head["kind"], head["pooling"], head["balance"]) == (row["head"], row["pooling"], row["balance"])
        if row["mirror"] != "auto":
            assert head["mirrored"] == (row["mirror"] == "yes") or "--mirror yes" in unused
    assert result["classes"] == (["dark", "even", "light"] if row["labels"] == "labels" else ["dark", "light"])
    assert row["repeats"].strip("- 2") in (result["repeats"] or {"what": ""})["what"]
    assert bool(result["repeats"]) == bool(row["repeats"])
    recipe = json.loads((output / "recipe.json").read_text())
    for flag, value in zip(words[2::2], words[3::2], strict=True):
        assert str(recipe[flag.strip("-").replace("-", "_")]) == value


@pytest.fixture
def zoo_command(monkeypatch, capfd):
    """Runs `zoo WORDS` in this process, where a warning is an error: it ends with 0, and in silence but for progress.

    Heads that are trained are so for an epoch.
    """
    monkeypatch.setattr(heads, "EPOCH_CHOICES", (1,))

    def run(*words: str) -> None:
        capfd.readouterr()
        status = cli.main(list(words))
        text = "".join(capfd.readouterr())
        assert status == 0, text
        assert not re.search(r"Traceback|\w+Warning\b|\bnan\b|zoo: ", text), text

    return run


def try_combination(row: dict, data: Path, output: Path, zoo_command) -> None:
    words = flags(row, data, output)
    zoo_command(*words)
    check(row, output, words)


@pytest.mark.slow
@pytest.mark.parametrize("row", FIRST, ids=name_of)
def test_a_combination(row, data, tmp_path, zoo_command):
    try_combination(row, data, tmp_path / "run", zoo_command)


@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.parametrize("row", COMBINATIONS, ids=name_of)
def test_another_combination(row, data, tmp_path, zoo_command):
    try_combination(row, data, tmp_path / "run", zoo_command)


@pytest.mark.slow
@pytest.mark.fault(
    "Runs",
    "two settings of `zoo finetune` that cannot be had together",
    "refused in a sentence that names the flag",
    "what was asked for is done, or is said not to be: nothing is left out in silence",
)
@pytest.mark.parametrize("pair", REFUSED, ids=" ".join)
def test_a_pair_that_cannot_be_had(pair, data, tmp_path):
    row = {name: values[0] for name, values in FACTORS.items()} | {"network": "tinynet inference"}
    row |= {pair[0]: pair[1], pair[2]: pair[3]}
    assert REFUSED[pair] in commands.refused(*flags(row, data, tmp_path / "run"), setup=SETUP)
    assert not (tmp_path / "run").exists()


@pytest.mark.fault(
    "Runs",
    "--batch-norm for a network without batch norm",
    "refused, with the network's name",
    "it would change nothing",
)
def test_a_policy_of_batch_norm_needs_one(data, tmp_path):
    sentence = commands.refused("finetune", data / "few", "--model", "lenet5", "--batch-norm", "affine", cwd=tmp_path)
    assert "--batch-norm affine has nothing to act on: lenet5 has no batch norm" in sentence


TUNE_FACTORS = {
    "tuner": ("tpe", "random", "grid", "bayesian", "hyperband", "asha"),
    "scope": ("heads", "finetune"),
    "network": ("lenet5", "tinynet"),
    "epochs": ("1", "4"),
    "mirror": ("auto", "yes", "no"),
    "workers": ("1", "2"),
    "more": ("", "--tensorboard", "--keep 1", "--study other"),
}


def is_unknown(row: dict) -> bool:
    """Processes of trials, and other workers, know the zoo's own networks alone."""
    return row.get("network") == "tinynet" and (row.get("scope") == "finetune" or row.get("workers") == "2")


TUNE_COMBINATIONS = all_pairs(TUNE_FACTORS, is_unknown)
CHEAP = [row for row in TUNE_COMBINATIONS if row["scope"] == "heads" and row["workers"] == "1"]
# The default, and those that no other test of the command runs.
TUNE_FIRST = [next(row for row in CHEAP if row["tuner"] == tuner) for tuner in ("tpe", "hyperband", "asha")]


@pytest.mark.slow
@pytest.mark.parametrize("row", TUNE_FIRST, ids=name_of)
def test_a_search(row, data, tmp_path, zoo_command):
    try_search(row, data, tmp_path, zoo_command)


@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.parametrize("row", [row for row in TUNE_COMBINATIONS if row not in TUNE_FIRST], ids=name_of)
def test_another_search(row, data, tmp_path, zoo_command):
    try_search(row, data, tmp_path, zoo_command)


def try_search(row: dict, data: Path, folder: Path, zoo_command) -> None:
    """Two trials, the winner and both reports."""
    words = ["tune", str(data / "few"), "--model", row["network"], "--output", str(folder / "run"), "--trials", "2"]
    words += [] if row["network"] == "lenet5" else ["--weights", str(data / "tinynet.weights.h5")]
    for name in ("tuner", "scope", "epochs", "mirror", "workers"):
        words += [f"--{name}", row[name]]
    zoo_command(*words, *row["more"].split())
    output = folder / "run" / ("finetune" if row["scope"] == "finetune" else "")
    result = json.loads((output / "result.json").read_text())
    asked = {name: str(result["settings"][name]) for name in ("tuner", "scope", "epochs", "mirror", "workers")}
    assert asked == {name: row[name] for name in asked} and result["counts"]["trials"] == 2
    assert result["identity"]["tuner"] == row["tuner"] and str(result["identity"]["epochs"]) == row["epochs"]
    assert (output / "best" / "report.html").stat().st_size and result["winner"]["metrics"]["test"]["images"] == 2
    recipe = json.loads((output / "best" / "recipe.json").read_text())
    assert recipe["mirror"] == row["mirror"] and recipe["model"] == row["network"]
    assert (output / "tensorboard").exists() == (row["more"] == "--tensorboard")
    assert len(list((output / "models").iterdir())) == (1 if row["more"] == "--keep 1" else 2)


ONE_AFTER_ANOTHER = """
import json, sys
import tinynet
tinynet.register()
from recipes.cli import main
statuses = [main(words) for words in json.loads(sys.argv[1])]
import keras
print(json.dumps([keras.backend.backend(), "tensorflow" in sys.modules, statuses]))
"""


@pytest.mark.fault(
    "Runs",
    "TensorFlow is not installed: `zoo finetune` and `zoo tune` on JAX and on PyTorch",
    "the same runs, the same reports",
    "Keras has three backends",
)
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_combinations_without_tensorflow(backend, data, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: no command can be run on it")
    # Whatever Python starts from here on, and the process that loads the saved model, too.
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_TENSORFLOW)
    rows = [next(row for row in FIRST if row["strategy"] == name) for name in (("small",) if backend == "jax" else ("medium",))]
    words = [flags(row, data, tmp_path / f"run{i}") for i, row in enumerate(rows)]
    search = ["tune", str(data / "sixty"), "--model", "lenet5", "--trials", "2", "--tuner", "random"]
    words.append([*search, "--epochs", "1", "--output", str(tmp_path / "tune")])  # the winner's head is of one epoch
    environment = {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT, ROOT / "tests")))}
    out = python(ONE_AFTER_ANOTHER, json.dumps(words), cwd=tmp_path, **environment)
    assert json.loads(out.splitlines()[-1]) == [backend, False, [0] * len(words)]
    for i, row in enumerate(rows):
        check(row, tmp_path / f"run{i}", words[i])
    result = json.loads((tmp_path / "tune" / "result.json").read_text())
    assert result["counts"]["done"] == 2 and result["winner"]["metrics"]["test"]["images"] == 12
    assert (tmp_path / "tune" / "best" / "report.html").stat().st_size
