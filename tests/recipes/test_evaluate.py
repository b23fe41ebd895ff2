"""A finished run measured on other pictures: the same numbers, none of what it has learnt, and what is refused."""

import csv
import json
import shutil
from types import SimpleNamespace

import commands
import numpy as np
import pytest
from helpers import few_digits
from page import Page
from PIL import Image
from sklearn import metrics as reference

from recipes import cli
from recipes.data import measured
from recipes.data.images import Framing
from recipes.data.sources.listing import File, Listing
from recipes.errors import UserError
from recipes.evaluation.tasks import MULTI_CLASS
from recipes.runs import measuring

QUICK = ("--model", "lenet5", "--strategy", "small", "--mirror", "no")


def rows(folder):
    with open(folder / "files.csv", newline="") as file:
        return list(csv.DictReader(file))


def result(folder):
    return json.loads((folder / "result.json").read_text())


def write_table(path, lines):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(lines)
    return path


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return few_digits(tmp_path_factory.mktemp("evaluate"), 30, classes=3)


@pytest.fixture(scope="module")
def finished(digits):
    """A run, with a test part of its own."""
    run = digits.parent / "run"
    command = commands.zoo("finetune", digits, *QUICK, "--output", run)
    assert command.poll() == 0, command.stderr
    return run


@pytest.fixture(scope="module")
def evaluation(digits, finished):
    """All that the run divided itself, with every flag; what it was trained on is left out."""
    output = digits.parent / "evaluation"
    flags = ("--corruptions", "noise,rotate90", "--views", "mirror,ten_crop", "--groups", r"/(\d\d)")
    command = commands.zoo("evaluate", finished, digits, *flags, "--output", output)
    assert command.poll() == 0, command.stderr
    return command, output


@pytest.mark.slow
def test_seconds_name_every_step_from_the_start_of_the_process_and_add_up(finished, evaluation):
    steps = {
        finished: "start reading building features choice tracking labels head "
        "evaluation confidence repeats saving report check",
        evaluation[1]: "start building reading evaluation measures confidence report",
    }
    for folder, names in steps.items():
        total, *seconds = (found := result(folder)["seconds"]).values()
        assert list(found) == ["total", *names.split()]
        assert 0.98 * total <= sum(seconds) <= total, found


@pytest.mark.slow
def test_the_test_part_of_a_run_gives_the_numbers_of_its_report(digits, finished, tmp_path, capsys):
    part = [row for row in rows(finished) if row["split"] == "test"]
    table = write_table(digits / "test.csv", [("path", "label"), *((row["path"], row["label"]) for row in part)])
    assert cli.main(["evaluate", str(finished), str(table), "--output", str(tmp_path / "new")]) == 0
    found, expected = result(tmp_path / "new")["metrics"]["test"], result(finished)["metrics"]["test"]
    for name, value in expected.items():
        close = name in ("loss", "calibration_error", "calibration")
        assert found[name] == (pytest.approx(value, rel=1e-5) if close and name != "calibration" else value) or close
    again = {row["sha256"]: row for row in rows(tmp_path / "new")}
    for row in part:
        assert again[row["sha256"]]["prediction"] == row["prediction"]
        assert float(again[row["sha256"]]["probability"]) == pytest.approx(float(row["probability"]), abs=2e-6)
    assert "held out, and measured" in capsys.readouterr().out
    table.unlink()


@pytest.mark.slow
@pytest.mark.fault(
    "Runs",
    "a folder to measure a run on holds pictures that it was trained on, under other names",
    "they are found by their content, left out and counted; `--keep-trained` measures them, and says so",
    "what was learnt by heart says nothing about new pictures",
)
def test_what_was_trained_on_is_left_out(finished, evaluation, digits, tmp_path):
    command, output = evaluation
    trained = {row["sha256"] for row in rows(finished) if row["split"] == "train"}
    left_out = {row["sha256"] for row in rows(output) if row["reason"] == "the run was trained on it"}
    assert left_out == trained and result(output)["counts"]["trained_on"] == len(trained)
    assert not trained & {row["sha256"] for row in rows(output) if not row["reason"]}
    assert f"trained on, left out (--keep-trained keeps them): {len(trained)}." in command.stdout
    path = next(row["path"] for row in rows(finished) if row["split"] == "train")
    (tmp_path / "renamed" / path[0]).mkdir(parents=True)
    shutil.copy(digits / path, tmp_path / "renamed" / path[0] / "new name.png")
    said = commands.refused("evaluate", finished, tmp_path / "renamed", "--output", tmp_path / "out")
    assert "Each of the 1 pictures that could be read was trained on" in said and not (tmp_path / "out").exists()
    kept = commands.zoo("evaluate", finished, tmp_path / "renamed", "--keep-trained", "--output", tmp_path / "out")
    assert kept.poll() == 0 and "so that they say nothing: 1 pictures" in kept.stdout
    assert result(tmp_path / "out")["metrics"]["test"]["images"] == 1


@pytest.mark.slow
def test_numbers_are_those_of_the_table_of_files(evaluation):
    _, output = evaluation
    found, used = result(output), [row for row in rows(output) if not row["reason"]]
    labels, predicted = ([row[key] for row in used] for key in ("label", "prediction"))
    report = reference.classification_report(labels, predicted, output_dict=True, zero_division=0)
    for average in ("macro", "weighted"):
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert found["averages"][average][ours] == pytest.approx(report[f"{average} avg"][theirs])
    assert found["metrics"]["test"]["accuracy"] == reference.accuracy_score(labels, predicted)
    assert [row["k"] for row in found["top_k"]] == [2]
    by_name = {row["name"]: row for row in found["by_group"]}
    assert len(by_name) == found["groups"] > 5
    for name, row in by_name.items():
        those = [one["label"] == one["prediction"] for one in used if one["path"].split("/")[1][:2] == name]
        assert (row["images"], row["right"]) == (len(those), sum(those))


@pytest.mark.slow
def test_worse_pictures_and_several_views(evaluation, finished, digits, tmp_path):
    """The turned pictures, turned by hand and measured like any others, give the same accuracy."""
    _, output = evaluation
    found = result(output)
    assert [(row["kind"], row["severity"]) for row in found["robustness"]] == [
        ("noise", 1), ("noise", 3), ("noise", 5), ("rotate90", 1),
    ]  # fmt: skip
    used = [row for row in rows(output) if not row["reason"]]
    for row in used:
        (tmp_path / "turned" / row["label"]).mkdir(parents=True, exist_ok=True)
        turned = Image.open(digits / row["path"]).transpose(Image.Transpose.ROTATE_90)
        turned.save(tmp_path / "turned" / row["path"])
    assert cli.main(["evaluate", str(finished), str(tmp_path / "turned"), "--output", str(tmp_path / "out")]) == 0
    clean, worse = found["metrics"]["test"]["accuracy"], found["robustness"][-1]
    assert worse["accuracy"] == result(tmp_path / "out")["metrics"]["test"]["accuracy"]
    assert worse["loss"] == pytest.approx(clean - worse["accuracy"]) and worse["loss"] > 0
    assert worse["loss_interval"][0] <= worse["loss"] <= worse["loss_interval"][1]
    mirror, ten = found["views"]
    assert (mirror["views"], ten["views"]) == (2, 2)  # LeNet's digits have no border to cut corners from
    assert mirror["accuracy"] == ten["accuracy"] and mirror["seconds"] > 0 and mirror["seconds_of_one"] > 0
    shown = Page((tmp_path / "out" / "report.html").read_text()).text("mistakes")
    wrong = [row for row in rows(tmp_path / "out") if not row["reason"] and row["prediction"] != row["label"]]
    surest = max(wrong, key=lambda row: float(row["probability"]))
    assert surest["path"] in shown and "no preview" not in shown


@pytest.mark.slow
def test_the_page_holds_what_was_measured(evaluation):
    command, output = evaluation
    page, found = Page((output / "report.html").read_text()), result(output)
    accuracy = f"{100 * found['metrics']['test']['accuracy']:.1f} %"
    assert accuracy in page.text("headline") and accuracy in command.stdout
    assert [row[0] for row in page.table("robustness")[1:]] == ["noise", "noise", "noise", "rotate90"]
    assert page.table("groups")[1][0] == found["by_group"][0]["name"]
    assert {"averages", "groups", "robustness", "views", "confusion", "classes", "calibration", "data"} <= set(page.rows)
    assert str(output.parent) not in (output / "report.html").read_text()


@pytest.mark.slow
def test_any_part_and_any_of_the_classes_will_do(finished, digits, tmp_path, capsys):
    for part, label, name in (("test", "0", "a"), ("test", "1", "b"), ("val", "2", "c")):
        (tmp_path / "data" / part / label).mkdir(parents=True)
        picture = next(row for row in rows(finished) if row["split"] == "test" and row["label"] == label)
        shutil.copy(digits / picture["path"], tmp_path / "data" / part / label / f"{name}.png")
    (tmp_path / "data" / "test" / "0" / "broken.png").write_bytes(b"\x89PNG")
    base = ["evaluate", str(finished), str(tmp_path / "data"), "--output", str(tmp_path / "out")]
    for flags, part, images in (([], "test", 2), (["--split", "val"], "validation", 1), (["--split", "all"], "evaluated", 3)):
        assert cli.main([*base, *flags]) == 0
        assert result(tmp_path / "out")["metrics"][part]["images"] == images
        assert result(tmp_path / "out")["classes"] == ["0", "1", "2"]
    assert "broken.png is damaged" in capsys.readouterr().err
    assert cli.main([*base, "--split", "train"]) == 2
    assert "has no such part, but test (3 pictures), val (1 pictures)" in capsys.readouterr().err


@pytest.mark.fault(
    "Runs",
    "the data to measure a run on have classes that it does not know, or none, or the flags name what there is not",
    "refused in a sentence that names them, and what to do; nothing is written",
    "a wrong number looks like any other",
)
@pytest.mark.slow
def test_what_cannot_be_measured_is_refused(finished, tmp_path, capsys):
    def refusal(*flags):
        assert cli.main(["evaluate", str(finished), *map(str, flags), "--output", str(tmp_path / "out")]) == 2
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), "uint8"))
    for name in ("0", "One", "zero"):
        (tmp_path / "data" / name).mkdir(parents=True)
        picture.save(tmp_path / "data" / name / "a.png")
    assert "classes that the run does not have: One (1), zero (1). It has 0, 1, 2" in refusal(tmp_path / "data")
    (tmp_path / "plain").mkdir()
    picture.save(tmp_path / "plain" / "a.png")
    assert "zoo predict RUN" in refusal(tmp_path / "plain")
    assert "--corruptions takes blur, jpeg" in refusal(tmp_path / "data", "--corruptions", "fog")
    assert "--views takes mirror, ten_crop" in refusal(tmp_path / "data", "--views", "mirror,all")
    table = write_table(tmp_path / "plain" / "two.csv", [("path", "labels"), ("a.png", "0;1")])
    assert "gives a.png 2 labels (0, 1)" in refusal(table)
    assert cli.main(["evaluate", str(finished), str(tmp_path / "data"), "--output", str(finished)]) == 2
    assert "holds what `zoo finetune` wrote, which is kept" in capsys.readouterr().err
    assert cli.main(["evaluate", str(tmp_path), str(tmp_path / "data"), "--output", str(tmp_path / "out")]) == 2
    assert "is no finished run" in capsys.readouterr().err


@pytest.mark.parametrize("kind, views", [("mirror", 2), ("ten_crop", 10)])
@pytest.mark.parametrize("count", [1, 30, 70])
def test_what_several_views_take_is_measured_without_compiling(kind, views, count, monkeypatch):
    """A network is compiled for each size of a batch: all that are timed were seen before."""
    sizes, began = [], []

    class Classifier:
        def probabilities(self, pixels):
            sizes.append(len(pixels))
            return np.full((len(pixels), 2), 0.5, "float32")

    monkeypatch.setattr(measuring.time, "monotonic", lambda: began.append(len(sizes)) or 0.0)
    pixels = np.zeros((count, 10, 10, 3), "uint8")
    data = SimpleNamespace(paths=[""] * count, classes=["a", "b"], pixels=pixels, framing=Framing(8, 10, 3))
    measuring.averaged(Classifier(), data, kind)
    warmed, timed = sizes[: began[0]], sizes[began[0] :]
    assert sum(timed) == views * count and set(timed) == set(warmed) and len(warmed) <= 2


@pytest.mark.parametrize("written, known", [("Ants", "ants"), ("bee", "bees"), ("stra\u00dfe", "STRASSE")])
def test_a_class_that_the_run_calls_otherwise_is_guessed(written, known, tmp_path):
    listing = Listing(tmp_path, (written,), (File("a.png", written, ""),), (), ())
    with pytest.raises(UserError, match=f"Is {written} what it calls {known}\\?"):
        measured.prepare(listing, ("ants", "bees", "STRASSE"), MULTI_CLASS, Framing(8, 8, 3), None, None, False)
