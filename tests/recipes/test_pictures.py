"""Pictures of every kind through the commands: what training says of them, prediction does as well, and no result is lost."""

import csv
import hashlib
import io
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
    "trained and predicted on as if they were of 8 bits: every probability is the same, and the range is said",
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
    assert [row["probability"] for row in found] == [row["probability"] for row in expected]
    new = tmp_path / "new"
    new.mkdir()
    dark, bright = new / f"dark{suffix}", new / f"too bright{suffix}"
    shutil.copy(data / "test" / "7" / f"08{suffix}", new)
    Image.fromarray((convert(np.full((32, 32), 255, "uint8")) * 0.05).astype(convert(np.zeros(1)).dtype)).save(dark)
    Image.fromarray((convert(np.full((32, 32), 255, "uint8")) * 8).astype(convert(np.zeros(1)).dtype)).save(bright)
    refusal = commands.zoo("predict", tmp_path / "run", new)
    assert refusal.poll() == 2
    (listed,) = [row for row in found if row["path"] == f"test/7/08{suffix}"]
    line = next(line for line in refusal.stdout.splitlines() if f"08{suffix}" in line)
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
from recipes.transfer import features
decoding.SHARD_IMAGES = 1
features.SHARD_BYTES = 1
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
    runs = {"few": MANY_SHARDS, "many": ""}
    for name, setup in runs.items():
        arguments = ("finetune", data, *SMALL, "--batch-size", "2", "--output", tmp_path / name)
        done = commands.zoo(*arguments, setup=setup)
        assert done.poll() == 0, done.stderr
    assert len(list((cache / "pixels").rglob("*.npy"))) >= 100 and len(list((cache / "features").rglob("*.npy"))) >= 50
    few, many = (json.loads((tmp_path / name / "result.json").read_text())["metrics"]["test"] for name in runs)
    assert few == many
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
    for array in (cache / "features").rglob("*.npy"):
        array.unlink()
        array.mkdir()
    third, found = run("third")
    assert found == expected and third.stderr.count("of the cache is unreadable (") == 1
    last, found = run("last")
    assert found == expected and "unreadable" not in last.stderr


def _bad_method(path: Path) -> None:
    """Give the members of a zip a way of compression that nobody knows."""
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        at = content.find(mark)
        while at >= 0:
            content[at + place : at + place + 2] = (99).to_bytes(2, "little")
            at = content.find(mark, at + 4)
    path.write_bytes(content)


def _list(path: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, state=np.frombuffer(b"[]", np.uint8))
    path.write_bytes(stream.getvalue())


STATES = {"empty": lambda path: path.write_bytes(b""), "[]": _list, "bad zip method": _bad_method}


@pytest.mark.slow
@pytest.mark.parametrize("damage", STATES)
@pytest.mark.fault(
    "Runs",
    "the state of an interrupted training is empty, `[]`, or a zip of an unknown method",
    "the state before it is used, or, if that is damaged as well, the training begins anew: said, and the result is the same",
    "nothing but time is lost",
)
def test_damaged_states_of_a_training(plain, tmp_path, cache, damage):
    arguments = ("finetune", plain / "data", "--model", "lenet5", "--strategy", "scratch", "--weights", "none")
    arguments += ("--epochs", "6", "--batch-size", "8", "--augment", "none", "--output")
    kill = """
from callbacks.checkpoint import TrainingState
save = TrainingState._save
def die(self, epoch):
    save(self, epoch)
    if epoch == 4:
        import os
        os._exit(9)
TrainingState._save = die
"""
    whole = commands.zoo(*arguments, tmp_path / "whole")
    assert whole.poll() == 0, whole.stderr
    for both in (False, True):
        shutil.rmtree(cache / "training", ignore_errors=True)
        assert commands.zoo(*arguments, tmp_path / "killed", setup=kill).poll() == 9
        (state,) = (cache / "training").rglob("state.npz")
        STATES[damage](state)
        if both:
            STATES[damage](state.with_name("previous.npz"))
        done = commands.zoo(*arguments, tmp_path / f"resumed {both}")
        assert done.poll() == 0 and f"warning: {state} is damaged" in done.stderr
        assert ("The training begins anew" if both else "going on from the state before it, epoch 3") in done.stderr
        assert "Remove the folder" not in done.stderr
        assert (tmp_path / f"resumed {both}" / "files.csv").read_bytes() == (tmp_path / "whole" / "files.csv").read_bytes()
