"""What this program wrote is no class of pictures, wherever it lies; what a user calls "runs" is."""

import json
import os
from pathlib import Path

import pytest

from recipes.data.sources import own
from recipes.data.sources.folder import scan_folder
from recipes.errors import UserError
from recipes.runs import folder, journal
from recipes.search import folder as search
from recipes.settings.finetune import Recipe
from recipes.settings.rank import Ranking

RESULT = json.dumps({"schema": 1, "recipe": "finetune", "data": "x"}, indent=2)
# Files that each kind of output holds, in the order in which they come.
OUTPUTS = {
    "a run": {"model.keras": "PK", "result.json": RESULT, "report.html": "<html>", "files.csv": "path"},
    "a run with a note": {"result.json": RESULT, "my notes.txt": "good", "picture.png": "?"},
    "a model and its report": {"model.keras": "PK", "report.html": "<html>"},
    "an experiment": {"journal.jsonl": '\n{"piece": "a", "depends": {}, "result": {}}', "kernels.png": "?"},
    "an experiment that has just begun": {"journal.jsonl": "", "kernels.png": "?"},
    "a search": {".owner": "process 7 on here, begun", "trials.csv": "", "loss.png": "?"},
    "a search that has just begun": {".owner": ""},
    "a search without its hidden files": {"trials.db": "SQLite format 3\0", "loss.png": "?"},
    "a search's scope": {".study.json": '{\n  "id": "0af",\n  "study": "x"\n}\n', "loss.png": "?"},
    "a demonstration": {".zoo": "", "digits/train/0/1.png": "?"},
    "a cache": {"pixels/v1-224-256-3-bilinear/0.npy": "?", "weights/x.h5": "?"},
    "a cache of features": {"features/0123456789abcdef01234567/0.npy": "?"},
}


def make(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.fixture
def data(tmp_path) -> Path:
    return make(tmp_path / "data", {f"{label}/{number}.jpg": "" for label in ("cat", "dog") for number in range(2)})


def test_the_marks_are_those_that_are_written():
    assert own.RUN_FILES >= {name for name in folder.RUN_FILES if not name.startswith(".")}
    assert {journal.JOURNAL, search.OWNER, search.MARK, search.STORAGE} <= own.MARKS.keys()


@pytest.mark.fault(
    "Folders",
    "what this program wrote lies in the folder of images: a run, an experiment, a search, a cache",
    "left out, and named",
    "it would be a class, with charts for pictures",
)
@pytest.mark.parametrize("place", ["runs", "runs/finetune/data", "copied elsewhere", "cat/runs/x", "cat/copied"])
@pytest.mark.parametrize("files", OUTPUTS.values(), ids=OUTPUTS)
def test_what_this_program_wrote_is_no_class(files, place, data):
    before = scan_folder(data)
    make(data / place, files)
    found = scan_folder(data)
    assert found.classes == ("cat", "dog") and found.left_out == ()
    assert found.files == before.files
    (finding,) = [finding for finding in found.findings if "this program wrote" in finding]
    assert place.partition("/")[0] in finding


@pytest.mark.parametrize("where", ["", "train"])
def test_outputs_beside_parts_and_beside_their_classes(where, tmp_path):
    make(tmp_path, {f"{part}/{label}/1.jpg": "" for part in ("train", "test") for label in ("cat", "dog")})
    make(tmp_path / where / "runs/finetune/x", OUTPUTS["a run"])
    found = scan_folder(tmp_path)
    assert found.classes == ("cat", "dog") and len(found.files) == 4 and "left out: " in found.findings[-1]


def test_an_interrupted_first_run_leaves_no_class(data):
    make(data, {"runs/finetune/.data.12-34-89abcdef/report.html": ""})
    found = scan_folder(data)
    assert found.classes == ("cat", "dog") and found.findings[-1].endswith("left out: runs.")


def test_a_class_called_runs_stays_a_class(data):
    make(data, {"runs/1.jpg": "", "runs/more/2.jpg": "", "runs/result.json": '{"runs": 3}', "runs/journal.jsonl": "{}"})
    make(data / "runs/finetune/data", OUTPUTS["a run"])
    found = scan_folder(data)
    assert found.classes == ("cat", "dog", "runs")
    assert {f.path for f in found.files if f.label == "runs"} == {
        "runs/1.jpg", "runs/more/2.jpg", "runs/result.json", "runs/journal.jsonl"
    }  # fmt: skip


@pytest.mark.parametrize("inside", [".", "cache"])
def test_the_cache_may_lie_in_the_folder(inside, data, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(data / inside))
    make(data / inside, {"weights/x.h5": "", "pixels/v1-28-28-1-bilinear/a.npy": "", "features/x": ""})
    found = scan_folder(data)
    assert found.classes == ("cat", "dog") and "this program wrote" in found.findings[-1]


@pytest.mark.fault(
    "Folders",
    "--output inside the folder of images",
    "refused before anything is made there",
    "the next command would read it as a class",
)
@pytest.mark.parametrize("output", ["out", "cat", "cat/out", "new/deep/out", ".", "runs", "link/out", "../data/out"])
def test_an_output_among_the_pictures_is_refused(output, data):
    os.symlink(".", data / "link")
    before = sorted(data.rglob("*"))
    for settings in (Recipe(data, data / output), Ranking(data, data / output)):
        with pytest.raises(UserError, match="lies inside the folder of images"):
            own.check_output(settings)
    assert sorted(data.rglob("*")) == before


@pytest.mark.parametrize("output", [None, "../out", "../data2", ".hidden/out", "runs/finetune/x"])
def test_other_outputs_are_not(output, data):
    own.check_output(Recipe(data, output and data / output))
    own.check_output(Recipe(data, data / "out", labels=data / "labels.csv"))  # the table alone says what is a picture


@pytest.mark.fault(
    "Folders",
    "--output of `zoo explain`, `check` or `export` is a folder with files of the user's, such as the pictures themselves",
    "refused before anything is written there",
    "an overlay would replace the picture of its name, and a folder that is marked is left out of every training",
)
def test_a_folder_of_somebody_elses_is_not_marked(tmp_path):
    for name in ("new", "empty", "seen"):
        (tmp_path / name).mkdir() if name != "new" else None
    (tmp_path / "seen" / ".DS_Store").touch()
    for name in ("new", "empty", "seen", "new"):
        own.mark(tmp_path / name)
        (tmp_path / name / "explain.html").touch()  # of an earlier command
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"photos holds files that this command did not write \(a\.png\): choose a new"):
        own.mark(tmp_path / "photos")
    assert os.listdir(tmp_path / "photos") == ["a.png"] and (tmp_path / "photos" / "a.png").read_bytes() == b"mine"
