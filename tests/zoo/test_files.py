"""What is written as JSON and CSV reads back as it was, and does nothing where it is opened."""

import csv
import json

import pytest

from zoo.files import as_cell, from_cell, write_csv, write_json


@pytest.mark.fault(
    "Runs",
    "A name begins as a formula does (=, +, -, @), and files.csv is opened in a spreadsheet",
    "an apostrophe before it makes it text; a reader takes it off",
    "the spreadsheet would compute it",
)
def test_cells_are_no_formulas_and_read_back(tmp_path):
    names = ["=1+1", "+1", "-1.jpg", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1", "'s-Hertogenbosch", "a=1", "", "1-2"]
    rows = [{"path": name, "=probability": -0.5, "count": -3, "none": None} for name in names]
    with open(write_csv(tmp_path / "files.csv", rows), newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [from_cell(row["path"]) for row in found] == names
    assert not [row["path"] for row in found if row["path"][:1] in "=+-@\t\r\n＝" and row["path"]]
    assert all((row["count"], row["none"]) == ("-3", "") and float(row["'=probability"]) == -0.5 for row in found)
    assert as_cell(-0.5) == -0.5 and as_cell("a") == "a" and from_cell("'tis") == "'tis"


def test_lists_of_numbers_stand_in_one_line(tmp_path):
    value = {"a": [1, -2.5, 3e-07], "b": ["[\n  1\n]", "[1,\n2]"], "c": [[1, 2], [3]], "d": [], "e": [True, None, 1]}
    text = write_json(tmp_path / "a.json", value).read_text()
    assert json.loads(text) == value and "[1, -2.5, 3e-07]" in text and "\n    [3]\n" in text
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": [float("nan")]})
    assert json.loads((tmp_path / "a.json").read_text()) == value
