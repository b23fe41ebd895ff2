"""`zoo check`: every fault that is planted is found and nothing else is, nothing is touched, and its status tells a machine."""

import csv
import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path, PurePath

import commands
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from scenes import scene, scenes_folder

from recipes import check
from recipes.data import decoding
from recipes.data.findings import KINDS, LEVELS, Finding, grouped
from recipes.settings.check import Checking

pytestmark = pytest.mark.slow


def digests(root: Path) -> dict[str, tuple]:
    """What the files of a folder hold, and when they were written."""
    return {
        path.relative_to(root).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def checked(*arguments, status: int, output: Path, **how) -> dict:
    """Run `zoo check`, which must end with a status, and return what it wrote as JSON."""
    done = commands.zoo("check", *arguments, "--output", output, **how)
    assert done.poll() == status, f"{done.stdout}\n{done.stderr}"
    return json.loads((output / "check.json").read_text())


def rows_of(table: Path) -> list[dict]:
    with open(table, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    """Two parts of two classes with 20 pictures each, of which none is odd."""
    return scenes_folder(tmp_path_factory.mktemp("clean") / "photos", 20, ("train", "val"))


@pytest.fixture(scope="module")
def faulty(clean, tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """The same with a fault of each kind, and {path: kind}."""
    root = tmp_path_factory.mktemp("faulty") / "photos"
    for path in sorted(clean.rglob("*.jpg")):
        there = root / path.relative_to(clean)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(path.read_bytes())
    planted = {}

    def plant(kind: str, name: str, content: Image.Image | bytes) -> None:
        path = root / name
        path.write_bytes(content) if isinstance(content, bytes) else content.save(path)
        planted[name] = kind

    def original(name: str) -> Image.Image:
        return Image.open(root / name)

    plant("unreadable", "train/bees/torn.jpg", (root / "train/bees/0.jpg").read_bytes()[:900])
    plant("unreadable", "train/bees/text.jpg", b"<html>404</html>")
    plant("copy", "train/bees/again.jpg", (root / "train/bees/1.jpg").read_bytes())
    plant("conflict", "train/bees/both.jpg", (root / "train/ants/2.jpg").read_bytes())
    plant("leak", "val/ants/known.jpg", (root / "train/ants/3.jpg").read_bytes())
    plant("near copy", "train/bees/smaller.jpg", original("train/bees/4.jpg").resize((96, 72)))
    plant("near conflict", "train/bees/mirrored.jpg", ImageOps.mirror(original("train/ants/5.jpg")))
    plant("near leak", "val/ants/brighter.jpg", ImageEnhance.Brightness(original("train/ants/6.jpg")).enhance(1.2))
    plant("blank", "train/ants/blank.png", Image.new("RGB", (160, 120), (90, 90, 90)))
    plant("dark", "train/ants/dark.png", Image.eval(scene(1001), lambda value: max(0, value - 128) // 2))
    plant("bright", "train/ants/bright.png", Image.eval(scene(1002), lambda value: 255 - max(0, value - 128) // 2))
    plant(
        "blurred", "train/ants/blurred.png", ImageEnhance.Contrast(scene(1003)).enhance(3).filter(ImageFilter.GaussianBlur(2))
    )
    plant("odd-shaped", "train/ants/long.png", scene(1004, (480, 60)))
    plant("small", "train/ants/tiny.png", scene(1005, (28, 21)))
    plant("large", "train/ants/huge.png", scene(1006, (800, 600)))
    return root, planted


def test_what_is_well_is_passed(clean, tmp_path):
    before = digests(clean)
    found = checked(clean, status=0, output=tmp_path / "out")
    assert found["verdict"] == "fine" and found["findings"] == [] and found["pictures"] == 80
    assert found["class_counts"] == {"ants": {"train": 20, "validation": 20}, "bees": {"train": 20, "validation": 20}}
    rows = rows_of(tmp_path / "out/files.csv")
    assert {row["verdict"] for row in rows} == {"fine"} and len(rows) == 80
    assert {row["path"]: row["sha256"] for row in rows} == {path: digest for path, (digest, _) in before.items()}
    assert digests(clean) == before


@pytest.mark.fault(
    "Data",
    "Copies, leaks, near-duplicates, pictures of nothing: a fault of each kind in one folder",
    "`zoo check` names each file with its reason and its remedy, and no other file",
    "what is wrong with the data is found out from a model that disappoints, if at all",
)
def test_each_fault_is_found_and_nothing_else(faulty, tmp_path):
    root, planted = faulty
    before = digests(root)
    done = commands.zoo("check", root, "--output", tmp_path / "out")
    assert done.poll() == 1
    found = json.loads((tmp_path / "out/check.json").read_text())
    enlarged = {"train/ants/tiny.png": "content"}  # said of what is small, besides
    pairs = Counter((one["path"], one["kind"]) for one in found["findings"])
    assert pairs == Counter([*planted.items(), *enlarged.items()]) and found["verdict"] == "error"
    assert found["kinds"] == Counter([*planted.values(), *enlarged.values()])
    rows = {row["path"]: row for row in rows_of(tmp_path / "out/files.csv")}
    assert set(rows) == set(before)
    for path, row in rows.items():
        kind = planted.get(path)
        assert row["verdict"] == (KINDS[kind].level if kind else "fine")
        assert (KINDS[kind].remedy if kind else "") in row["remedy"] and bool(row["reason"]) == bool(kind)
    suggested = {row["path"]: row for row in rows_of(tmp_path / "out/corrections.csv")}
    assert set(suggested) <= set(planted) and {row["action"] for row in suggested.values()} == {""}
    assert suggested["train/bees/smaller.jpg"]["suggestion"] == "group"
    page = (tmp_path / "out/check.html").read_text()
    for path, kind in planted.items():
        assert path in page and KINDS[kind].title in page and path in done.stdout
    assert digests(root) == before


def test_kinds_are_counted_never_a_line_a_picture(clean, tmp_path):
    root = tmp_path / "photos"
    for path in clean.rglob("*.jpg"):
        for name in (path.stem, *(f"{path.stem}-{copy}" for copy in range(3))):
            there = root / path.relative_to(clean).with_name(f"{name}.jpg")
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(path.read_bytes())
    done = commands.zoo("check", root, "--output", tmp_path / "out")
    assert done.poll() == 0
    (line,) = [line for line in done.stdout.splitlines() if "Copies" in line]
    assert ": 240 (" in line and "238 more" in line
    assert len(done.stdout.partition("\nnext:")[0].splitlines()) < 8


def test_status_json_and_strict(faulty, tmp_path):
    root, planted = faulty
    warned = tmp_path / "photos"
    for part in ("train", "val"):
        for path in (root / part).rglob("*.*"):
            name = path.relative_to(root).as_posix()
            if planted.get(name) in (None, "near conflict", "blank"):
                (warned / name).parent.mkdir(parents=True, exist_ok=True)
                (warned / name).write_bytes(path.read_bytes())
    assert checked(warned, status=0, output=tmp_path / "a")["verdict"] == "warning"
    assert checked(warned, "--strict", status=1, output=tmp_path / "b")["levels"] == {"error": 0, "warning": 2, "note": 0}
    done = commands.zoo("check", warned, "--json", "--output", tmp_path / "c")
    printed, written = json.loads(done.stdout), json.loads((tmp_path / "c/check.json").read_text())
    assert printed == written and printed["levels"]["warning"] == 2 and set(printed["levels"]) == set(LEVELS[:-1])


def test_what_was_read_is_not_read_again(clean, tmp_path, monkeypatch):
    examined, examine = [], decoding.examine
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(decoding, "examine", lambda *given: examined.append(1) or examine(*given))
    for count in (80, 80):
        check.run(Checking(clean, output=tmp_path / "out"))
        assert len(examined) == count


def test_names_in_findings_can_be_printed():
    (line,) = grouped([Finding("copy", "a/\udce9", "is a copy of b/\nc")])
    assert "a/\\udce9 is a copy of b/\\nc" in line and line.isprintable()


def test_small_classes_and_missing_ones(tmp_path):
    root = scenes_folder(tmp_path / "photos", 6, ("train",))
    for number in range(3):
        (root / "val/ants").mkdir(parents=True, exist_ok=True)
        scene(500 + number).save(root / f"val/ants/{number}.jpg")
    found = checked(root, status=0, output=tmp_path / "out")
    assert {one["kind"] for one in found["findings"]} == {"small class", "source"}
    sentences = [one["reason"] for one in found["findings"]]
    assert "ants has 6 to train on" in sentences and "val/ has no pictures of some classes: bees." in sentences


@pytest.mark.fault(
    "Data",
    "All pictures of one class come from one camera, or have one size",
    "`zoo check` says how well the size alone tells the class, beside chance",
    "the network learns the camera, and is praised for it until new pictures come",
)
def test_a_size_that_gives_the_class_away(tmp_path):
    root = tmp_path / "photos"
    for number in range(40):
        label, size = ("ants", (160, 120)) if number % 2 else ("bees", (168, 120))
        (root / label).mkdir(parents=True, exist_ok=True)
        scene(number, size).save(root / label / f"{number}.jpg")
    found = checked(root, status=0, output=tmp_path / "out")
    (difference,) = [one for one in found["findings"] if one["kind"] == "difference"]
    assert "The size alone tells the class: 100 % right" in difference["reason"] and difference["level"] == "warning"


def test_a_person_corrects_and_no_more_is_said_of_it(faulty, tmp_path):
    root, planted = faulty
    checked(root, status=1, output=tmp_path / "out")
    rows = rows_of(tmp_path / "out/corrections.csv")
    actions = {"train/ants/dark.png": "keep", "train/bees/smaller.jpg": "group", "val/ants/known.jpg": "leave out"}
    table = tmp_path / "mine.csv"
    with open(table, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"action": actions.get(row["path"], "")} for row in rows)
    found = checked(root, "--corrections", table, status=1, output=tmp_path / "again")
    left = {one["path"]: one["kind"] for one in found["findings"] if one["path"]}
    assert "train/ants/dark.png" not in left and "leak" not in left.values()
    assert found["corrections"]["actions"] == {"keep": 1, "leave out": 1, "relabel": 0, "group": 1}
    kept = [row for row in rows_of(tmp_path / "again/corrections.csv") if row["action"]]
    assert {row["path"]: row["action"] for row in kept} == actions
    again = commands.zoo("check", root, "--output", tmp_path / "out")
    (tmp_path / "out/corrections.csv").write_bytes(table.read_bytes())
    again = commands.zoo("check", root, "--output", tmp_path / "out")
    assert again.poll() == 1 and (tmp_path / "out/corrections.csv").read_bytes() == table.read_bytes()
    assert (tmp_path / "out/corrections.new.csv").exists() and "corrections.new.csv" in again.stdout


@pytest.mark.fault(
    "Data",
    "Pictures without labels, in no class folder",
    "`zoo check` looks at them as they are; with --model it says that labels are needed",
    "new pictures cannot be looked at before somebody has labelled them",
)
def test_pictures_without_labels(tmp_path):
    root = tmp_path / "new"
    root.mkdir()
    for number in range(4):
        scene(number).save(root / f"{number}.jpg", quality=90)
    ImageOps.mirror(scene(0)).save(root / "mirrored.jpg")
    (root / "text.jpg").write_bytes(b"no picture")
    found = checked(root, status=1, output=tmp_path / "out")
    assert {one["path"]: one["kind"] for one in found["findings"] if one["path"]} == {
        "mirrored.jpg": "near copy",
        "text.jpg": "unreadable",
    }
    assert found["class_counts"] == {} and found["pictures"] == 5
    assert "without labels" in (tmp_path / "out/check.html").read_text()
    refused = commands.refused("check", root, "--model", "lenet5", "--output", tmp_path / "b")
    assert "the images are not in class folders" in refused


def test_deep_pictures_are_looked_at_in_their_own_range(tmp_path):
    root = tmp_path / "photos"
    for number in range(40):
        label = "ants" if number % 2 else "bees"
        (root / label).mkdir(parents=True, exist_ok=True)
        values = np.asarray(scene(number).convert("L"), "uint16") * 16
        Image.fromarray(values).save(root / label / f"{number}.png")
    found = checked(root, status=0, output=tmp_path / "out")
    assert {one["kind"] for one in found["findings"]} == {"source"}
    assert "read as 0 to 4095" in found["findings"][0]["reason"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{root}/none"], "does not exist"),
        (["{root}", "--weights", "imagenet"], "--weights belongs to a --model"),
        (["{root}", "--corrections", "{root}/none.csv"], "none.csv"),
        (["{root}", "--model", "lenet6"], "lenet5"),
    ],
)
def test_bad_arguments_are_one_sentence(arguments, sentence, clean, tmp_path):
    found = commands.refused("check", *(a.format(root=clean) for a in arguments), "--output", tmp_path / "out")
    assert sentence in found and not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.fault(
    "Data",
    "A tenth of the test pictures are training pictures, as they are or compressed again",
    "They are found, named and left out of what is measured, so that the accuracy is the one without them",
    "the accuracy that is reported is that of pictures which the network has seen",
)
@pytest.mark.parametrize("is_near", [False, True])
def test_a_leak_of_a_tenth_changes_no_accuracy(is_near, shared, tmp_path):
    source, root = shared / "data" / "hymenoptera", tmp_path / "photos"
    for path in sorted(source.glob("*/*/*.jpg"))[::2]:
        there = root / path.relative_to(source)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, there)
    weights = shared / "weights" / "mobilenet_0.25_128_imagenet_uint8_dequantized.h5"
    given = ["--model", "mobilenet", "--alpha", "0.25", "--image-size", "128", "--weights", weights, "--strategy", "small"]

    def measured(name: str) -> dict:
        done = commands.zoo("finetune", root, *given, "--mirror", "no", "--output", tmp_path / name)
        assert done.poll() == 0, done.stderr
        return json.loads((tmp_path / name / "result.json").read_text())

    before = measured("before")
    leaked = [path for label in ("ants", "bees") for path in sorted((root / "train" / label).iterdir())[5:9]]
    for path in leaked:
        there = root / "val" / path.parent.name / f"leak-{path.name}"
        if is_near:
            picture = Image.open(path).convert("RGB")
            picture.resize((picture.width * 3 // 4, picture.height * 3 // 4)).save(there, quality=60)
        else:
            there.write_bytes(path.read_bytes())
    kind = "near leak" if is_near else "leak"
    found = checked(root, status=0 if is_near else 1, output=tmp_path / "check")
    assert sorted(PurePath(one["path"]).name for one in found["findings"] if one["kind"] == kind) == sorted(
        f"leak-{path.name}" for path in leaked
    )
    after = measured("after")
    assert after["metrics"] == before["metrics"] and after["counts"]["left_out"] - before["counts"]["left_out"] == 8
    (sentence,) = [one for one in after["findings"] if "of which an earlier part holds" in one]
    assert "8 of validation" in sentence
