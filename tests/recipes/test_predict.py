"""Answers as CSV, JSON and Parquet: read back elsewhere they are those of the screen, whole, and take no memory."""

import json
import os
import signal

import commands
import pytest
from helpers import few_digits, python
from PIL import Image

from recipes import cli, predict
from recipes.console import Columns
from recipes.errors import UserError
from recipes.runs import answers
from recipes.runs.answer_files import Layout, csv_file, json_file, parquet_file
from recipes.runs.answers import Answer
from recipes.settings.predict import Prediction

READ = """
import csv, json, sys
from pyarrow import parquet
folder, = sys.argv[1:]
with open(folder + "/a.csv", newline="") as file:
    table = list(csv.DictReader(file))
with open(folder + "/a.json") as file:
    listed = json.load(file)
with open(folder + "/a.jsonl") as file:
    lines = [json.loads(line) for line in file]
print(json.dumps([table, listed, lines, parquet.read_table(folder + "/a.parquet").to_pylist()]))
"""


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Digits, and among them what is no picture."""
    folder = few_digits(tmp_path_factory.mktemp("predict"), 24, classes=3)
    (folder / "readme.txt").write_text("Holidays")
    return folder


@pytest.fixture(scope="module")
def finished(digits):
    run = digits.parent / "run"
    flags = ("--model", "lenet5", "--strategy", "small", "--mirror", "no", "--output", run)
    command = commands.zoo("finetune", few_digits(digits.parent / "more", 12, classes=3), *flags)
    assert command.poll() == 0, command.stderr
    return run


@pytest.mark.slow
def test_every_format_says_what_the_screen_does(finished, digits, tmp_path):
    files = ("--csv", tmp_path / "a.csv", "--parquet", tmp_path / "a.parquet", "--json")
    lines = commands.zoo("predict", finished, digits)
    written = commands.zoo("predict", finished, digits, *files, tmp_path / "a.json")
    assert (lines.poll(), written.poll()) == (0, 0)
    printed = commands.zoo("predict", finished, digits, "--json", "-", "--all-classes")
    (tmp_path / "a.jsonl").write_text(printed.stdout)
    table, listed, printed_rows, rows = json.loads(python(READ, tmp_path, cwd=tmp_path))
    good, (bad,) = [row for row in listed if not row["error"]], [row for row in listed if row["error"]]
    said = [f"{row['path']}  " + "  ".join(f"{k} {v:.4f}" for k, v in row["probabilities"].items()) for row in good]
    assert said == [line.removesuffix("  unknown") for line in lines.stdout.splitlines()] and len(said) == 72
    assert bad["path"] == f"{digits}/readme.txt" and bad["error"] == "is a text file" and bad["prediction"] is None
    for cells, values, one, other in zip(table, rows, listed, printed_rows, strict=True):
        assert [cells[k] or None for k in ("path", "prediction", "error")] == [one[k] for k in ("path", "prediction", "error")]
        assert one["path"] == values["path"] == other["path"] and one["error"] == values["error"] == other["error"]
        if one["error"]:
            continue
        ranked = sorted(other["probabilities"], key=lambda name: -other["probabilities"][name])
        assert set(ranked) == {"0", "1", "2"} and list(one["probabilities"]) == ranked
        assert [cells["prediction"], cells["prediction_2"], cells["prediction_3"]] == ranked
        assert float(cells["probability"]) == one["probability"] == pytest.approx(values["probability"], rel=1e-7)
        assert sum(other["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert "72 pictures predicted: " in written.stdout and "a.parquet" in written.stdout
    assert "prediction  73/73 images" in written.stderr and f"{digits}/readme.txt is a text file: left out" in written.stderr


@pytest.mark.fault(
    "Prediction",
    "`zoo predict --csv` is killed, or its file cannot be written",
    "no half file stands under the final name; what was there before stays",
    "a table that ends early looks like one that is whole",
)
@pytest.mark.slow
def test_a_kill_leaves_the_file_that_was_there(finished, digits, tmp_path, capsys):
    (tmp_path / "a.csv").write_text("earlier")
    slow = "import time, recipes.runs.answers as a; read = a._read; a._read = lambda *x: (time.sleep(0.2), read(*x))[1]"
    command = commands.start("predict", finished, digits, "--csv", tmp_path / "a.csv", setup=slow)
    command.wait_until(lambda command: len(list(tmp_path.iterdir())) > 1)
    command.signal(signal.SIGKILL)
    command.wait()
    assert (tmp_path / "a.csv").read_text() == "earlier"
    base = ["predict", str(finished), str(digits / "0")]
    assert cli.main([*base, "--csv", str(tmp_path / "a.csv")]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]  # what the killed one left is removed
    for flags, words in (
        (["--csv", str(tmp_path / "none" / "a.csv")], f"there is no folder {tmp_path / 'none'}: make it, or"),
        (["--csv", "-"], "--csv - is no file, and only --json writes on the standard output"),
        (["--csv", str(tmp_path)], "is a folder: give a file in it"),
        (["--csv", str(tmp_path / "b"), "--json", str(tmp_path / "b")], "--csv and --json both name"),
    ):
        assert cli.main([*base, *flags]) == 2 and words in capsys.readouterr().err


def test_answers_replace_no_picture_no_device_and_nothing_of_the_run(tmp_path):
    """As `--csv *.jpg` would, whose first picture is the file behind the flag."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "result.json").write_text("{}")
    (tmp_path / "earlier.csv").write_text("path,prediction\n")
    os.mkfifo(tmp_path / "pipe")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for name, said in (
        ("a.png", "is a picture"),
        ("result.json", "is a file of the run's"),
        ("pipe", "is no ordinary file"),
        ("earlier.csv", "has no model.keras"),  # it may be replaced
    ):
        with pytest.raises(UserError, match=said):
            predict.run(Prediction(tmp_path, ("new.jpg",), csv=tmp_path / name))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert (tmp_path / "pipe").is_fifo()


def test_answers_are_taken_as_they_come_and_none_is_kept():
    """No more pictures are decoded ahead than a few batches, however many there are."""
    asked, read = [], []

    class Pool:
        def submit(self, function, item):
            read.append(item)
            return type("Future", (), {"result": lambda self: function(item), "cancel": lambda self: None})()

    numbers = answers.ahead(Pool(), lambda item: item, (asked.append(i) or i for i in range(10_000)), 128)
    assert [next(numbers) for _ in range(1_000)] == list(range(1_000)) and len(asked) == len(read) == 1_128


@pytest.mark.parametrize("count", [0, 1, 3])
def test_files_of_any_number_of_answers(count, tmp_path):
    names = ["=cmd()", "b\udcff", "ä"]
    found = [Answer(f"-{i}\udcff.png", "ä", 0.5, (("ä", 0.5), (names[1], 0.1)), (0.1, 0.1, 0.5)) for i in range(count)]
    layout = Layout(names, 2, all_classes=True)
    for writer, name in ((csv_file, "a.csv"), (json_file, "a.json"), (parquet_file, "a.parquet"), (json_file, "a.jsonl")):
        with writer(tmp_path / name, layout) as write:
            for answer in found:
                write(answer)
    listed = json.loads((tmp_path / "a.json").read_text())
    assert [row["path"] for row in listed] == [answer.path for answer in found]
    assert (tmp_path / "a.csv").read_bytes().count(b"\n") == count + 1
    table, again, lines, rows = json.loads(
        python(READ.replace('newline=""', 'newline="", errors="surrogateescape"'), tmp_path, cwd=tmp_path)
    )
    assert again == lines == listed and [row["path"] for row in table] == [f"'{answer.path}" for answer in found]
    assert [row["path"] for row in rows] == [f"-{i}\\udcff.png" for i in range(count)]
    assert all(row["probability_of_ä"] == 0.5 for row in rows)


def test_columns_grow():
    columns = Columns(["picture", "class"], [3, 6])
    assert columns.row(["a.png", "cat"]) == "picture  class\na.png    cat"
    assert columns.row(["longer.png", "dog"]) == "longer.png  dog" and columns.row(["b", "cat"]) == "b           cat"
