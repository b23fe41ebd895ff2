"""Folders that are compared: read as they were written, or refused by a sentence."""

import json
import shutil
from pathlib import Path

import pytest
from runs_on_paper import write_run

from recipes.errors import UserError
from recipes.runs.finished import Finished, Searched, read, short_names
from zoo.files import write_csv

LABELS = ["ants", "bees"] * 5


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_run(tmp_path / "run", LABELS, LABELS)


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as error:
        read(folder)
    return str(error.value)


def change(folder: Path, **values: object) -> None:
    """Change what result.json says; None takes it away."""
    result = json.loads((folder / "result.json").read_text()) | values
    (folder / "result.json").write_text(json.dumps({key: value for key, value in result.items() if value is not None}))


def test_a_run(folder):
    found = read(folder)
    assert isinstance(found, Finished) and found.kind == "run" and found.one_label and found.recipe["seed"] == 0
    assert [answer.label for answer in found.parts["test"]] == LABELS and found.root is None


def test_cells_are_read_as_they_were_before_they_were_guarded(tmp_path):
    names = ["=1+1", "'quoted"]
    write_run(tmp_path / "run", LABELS, LABELS, paths=[f"-{i}.jpg" for i in range(10)])
    rows = [
        {"path": "@x.jpg", "split": "test", "label": name, "prediction": name, "probability": 0.5, "sha256": "a" * 64}
        for name in names
    ]
    write_csv(tmp_path / "run" / "files.csv", rows)
    change(tmp_path / "run", classes=names, metrics={"test": {"images": 2, "accuracy": 1.0}})
    assert [(one.path, one.label) for one in read(tmp_path / "run").answers] == [("@x.jpg", name) for name in names]


def test_what_is_no_run(folder, tmp_path):
    assert f"{tmp_path / 'no'} is no folder" in refused(tmp_path / "no")
    (tmp_path / "empty").mkdir()
    assert "has no result.json; `zoo finetune` writes one when it ends" in refused(tmp_path / "empty")
    assert f"did you mean {folder}?" in refused(tmp_path)
    for what in ("rank", ["rank"]):
        change(folder, recipe=what)
        assert f"holds the results of `zoo {what}`" in refused(folder)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"metrics": None}, "has no 'metrics'"),
        ({"metrics": {"test": 0.9}}, "not as they are written today"),
        ({"metrics": {"test": {"images": 10, "accuracy": None}}}, "its test part gives other numbers than result.json"),
        ({"metrics": {"test": {"images": 10, "accuracy": 0.8}}}, "its test part gives other numbers than result.json"),
        ({"metrics": {"test": {"images": 11, "accuracy": 1.0}}}, "its test part gives other numbers than result.json"),
        ({"data": None}, "of which data"),
        ({"classes": "ants"}, "no list of its classes"),
        ({"metrics": {"test": {"images": 10, "accuracy": "all"}}}, "not as they are written today"),
        ({"metrics": {"test": {"images": 10, "accuracy": 1.0, "accuracy_interval": 1}}}, "not as they are written today"),
        ({"model": "mobilenet"}, "'model' is not as it is written today"),
        ({"seconds": 1.5}, "'seconds' is not as it is written today"),
        ({"measures": 1}, "'measures' is not as it is written today"),
    ],
)
def test_a_result_that_was_changed(folder, values, said):
    change(folder, **values)
    assert said in refused(folder) and "is damaged, or was changed" in refused(folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",0.9,", ",much,", "could not convert"),
        (",0.9,", ",nan,", "has the weight 1 and the probability nan"),
        ("path,", "file,", "it has no column path"),
        ("sha256", "digest", "it has no column sha256"),
        ("\n", "\ntest/x.jpg,test,ants,ants,0.5,,,\n", "has no sha256"),
    ],
)
def test_a_table_that_was_changed(folder, old, new, said):
    table = folder / "files.csv"
    table.write_text(table.read_text().replace("\r\n", "\n").replace(old, new, 1))
    assert said in refused(folder) and "files.csv is damaged, or was changed" in refused(folder)
    table.unlink()
    assert "has no files.csv" in refused(folder)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_weights_that_no_run_writes(tmp_path, weight):
    write_run(tmp_path / "run", LABELS, LABELS, weight=[1.0] * 10)
    table = tmp_path / "run" / "files.csv"
    table.write_text(table.read_text().replace(",1.0,", f",{weight},"))
    assert f"has the weight {weight:g}" in refused(tmp_path / "run")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": NaN}'])
def test_a_result_that_is_no_result(folder, text):
    (folder / "result.json").write_text(text)
    assert "result.json is damaged, or was changed" in refused(folder)


def test_a_search_and_its_winner(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "search" / "best")
    result = {"schema": 2, "recipe": "tune", "best": {"loss": 0.1}, "counts": {}}
    (tmp_path / "search" / "result.json").write_text(json.dumps(result))
    found = read(tmp_path / "search")
    assert isinstance(found, Searched) and found.best.answers == read(folder).answers
    shutil.rmtree(tmp_path / "search" / "best")
    assert read(tmp_path / "search").best is None


def test_names_are_as_short_as_tells_them_apart(tmp_path):
    assert short_names([Path("/x/a"), Path("/x/b")]) == ["a", "b"]
    assert short_names([Path("/x/a/best"), Path("/y/a/best"), Path("/y/b/best")]) == ["x/a/best", "y/a/best", "y/b/best"]
    with pytest.raises(UserError, match="given twice"):
        short_names([tmp_path, tmp_path / ".." / tmp_path.name])
