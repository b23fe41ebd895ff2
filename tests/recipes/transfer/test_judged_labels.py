"""Wrong labels that are planted among digits are found by `zoo finetune` and by `zoo check`, and shown."""

import csv
import json
from pathlib import Path

import commands
import pytest
from helpers import digits_folder
from page import Page


@pytest.fixture(scope="module")
def mislabelled(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """Twelve pictures of each digit, six of them in the folder of another; and {path: the digit that it shows}."""
    root, planted = digits_folder(tmp_path_factory.mktemp("mislabelled"), 12), {}
    for digit in range(6):
        source = sorted((root / str(digit)).iterdir())[0]
        there = root / str((digit + 3) % 10) / f"moved {source.name}"
        source.rename(there)
        planted[there.relative_to(root).as_posix()] = str(digit)
    return root, planted


@pytest.mark.slow
def test_a_run_finds_them_and_its_report_shows_them(mislabelled, tmp_path):
    root, planted = mislabelled
    command = commands.zoo("finetune", root, "--model", "lenet5", "--strategy", "small", "--output", tmp_path / "run")
    assert command.poll() == 0, command.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    found = {row["path"]: row for row in result["suspects"]}
    first = [path for path in [*found][: len(planted)] if path in planted]
    assert len(first) >= len(planted) - 1 and len(found) <= 2 * len(planted)  # one of so few may look like its folder
    splits = {row["path"]: row["split"] for row in csv.DictReader((tmp_path / "run" / "files.csv").read_text().splitlines())}
    for path in first:
        row, digit = found[path], planted[path]
        assert (row["label"], row["likelier"], row["split"]) == (path.split("/")[0], digit, splits[path])
        assert row["probability"] < row["likelier_probability"] <= 1
        assert sum(other["label"] == digit for other in row["neighbors"]) >= 3
        assert all(other["path"].startswith(f"{other['label']}/") and other["path"] != path for other in row["neighbors"])
    page = Page((tmp_path / "run" / "report.html").read_text())
    for path in first:
        digit = planted[path]
        assert path in page.text("suspects") and f"looks like {digit}" in page.text("suspects")
    assert f"{len(found)} labels are probably wrong" in command.stdout


@pytest.mark.slow
def test_check_finds_the_same_and_suggests_to_relabel_them(mislabelled, tmp_path):
    root, planted = mislabelled
    commands.zoo("check", root, "--model", "lenet5", "--output", tmp_path)
    findings = [one for one in json.loads((tmp_path / "check.json").read_text())["findings"] if one["kind"] == "label"]
    first = [one["path"] for one in findings[: len(planted)] if one["path"] in planted]
    assert len(first) >= len(planted) - 1
    rows = {row["path"]: row for row in csv.DictReader((tmp_path / "corrections.csv").read_text().splitlines())}
    for path in first:
        assert (rows[path]["action"], rows[path]["to"], rows[path]["suggestion"]) == ("", planted[path], "relabel")


@pytest.mark.slow
def test_a_run_says_why_it_judges_no_labels(mislabelled, tmp_path):
    root, _ = mislabelled
    run = "finetune", root, "--model", "lenet5", "--strategy", "scratch", "--epochs", 1, "--output", tmp_path / "run"
    assert commands.zoo(*run).poll() == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["suspects"] is None and "no pretrained weights" in result["suspects_reason"]
    assert "Not judged: the network has no pretrained weights" in Page((tmp_path / "run" / "report.html").read_text()).text(
        "suspects"
    )
