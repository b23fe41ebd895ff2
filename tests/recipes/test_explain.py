"""`zoo explain` as its users run it, on a run of grey digits; and the mistakes in that run's report, explained the same way."""

import json
import shutil

import numpy as np
import pytest
from commands import refused, zoo
from helpers import few_digits
from page import Page
from PIL import Image


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    """A folder with data, a run and what `zoo explain` wrote of two digits of each class."""
    folder = tmp_path_factory.mktemp("explain")
    digits = few_digits(folder / "digits", images=12, classes=3)
    zoo("finetune", digits, "--model", "lenet5", "--strategy", "small", "--output", folder / "run")
    (folder / "asked").mkdir()
    for label in "012":
        for path in sorted((digits / label).iterdir())[:2]:
            shutil.copy(path, folder / "asked" / f"{label}-{path.name}")
    command = zoo("explain", folder / "run", folder / "asked", "--output", folder / "out")
    assert command.poll() == 0, command.stderr
    (folder / "printed.txt").write_text(command.stdout)
    return folder


def values(folder):
    return json.loads((folder / "explain.json").read_text())


@pytest.mark.slow
def test_each_picture_has_its_classes_a_map_a_check_and_the_nearest_training_pictures(explained):
    found, printed = values(explained / "out"), (explained / "printed.txt").read_text()
    predicted = zoo("predict", explained / "run", explained / "asked").stdout
    assert found["stages"] == ["stage2"] and len(found["pictures"]) == 6
    for row in found["pictures"]:
        top = [(one["class"], one["probability"]) for one in row["top"]]
        line = f"{row['path']}  " + "  ".join(f"{name} {probability:.4f}" for name, probability in top)
        assert line in predicted and line in printed
        assert row["maps"][0]["class"] == top[0][0] and "hottest" in row["maps"][0]["words"]
        assert row["check"]["whole"] == pytest.approx(top[0][1], abs=1e-3)
        assert row["check"]["verdict"] in printed
        with Image.open(explained / "out" / row["overlay"]) as overlay:
            assert overlay.format == "PNG" and min(overlay.size) >= 224 and overlay.mode == "RGB"
    assert "Open " in printed and found["summary"] in printed


@pytest.mark.slow
def test_the_nearest_are_training_pictures_by_a_distance_computed_otherwise(explained):
    """Of each picture that was not trained on; one that was is not its own neighbour."""
    with np.load(explained / "run" / "reference.npz") as file:
        known, digests = file["features"].astype("float64"), file["digests"]
        paths = bytes(file["paths"]).decode().split("\0")
    from hashlib import sha256

    seen = 0
    for row in values(explained / "out")["pictures"]:
        digest = sha256((explained / "asked" / row["path"].rsplit("/", 1)[-1]).read_bytes()).hexdigest()
        nearest = [one["path"] for one in row["nearest"]]
        assert len(nearest) == 4 and set(nearest) <= set(paths)
        if digest in digests:
            seen += 1
            own = int(np.flatnonzero(digests == digest)[0])
            roots = np.sign(known) * np.sqrt(np.abs(known))
            units = roots - roots.mean(axis=0)
            units /= np.linalg.norm(units, axis=1, keepdims=True)
            likeness = units @ units[own]
            likeness[own] = -1
            found = [likeness[paths.index(path)] for path in nearest]
            assert found == pytest.approx(np.sort(likeness)[::-1][:4].tolist(), abs=1e-2)
    assert seen


@pytest.mark.slow
def test_the_page_is_whole_and_its_pictures_have_words(explained):
    text = (explained / "out" / "explain.html").read_text()
    page = Page(text)
    assert "What the run “run” looks at" in page.text("headline") and "6 pictures" in page.text("headline")
    words = [alt for alt in page.images("alt") if alt.startswith("Heat map for ")]
    assert len(words) == 6 and all("hottest" in one for one in words)
    assert all(page.images("alt"))
    assert "<script" not in text and str(explained) not in text


@pytest.mark.slow
def test_another_class_and_another_stage_are_asked_about(explained, tmp_path):
    one = next((explained / "asked").iterdir())
    command = zoo("explain", explained / "run", one, "--class", "2", "--stage", "stage1", "--output", tmp_path / "out")
    assert command.poll() == 0
    found = values(tmp_path / "out")
    assert found["stages"] == ["stage1"] and found["pictures"][0]["maps"][0]["class"] == "2"
    assert "the run's classes: choose one of 0, 1, 2" in refused("explain", explained / "run", one, "--class", "7")
    assert "choose one of stage1, stage2" in refused("explain", explained / "run", one, "--stage", "stage9")


@pytest.mark.slow
@pytest.mark.fault(
    "Prediction",
    "one of the pictures to explain is damaged",
    "it is named, with status 2; all others have been explained before that is said",
    "a program that ends at the first bad file is of no use for a folder",
)
def test_a_damaged_picture_is_named_and_the_others_are_explained(explained, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    good = next((explained / "asked").iterdir())
    said = refused("explain", explained / "run", bad, good, "--output", tmp_path / "out")
    assert "1 of what was given could not be explained, 1 pictures were" in said and "bad.png" in said
    assert len(values(tmp_path / "out")["pictures"]) == 1
    before = {path: path.read_bytes() for path in (explained / "asked").iterdir()}
    said = refused("explain", explained / "run", good, "--output", explained / "asked")
    assert "holds files that this command did not write" in said
    assert {path: path.read_bytes() for path in (explained / "asked").iterdir()} == before
    own = shutil.copy(good, tmp_path / "out" / "own.png")  # put there afterwards: no overlay replaces it
    assert zoo("explain", explained / "run", own, "--output", tmp_path / "out").poll() == 0
    assert own.read_bytes() == good.read_bytes() and values(tmp_path / "out")["pictures"][0]["overlay"] == "own-2.png"


@pytest.mark.slow
def test_a_run_without_features_of_its_training_pictures_is_explained_without_them(explained, tmp_path):
    shutil.copytree(explained / "run", tmp_path / "old")
    (tmp_path / "old" / "reference.npz").unlink()
    result = tmp_path / "old" / "result.json"
    result.write_text(result.read_text().replace("digits", "moved"))
    one = next((explained / "asked").iterdir())
    command = zoo("explain", tmp_path / "old", one, "--output", tmp_path / "out")
    assert command.poll() == 0 and "There are no nearest training pictures: the run was made before" in command.stdout
    assert values(tmp_path / "out")["pictures"][0]["nearest"] == []
    said = refused("explain", explained / "run", one, "--output", tmp_path / "old")
    assert "holds a run" in said
    assert "There is nothing to explain" in refused("explain", explained / "run")


@pytest.mark.slow
def test_the_report_explains_its_mistakes(explained):
    page = Page((explained / "run" / "report.html").read_text())
    result = json.loads((explained / "run" / "result.json").read_text())
    wrong = sum(count for truth, taken, count in result["metrics"]["test"]["confusion"] if truth != taken)
    text = page.text("mistakes")
    assert text.count("taken for") == wrong
    if wrong:
        maps = [alt for alt in page.images("alt") if alt.startswith("Heat map for ")]
        assert len(maps) == 2 * wrong and text.count("nearest training pictures:") == wrong
