"""Odd folders through the commands: outputs and caches among the pictures, leaks, and folders to predict on."""

import csv
import json
import os
import shutil
from pathlib import Path

import commands
import numpy as np
import pytest
from PIL import Image

from recipes.data.dataset import prepare, training_files
from recipes.data.images import Framing
from recipes.data.sources.folder import scan_folder
from recipes.errors import UserError

QUICK = ("--model", "lenet5", "--strategy", "small", "--mirror", "no")
FRAMING = Framing(28, 28, 1)


def draw(path: Path, kind: int, number: int) -> None:
    """A picture of a kind: its brightness tells."""
    noise = np.random.default_rng((kind, number)).integers(0, 60, (32, 32))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.uint8(noise + 90 * kind)).save(path)


def draw_classes(root: Path, count: int, start: int = 0) -> Path:
    """Folders of the classes cat and dog."""
    for kind, label in enumerate(("cat", "dog")):
        for i in range(start, start + count):
            draw(root / label / f"{i}.png", kind, i)
    return root


def rows(run: Path) -> list[dict]:
    with open(run / "files.csv", newline="") as file:
        return list(csv.DictReader(file))


def result(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run that tells dark cats from bright dogs."""
    folder = tmp_path_factory.mktemp("trained")
    command = commands.zoo("finetune", draw_classes(folder / "data", 6), *QUICK, "--output", folder / "run")
    assert command.poll() == 0, command.stderr
    return folder / "run"


@pytest.mark.slow
@pytest.mark.fault(
    "Folders",
    "commands are run in the folder of images, so that runs/ and the cache lie among the classes",
    "they are left out, and named; the second run is as the first",
    "the outputs would be further classes",
)
def test_commands_in_the_folder_of_images(tmp_path):
    data = draw_classes(tmp_path / "data", 6)
    assert commands.zoo("inspect_kernels", "lenet5", cwd=data, ZOO_CACHE="cache").poll() == 0
    found = []
    for left_out in ("runs", "cache, runs"):
        command = commands.zoo("finetune", ".", *QUICK, cwd=data, ZOO_CACHE="cache")
        assert command.poll() == 0, command.stderr
        assert f"Folders that this program wrote (runs, searches, caches), left out: {left_out}." in command.stdout
        found.append((result(data / "runs/finetune/data")["classes"], rows(data / "runs/finetune/data")))
    assert found[0] == found[1] and found[0][0] == ["cat", "dog"] and len(found[0][1]) == 12


@pytest.mark.slow
@pytest.mark.parametrize("command", ["finetune", "tune", "rank", "compare_optimizers", "compare_regularizers", "lenet_mnist"])
def test_no_command_writes_among_the_pictures(command, tmp_path):
    data = draw_classes(tmp_path / "data", 6)
    before = sorted(data.rglob("*"))
    sizes = ("--sizes", "4", "--held-out", "2") if command == "compare_regularizers" else ()
    said = commands.refused(command, data, "--output", data / "new" / "out", *sizes)
    assert f"--output {data}/new/out lies inside the folder of images {data}" in said
    assert sorted(data.rglob("*")) == before


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder to predict on, with what such folders hold."""
    for i in range(3):
        draw(tmp_path / "new" / f"{i}.png", 0, 100 + i)
        draw(tmp_path / "new" / "deep" / f"{i}.png", 1, 100 + i)
        draw(tmp_path / "elsewhere" / "batch" / f"{i}.png", 1, 200 + i)
    os.symlink("../elsewhere/batch", tmp_path / "new" / "linked")
    os.symlink("..", tmp_path / "new" / "deep" / "up")
    for name in ("Thumbs.db", "desktop.ini", ".hidden.png"):
        (tmp_path / "new" / name).write_bytes(b"\xd0\xcf\x11\xe0[.ShellClassInfo]")
    return tmp_path / "new"


def predicted(command: commands.Command) -> dict[str, str]:
    """The likeliest class of each picture."""
    return {path: guess.split()[0] for path, _, guess in (line.partition("  ") for line in command.stdout.splitlines())}


@pytest.mark.slow
@pytest.mark.fault(
    "Prediction",
    "a folder to predict on with linked folders, system files and a text file",
    "links are followed once, system files ignored, what is no picture is named; status 0",
    "training walks folders in the same way",
)
def test_predict_walks_as_training_does(trained, photos):
    (photos / "readme.txt").write_text("Holidays")
    (photos / "deep" / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    os.symlink("nowhere", photos / "gone.png")
    shutil.copytree(trained, photos / "old run")
    command = commands.zoo("predict", trained, photos)
    assert command.poll() == 0, command.stderr
    places = {"": "cat", "deep/": "dog", "linked/": "dog"}
    assert predicted(command) == {f"{photos}/{place}{i}.png": label for place, label in places.items() for i in range(3)}
    for words in (
        f"{photos}/readme.txt is a text file: left out",
        f"{photos}/deep/bad.jpg is damaged",
        f"{photos}/gone.png is a link to what does not exist: left out",
        "Hidden or system files and folders, ignored: 3",
        "Links to folders: linked, deep/up",
        "skipped: deep/up",
        "that this program wrote (runs, searches, caches), left out: old run",
    ):
        assert words in command.stderr
    assert {file.path for file in scan_folder(photos.parent).files if file.label == "new"} >= {
        os.path.relpath(path, photos.parent) for path in predicted(command)
    }


@pytest.mark.slow
@pytest.mark.fault(
    "Prediction",
    "a file that was named itself is no picture, or is not there",
    "all others are predicted, then it is named; status 2",
    "a script must learn that an answer is missing",
)
def test_what_was_named_itself_must_be_a_picture(trained, photos):
    (photos / "readme.txt").write_text("Holidays")
    (photos / "empty").mkdir()
    given = [photos / "readme.txt", photos / "none.png", photos / "empty", photos / "Thumbs.db", photos / "[01].png"]
    command = commands.zoo("predict", trained, *given)
    assert command.poll() == 2 and predicted(command) == {f"{photos}/{i}.png": "cat" for i in range(2)}
    said = command.stderr.splitlines()[-1]
    assert said.startswith("zoo: 3 of what was given could not be predicted, 2 pictures were: ")
    assert all(
        f"{photos}/{words}" in said for words in ("readme.txt is a text file", "none.png is no picture", "empty is a folder")
    )


@pytest.mark.slow
def test_predict_without_pictures(trained, tmp_path):
    assert f"`zoo predict {trained} IMAGE...`" in commands.refused("predict", trained)
    (tmp_path / "a.txt").write_text("no picture")
    assert "Nothing that was given is a picture" in commands.refused("predict", trained, tmp_path)


@pytest.fixture
def leaking(tmp_path) -> Path:
    """val/ holds a picture of train/ under another label, test/ one of val/ and one of train/; train/ holds one twice."""
    root = tmp_path / "leaking"
    for part, start in (("train", 0), ("val", 20), ("test", 40)):
        draw_classes(root / part, 6 if part == "train" else 3, start)
    for source, copy in (
        ("train/cat/0.png", "val/dog/leak.png"),
        ("train/cat/0.png", "test/cat/both.png"),
        ("val/dog/20.png", "test/dog/leak.png"),
        ("train/dog/1.png", "train/dog/again.png"),
    ):
        shutil.copy(root / source, root / copy)
    return root


LEAKS = {
    "val/dog/leak.png": "train/cat/0.png",
    "test/cat/both.png": "train/cat/0.png",
    "test/dog/leak.png": "val/dog/20.png",
}


@pytest.mark.slow
@pytest.mark.fault(
    "Folders",
    "pictures of train/ that lie in val/ or test/, too, or of val/ in test/",
    "left out of what is measured, named and counted; --keep-leaks keeps them",
    "a picture that was learnt says nothing about new ones",
)
def test_leaks_are_not_measured(leaking, tmp_path):
    command = commands.zoo("finetune", leaking, *QUICK, "--output", tmp_path / "run")
    assert command.poll() == 0 and "left out of what is measured" in command.stdout, command.stderr
    found = result(tmp_path / "run")
    assert found["counts"] == {"train": 13, "validation": 6, "test": 6, "left_out": 3}
    assert found["metrics"]["test"]["images"] == 6 and found["metrics"]["validation"]["images"] == 6
    (said,) = [finding for finding in found["findings"] if "--keep-leaks" in finding]
    assert "1 of validation, 2 of test" in said
    assert {row["path"]: row["reason"] for row in rows(tmp_path / "run") if not row["split"]} == {
        path: f"is a copy of {first}, of another part" for path, first in LEAKS.items()
    }


@pytest.mark.slow
def test_leaks_can_be_kept(leaking, tmp_path):
    command = commands.zoo("finetune", leaking, *QUICK, "--keep-leaks", "--output", tmp_path / "run")
    assert command.poll() == 0 and "results on them say nothing" in command.stdout, command.stderr
    found = result(tmp_path / "run")
    assert found["counts"] == {"train": 13, "validation": 7, "test": 8, "left_out": 0}
    assert (
        "--keep-leaks --strategy small" in found["command"]
        and json.loads((tmp_path / "run/recipe.json").read_text())["keep_leaks"]
    )


def test_a_part_that_leaks_as_a_whole_is_refused(tmp_path):
    draw_classes(tmp_path / "train", 4)
    shutil.copytree(tmp_path / "train", tmp_path / "val")
    with pytest.raises(UserError, match=r"Each of the 8 pictures that .* gives for validation is a copy .* --keep-leaks"):
        prepare(scan_folder(tmp_path), FRAMING, 0.2, 0.2, 0)


def test_a_class_of_which_leaks_leave_nothing_is_named(tmp_path):
    draw_classes(tmp_path / "train", 4)
    draw_classes(tmp_path / "val", 2, 10)
    shutil.rmtree(tmp_path / "val/cat")
    shutil.copytree(tmp_path / "train/cat", tmp_path / "val/cat")
    data = prepare(scan_folder(tmp_path), FRAMING, 0.2, 0.2, 0)
    assert data.counts("validation") == {"cat": 0, "dog": 2}
    assert data.findings[-1].endswith("No other picture is there of: cat in validation.")


@pytest.mark.parametrize("seed", range(3))
def test_what_divides_train_follows_what_leaks(leaking, seed):
    """Of train/ and test/ the validation part is split off train/, in which the copies stay."""
    shutil.rmtree(leaking / "val")
    listing = scan_folder(leaking)
    data = prepare(listing, FRAMING, 0.2, 0.2, seed)
    assert len(data.part("test")) == 7 and len(data.part("train")) + len(data.part("validation")) == 13
    assert [file.path for file in training_files(listing, 0.2, 0.2, seed)] == [data.paths[i] for i in data.part("train")]
    assert data.inner(seed).paths == [data.paths[i] for i in data.part("train")]
    parts = {digest: {data.splits[i] for i, other in enumerate(data.digests) if other == digest} for digest in data.digests}
    assert all(len(found) == 1 for found in parts.values())
