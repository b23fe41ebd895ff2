"""A run's folder: as a whole or not at all, and never anyone else's files."""

import json
import os
import signal
from pathlib import Path

import pytest
from helpers import digits_folder

from recipes import cli
from recipes.errors import UserError
from recipes.runs import folder as runs
from recipes.runs import model_file
from recipes.runs.folder import recover, writing
from recipes.settings.finetune import Recipe


def written(text):
    return json.dumps({"schema": 1, "recipe": "finetune", "said": text})


def write(folder, text):
    with writing(folder) as new:
        (new / "result.json").write_text(written(text))


def said(folder):
    return json.loads((folder / "result.json").read_text())["said"]


# Other tests of the process may have started threads; a child that is forked here needs none.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork")


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def kill_while_writing(folder, **patches):
    """Have a process of its own write the folder, and die by a SIGKILL at a point of `writing`."""
    if not (pid := os.fork()):
        for name, function in patches.items():
            setattr(os if name == "rename" else runs, name, function)
        write(folder, "half")
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_written_and_replaced_as_a_whole(tmp_path):
    write(tmp_path / "run", "old")
    write(tmp_path / "run", "new")
    assert said(tmp_path / "run") == "new"
    assert os.listdir(tmp_path) == ["run"] and os.listdir(tmp_path / "run") == ["result.json"]


def test_that_a_finished_run_is_replaced_is_said(tmp_path, capsys):
    write(tmp_path / "run", "old")
    assert capsys.readouterr().out == ""
    write(tmp_path / "run", "new")
    assert "run holds a finished run, which this one replaces when it has ended.\n" in capsys.readouterr().out


def test_an_error_leaves_the_old_run_and_nothing_else(tmp_path):
    write(tmp_path / "run", "old")
    with pytest.raises(KeyboardInterrupt), writing(tmp_path / "run") as new:
        (new / "result.json").write_text(written("half"))
        raise KeyboardInterrupt
    assert said(tmp_path / "run") == "old"
    assert os.listdir(tmp_path) == ["run"]


def test_a_killed_writer_leaves_the_old_run_and_the_next_one_clears_up(tmp_path):
    write(tmp_path / "run", "old")
    kill_while_writing(tmp_path / "run", flush=die)
    assert said(tmp_path / "run") == "old"
    assert len(os.listdir(tmp_path)) == 3  # with what it was writing, and the file that it held
    write(tmp_path / "run", "new")
    assert os.listdir(tmp_path) == ["run"] and said(tmp_path / "run") == "new"


@pytest.mark.parametrize("reader", [True, False])
def test_a_kill_between_the_renames_is_mended(reader, tmp_path):
    write(tmp_path / "run", "old")
    rename = os.rename
    kill_while_writing(tmp_path / "run", rename=lambda *both: (rename(*both), die()))
    assert not (tmp_path / "run").exists()
    if reader:
        assert recover(tmp_path / "run") == tmp_path / "run" and said(tmp_path / "run") == "old"
    else:
        with pytest.raises(KeyboardInterrupt), writing(tmp_path / "run"):
            raise KeyboardInterrupt
        assert said(tmp_path / "run") == "old" and os.listdir(tmp_path) == ["run"]


@pytest.mark.fault(
    "Runs",
    "an `--output` that is a link",
    "The run is written where the link leads, also if there is nothing yet, and the link stays.",
    "A renamed folder would take the link's place, and what it leads to would stay as it was.",
)
def test_a_link_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk" / "run")
    for text in ("first", "second"):
        write(tmp_path / "run", text)
        assert (tmp_path / "run").is_symlink() and said(tmp_path / "disk" / "run") == text
    assert sorted(os.listdir(tmp_path)) == ["disk", "run"] and os.listdir(tmp_path / "disk") == ["run"]
    (tmp_path / "file.txt").write_text("a file")
    (tmp_path / "other").symlink_to(tmp_path / "file.txt")
    with pytest.raises(UserError, match="other is a file: give a folder"):
        write(tmp_path / "other", "new")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match="--output .*loop cannot be written"):
        write(tmp_path / "loop", "new")


def test_what_looks_like_a_run_and_is_none_is_refused_and_kept(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "history.csv").write_text("mine")
    with pytest.raises(UserError, match="holds files that no run wrote .history.csv."):
        write(tmp_path / "run", "new")
    assert (tmp_path / "run" / "history.csv").read_text() == "mine" and os.listdir(tmp_path) == ["run"]


def test_files_of_others_are_refused_and_kept(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="holds files that no run wrote .thesis.tex."):
        write(tmp_path / "run", "new")
    assert (tmp_path / "run" / "thesis.tex").read_text() == "years of work"


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UserError, match="is a file: give a folder"):
        write(tmp_path / "run", "new")


def test_no_run_to_read(tmp_path):
    with pytest.raises(UserError, match="is no finished run"):
        model_file.read(tmp_path)
    (tmp_path / "model.keras").write_bytes(b"PK not a zip")
    with pytest.raises(UserError, match="is damaged"):
        model_file.read(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["finetune", "tune", "rank", "compare_optimizers"])
def test_a_second_folder_of_one_name_does_not_take_over_what_was_written_for_the_first(name, tmp_path, monkeypatch, capsys):
    """Without --output both would write to runs/COMMAND/photos."""
    monkeypatch.chdir(tmp_path)
    first, second = (digits_folder(tmp_path / place, 4).rename(tmp_path / place / "photos") for place in "ab")
    written = tmp_path / "runs" / name / "photos"
    written.mkdir(parents=True)
    (written / "journal.jsonl").touch()
    result = {"data": str(first)} if name in ("finetune", "tune") else {"settings": {"data": str(first)}}
    (written / "result.json").write_text(json.dumps(result))
    assert cli.main([name, str(second), *(["--model", "lenet5"] if name != "rank" else [])]) == 2
    assert f"holds results on {first}, not on {second}: give --output" in capsys.readouterr().err
    assert json.loads((written / "result.json").read_text()) == result


def test_a_recipe_on_other_pictures_leaves_the_folder_of_its_own_run_alone(tmp_path):
    recipe = Recipe(tmp_path / "photos", tmp_path / "kept" / "best", "lenet5")
    recipe.save(tmp_path / "recipe.json")
    same = cli.read_settings("finetune", ["--recipe", str(tmp_path / "recipe.json"), "--epochs", "3"])
    assert same.folder == recipe.folder and same.epochs == 3
    other = cli.read_settings("finetune", ["--recipe", str(tmp_path / "recipe.json"), str(tmp_path / "others")])
    assert other.folder == Path("runs/finetune/others") and other.model == "lenet5"
    named = cli.read_settings("finetune", ["--recipe", str(tmp_path / "recipe.json"), "others", "--output", "here"])
    assert named.folder == Path("here")


NAMES = [".out.20240101", ".out.2024-05-01", ".out.previous", ".out.1-2-3-4", ".out.1x-2-3", ".out.5-1-2.keep"]


@pytest.mark.fault(
    "Runs",
    "folders of the user's beside the output, such as `.out.20240101` or `.out.previous`",
    "They are left alone.",
    "Removed is only what carries a dead writer's name and holds what a run writes.",
)
@pytest.mark.parametrize(
    "name, content",
    [*((name, content) for name in NAMES for content in ("thesis.tex", "result.json"))]
    + [(f".out.99999999-1-0123abcd{end}", "thesis.tex") for end in ("", ".previous")],
)
def test_what_only_looks_like_a_writers_folder_is_left_alone(name, content, tmp_path):
    mine = tmp_path / name / content
    mine.parent.mkdir()
    mine.write_text(written("a backup") if content == "result.json" else "years of work")
    os.utime(mine.parent, (0, 0))
    before = mine.read_text()
    for text in ("first", "second"):
        write(tmp_path / "out", text)
    recover(tmp_path / "out")
    assert mine.read_text() == before and said(tmp_path / "out") == "second"


def test_what_a_living_writer_is_writing_is_left_alone(tmp_path):
    with writing(tmp_path / "out") as new:
        (new / "result.json").write_text(written("living"))
        with pytest.raises(UserError, match=f"is being written by process {os.getpid()} on .*: wait for it, stop it, or give"):
            write(tmp_path / "out", "second")
    assert said(tmp_path / "out") == "living" and os.listdir(tmp_path) == ["out"]
