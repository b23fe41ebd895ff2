"""Shared by the tests of the comparisons: what a finished one left, and that one which was cut off ends with the same."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from recipes.lecture import comparison


def journal(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines() if line]


def table(folder: Path) -> list[dict]:
    """Without what differs between two runs of the same command."""
    with open(folder / "table.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def goes_on_to_the_same_table(recipe, finished, lost: int, tmp_path: Path, monkeypatch) -> None:
    """The journal is cut off in the last but `lost` line, as by a kill while it wrote; after the rerun nothing is trained."""
    killed = replace(finished, output=tmp_path / "killed")
    killed.output.mkdir()
    lines = (finished.output / "journal.jsonl").read_text().splitlines()
    (killed.output / "journal.jsonl").write_text("\n".join([*lines[:-lost], lines[-lost][:40]]))
    recipe.run(killed)
    assert table(killed.output) == table(finished.output)

    before = (killed.output / "journal.jsonl").read_bytes()
    monkeypatch.setattr(comparison.RepeatedTraining, "train", lambda *_, **__: pytest.fail("trained again"))
    recipe.run(killed)
    assert (killed.output / "journal.jsonl").read_bytes() == before
