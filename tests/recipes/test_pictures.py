"""Pictures of every kind through the commands: what training says of them, prediction does as well, and no result is lost."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import commands
import numpy as np
import pytest
from PIL import Image

from recipes.data.digits import digit_picture

SMALL = ("--model", "lenet5", "--weights", "mnist", "--strategy", "small", "--mirror", "no")


def digits(root: Path, suffix: str, store, images: int = 8) -> Path:
    """Twos and sevens, divided, each stored so; the pictures' order is that of their names."""
    from sklearn.datasets import load_digits

    known = load_digits()
    for label in (2, 7):
        found = known.images[known.target == label]
        for part, numbers in (("train", range(images)), ("test", range(images, images + 4))):
            folder = root / part / str(label)
            folder.mkdir(parents=True)
            for i in numbers:
                store(np.asarray(digit_picture(found[i])), folder / f"{i:02}{suffix}")
    return root


def save(convert):
    return lambda grey, path: Image.fromarray(convert(grey)).save(path)


def table(path: Path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The finished run on pictures of 8 bits."""
    root = tmp_path_factory.mktemp("plain")
    data = digits(root / "data", ".png", save(lambda grey: grey))
    assert commands.zoo("finetune", data, *SMALL, "--output", root / "run").poll() == 0
    return root


@pytest.mark.slow
@pytest.mark.fault(
    "Pictures",
    "a folder of float pictures in 0..1, or of 12 bits in files of 16",
    "trained and predicted on as if they were of 8 bits; the range is said",
    "the range is read off the folder, and kept in the model's file",
)
@pytest.mark.parametrize(
    ("suffix", "convert", "top"),
    [
        (".tif", lambda grey: (grey / 255).astype("float32"), 1),
        (".png", lambda grey: np.rint(grey * (4095 / 255)).astype("uint16"), 4095),
    ],
    ids=["floats", "12 bits"],
)
def test_training_and_prediction_scale_alike(plain, tmp_path, suffix, convert, top):
    data = digits(tmp_path / "data", suffix, save(convert))
    done = commands.zoo("finetune", data, *SMALL, "--output", tmp_path / "run")
    assert done.poll() == 0 and f"read as 0 to {top}, here and in predictions" in done.stdout
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["input"]["float_range" if suffix == ".tif" else "integer_range"] == top
    expected, found = (table(root / "run" / "files.csv") for root in (plain, tmp_path))
    assert [row["prediction"] for row in found] == [row["prediction"] for row in expected]
    probabilities = [[float(row["probability"]) for row in rows] for rows in (found, expected)]
    np.testing.assert_allclose(*probabilities, atol=0.05)  # the head's folds are drawn by the files' content
    new = tmp_path / "new"
    new.mkdir()
    dark, bright = new / f"dark{suffix}", new / f"too bright{suffix}"
    shutil.copy(data / "test" / "7" / f"08{suffix}", new)
    shutil.copy(plain / "data" / "test" / "7" / "08.png", new / "same in 8 bits.png")
    Image.fromarray((convert(np.full((32, 32), 255, "uint8")) * 0.05).astype(convert(np.zeros(1)).dtype)).save(dark)
    Image.fromarray((convert(np.full((32, 32), 255, "uint8")) * 8).astype(convert(np.zeros(1)).dtype)).save(bright)
    refusal = commands.zoo("predict", tmp_path / "run", new, bright)
    assert refusal.poll() == 2
    (listed,) = [row for row in found if row["path"] == f"test/7/08{suffix}"]
    for name in (f"08{suffix}", "same in 8 bits.png"):
        line = next(line for line in refusal.stdout.splitlines() if name in line)
        assert f"{listed['prediction']} {float(listed['probability']):.4f}" in line
    assert f"note: {dark}: values below 1/16 of 0 to {top}: appears nearly black." in refusal.stderr
    assert f"too bright{suffix} has values up to" in refusal.stderr and f"beyond 0 to {top}" in refusal.stderr


@pytest.mark.slow
@pytest.mark.fault(
    "Prediction",
    "a picture of more than 8 bits for a model that was trained on 8 bits alone",
    "read in its own range, with a note; equal notes are one line",
    "the model knows no range for it",
)
def test_deep_pictures_for_a_model_of_eight_bits(plain, tmp_path):
    for i in (8, 9):
        grey = np.asarray(Image.open(plain / "data" / "test" / "7" / f"{i:02}.png"))
        Image.fromarray(grey.astype("uint16") * 257).save(tmp_path / f"{i:02}.png")
    done = commands.zoo("predict", plain / "run", tmp_path)
    rows = {row["path"]: row for row in table(plain / "run" / "files.csv")}
    for i in (8, 9):
        row = rows[f"test/7/{i:02}.png"]
        assert f"{row['prediction']} {float(row['probability']):.4f}" in done.stdout
    assert done.poll() == 0 and done.stderr.count("more than 8 bits: read as 0 to 65535") == 1
    assert "note: 2 pictures, " in done.stderr


@pytest.mark.slow
@pytest.mark.fault(
    "Pictures",
    "JPEGs that are damaged inside, in training and in prediction",
    "a finding names them; files.csv has each file's sha256, of those left out as well",
    "the decoder goes on and paints something over the damage",
)
def test_damaged_jpegs_are_findings_of_both_commands(tmp_path):
    data = digits(tmp_path / "data", ".jpg", lambda grey, path: Image.fromarray(grey).resize((128, 128)).save(path, "JPEG"))
    victim, lost = data / "train" / "2" / "00.jpg", data / "train" / "7" / "01.jpg"
    content = bytearray(victim.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 60] = bytes(range(60))
    victim.write_bytes(content)
    lost.write_bytes(lost.read_bytes()[:300])
    done = commands.zoo("finetune", data, *SMALL, "--output", tmp_path / "run")
    assert done.poll() == 0
    findings = json.loads((tmp_path / "run" / "result.json").read_text())["findings"]
    (finding,) = [finding for finding in findings if "damaged inside (" in finding]
    assert finding.startswith("train/2/00.jpg: ") and finding in done.stdout
    rows = {row["path"]: row for row in table(tmp_path / "run" / "files.csv")}
    assert len(rows) == 24 and "truncated" in rows["train/7/01.jpg"]["reason"]
    for path, row in rows.items():
        assert row["sha256"] == hashlib.sha256((data / path).read_bytes()).hexdigest()
    predicted = commands.zoo("predict", tmp_path / "run", victim)
    assert predicted.poll() == 0 and f"note: {victim}: damaged inside (" in predicted.stderr


# As if the folder were a hundred times as large: a shard a picture, or a batch.
MANY_SHARDS = """
import resource
from recipes.data import decoding
from recipes.transfer import passes
decoding.SHARD_IMAGES = 1
passes.SHARD_BYTES = 1
resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.slow
@pytest.mark.fault(
    "Runs",
    "`ulimit -n 80`, and a cache of hundreds of files",
    "finetune and tune end as they do otherwise",
    "each file is open only while it is read",
)
def test_few_open_files(tmp_path, cache):
    data = digits(tmp_path / "data", ".png", save(lambda grey: grey), images=50)
    done = commands.zoo("finetune", data, *SMALL, "--batch-size", "2", "--output", tmp_path / "run", setup=MANY_SHARDS)
    assert done.poll() == 0, done.stderr
    assert len(list((cache / "pixels").rglob("*.npy"))) >= 100 and len(list((cache / "features").rglob("*.npy"))) >= 50
    assert json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]["test"]["accuracy"] >= 0.75
    tuning = ("--model", "lenet5", "--weights", "mnist", "--trials", "2", "--epochs", "2", "--batch-size", "2")
    searched = commands.zoo("tune", data, *tuning, "--output", tmp_path / "tune", setup=MANY_SHARDS)
    assert searched.poll() == 0, searched.stderr
    assert (tmp_path / "tune" / "best" / "model.keras").exists()


@pytest.mark.slow
@pytest.mark.fault(
    "Runs",
    "files of the cache that are empty, `[]`, or a folder, before a run",
    "the run says which it forgets, computes them again, and has the same result; the next run finds them whole",
    "a cache holds nothing that cannot be had again",
)
def test_damaged_caches_are_computed_again(plain, tmp_path, cache):
    def run(name):
        done = commands.zoo("finetune", plain / "data", *SMALL, "--output", tmp_path / name)
        assert done.poll() == 0
        return done, (tmp_path / name / "files.csv").read_bytes()

    _, expected = run("first")
    (pixels,), (features,) = ([*(cache / kind).rglob("*.npy")] for kind in ("pixels", "features"))
    pixels.write_bytes(b"")
    features.with_suffix(".json").write_text("[]")
    again, found = run("again")
    assert found == expected and again.stderr.count("of the cache is unreadable (") == 2
    assert str(pixels.with_suffix(".json")) in again.stderr and str(features.with_suffix(".json")) in again.stderr
    last, found = run("last")
    assert found == expected and "unreadable" not in last.stderr


@pytest.mark.slow
@pytest.mark.fault(
    "Runs",
    "the state of an interrupted training is damaged, and in the second run the state before it as well",
    "the state before it is used, or the training begins anew: said, and the result is the same",
    "nothing but time is lost",
)
def test_damaged_states_of_a_training(plain, tmp_path, cache):
    arguments = ("finetune", plain / "data", "--model", "lenet5", "--strategy", "scratch", "--weights", "none")
    arguments += ("--epochs", "6", "--batch-size", "8", "--augment", "none", "--output")
    kill = """
import os
from callbacks.checkpoint import TrainingState
save = TrainingState._save
def die(self, epoch):
    save(self, epoch)
    if epoch == 4:
        os._exit(9)
TrainingState._save = die
"""
    whole = commands.zoo(*arguments, tmp_path / "whole")
    assert whole.poll() == 0, whole.stderr
    for said, damaged in {
        "going on from the state before it, epoch 3": ("state.npz",),
        "the run begins anew": ("state.npz", "previous.npz"),
    }.items():
        killed = commands.zoo(*arguments, tmp_path / "killed", setup=kill)
        assert killed.poll() == 9
        (state,) = (cache / "training").rglob("state.npz")
        for name in damaged:
            state.with_name(name).write_bytes(b"")
        done = commands.zoo(*arguments, tmp_path / said)
        assert done.poll() == 0 and f"warning: {state} is damaged" in done.stderr and said in done.stderr
        assert "Remove the folder" not in done.stderr
        assert (tmp_path / said / "files.csv").read_bytes() == (tmp_path / "whole" / "files.csv").read_bytes()
