"""What the lecture's experiments share: nothing finished is done twice, and intervals are those of the textbook."""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from recipes.console import table
from recipes.errors import UserError
from recipes.evaluation.intervals import mean_interval
from recipes.runs.journal import Experiment
from recipes.settings.lecture import CompareOptimizers, InspectKernels


@dataclass(frozen=True)
class Settings:
    output: Path
    epochs: int = 3

    @property
    def folder(self):
        return self.output


def test_finished_pieces_are_not_done_again(tmp_path):
    done = []

    def piece(name):
        return lambda: done.append(name) or {"value": len(done)}

    first = Experiment(Settings(tmp_path / "e"))
    assert first.once("a", piece("a"))["value"] == 1
    with open(tmp_path / "e" / "journal.jsonl", "a") as file:
        file.write('\n{"piece": "b", "resu')  # killed while it wrote
    again = Experiment(Settings(tmp_path / "e"))
    assert again.once("a", piece("a"))["value"] == 1
    assert again.once("b", piece("b"))["value"] == 2
    assert again.once("b", piece("b"))["value"] == 2
    assert Experiment(Settings(tmp_path / "e", epochs=4)).once("a", piece("other settings"))["value"] == 3
    assert done == ["a", "b", "other settings"]


def test_a_piece_may_depend_on_less_than_all_settings(tmp_path):
    Experiment(Settings(tmp_path / "e")).once("a", lambda: {"value": 1}, but=["epochs"], data="mnist")
    other = Experiment(Settings(tmp_path / "e", epochs=4))
    assert other.once("a", lambda: {"value": 2}, but=["epochs"], data="mnist")["value"] == 1
    assert other.once("a", lambda: {"value": 3}, but=["epochs"], data="cifar")["value"] == 3


def test_table_and_numbers_are_written(tmp_path, capsys):
    experiment = Experiment(Settings(tmp_path / "e"))
    experiment.finish([{"name": "adam", "error": 0.25}, {"name": "sgd", "error": None}], best="adam")
    with open(tmp_path / "e" / "table.csv") as file:
        assert list(csv.DictReader(file)) == [{"name": "adam", "error": "0.25"}, {"name": "sgd", "error": ""}]
    result = json.loads((tmp_path / "e" / "result.json").read_text())
    assert (result["best"], result["settings"]) == ("adam", {"epochs": 3})
    assert "adam   0.25" in capsys.readouterr().out


def test_a_folder_of_someone_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(UserError, match="holds files that no experiment wrote: choose a new folder"):
        Experiment(Settings(tmp_path))
    with pytest.raises(UserError, match="cannot be written"):
        Experiment(Settings(tmp_path / "mine.txt" / "below"))


def test_the_interval_of_a_mean():
    """By hand: 1, 2, 3 have mean 2 and standard error 1/√3; Student's t for two degrees of freedom is 4.3027."""
    mean, low, high = mean_interval([1, 2, 3])
    assert (mean, high - mean, mean - low) == pytest.approx((2, 4.3027 / math.sqrt(3), 4.3027 / math.sqrt(3)), rel=1e-4)
    assert mean_interval([5])[0] == 5 and math.isnan(mean_interval([5])[1])


def test_columns_are_aligned():
    assert table([{"a": 1, "name": "x"}, {"a": 100, "name": "longer"}]) == "  a  name\n  1  x\n100  longer"


def test_an_interrupted_experiment_keeps_its_default_folder(tmp_path, monkeypatch):
    """Of another folder of the same name; and the picture of another place."""
    monkeypatch.chdir(tmp_path)
    first = Experiment(CompareOptimizers(tmp_path / "a" / "photos"))
    assert first.folder == Path("runs/compare_optimizers/photos") and first.once("piece", lambda: {"value": 1})["value"] == 1
    with pytest.raises(UserError, match="holds results on .*a/photos, not on .*b/photos: give --output"):
        Experiment(CompareOptimizers(tmp_path / "b" / "photos"))
    assert Experiment(CompareOptimizers(tmp_path / "a" / "photos")).once("piece", lambda: {"value": 2})["value"] == 1
    Experiment(InspectKernels(image=Path("a/x.png"))).finish([{"stage": 1}])
    with pytest.raises(UserError, match="holds results on a/x.png, not on b/x.png: give --output"):
        Experiment(InspectKernels(image=Path("b/x.png")))
    Experiment(InspectKernels(image=Path("a/x.png")))


@pytest.mark.fault(
    "Runs",
    "a journal with lines that are damaged: cut off, no JSON, a list, another object, bytes that are no text",
    "They are skipped, and said by their numbers; that work is done again, and nothing else.",
    "Each line is a finished piece of work by itself.",
)
def test_lines_of_a_journal_that_cannot_be_read_are_skipped_and_said(tmp_path, capsys):
    first = Experiment(Settings(tmp_path / "e"))
    for name in "ab":
        first.once(name, lambda: {"value": 1})
    journal = tmp_path / "e" / "journal.jsonl"
    a, b = (line for line in journal.read_bytes().splitlines() if line)
    damaged = [
        b'{"piece": "b", "resu',
        b"[]",
        b'{"piece": "b"}',
        b"\xff\xfe",
        b"3",
        b'{"piece": 1, "depends": {}, "result": {}}',
    ]
    journal.write_bytes(b"\n".join([a, *damaged, b""]))
    again = Experiment(Settings(tmp_path / "e"))
    assert "journal.jsonl: lines 2, 3, 4, 5, 6, 7 cannot be read: that work is done again." in capsys.readouterr().out
    assert [again.once(name, lambda: {"value": 2})["value"] for name in "ab"] == [1, 2]
    journal.write_bytes(b"\n".join([a, b]))
    Experiment(Settings(tmp_path / "e"))
    assert capsys.readouterr().out == ""


def test_an_experiment_holds_its_folder_and_says_what_it_replaces(tmp_path, capsys):
    with Experiment(Settings(tmp_path / "e")) as experiment:
        with pytest.raises(UserError, match=r"e is being written by process \d+ on .*: wait for it, stop it, or give another"):
            Experiment(Settings(tmp_path / "e")).__enter__()
        experiment.finish([{"a": 1}])
    assert "replaces" not in capsys.readouterr().out
    with Experiment(Settings(tmp_path / "e")):
        assert "holds earlier results, which this experiment replaces when it has ended" in capsys.readouterr().out
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with Experiment(Settings(tmp_path / "link")):
        assert (tmp_path / "there" / "journal.jsonl").exists()
