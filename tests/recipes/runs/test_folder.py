"""A run's folder: as a whole or not at all, and never anyone else's files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import digits_folder

from recipes import cli
from recipes.errors import UserError
from recipes.runs import model_file
from recipes.runs.folder import recover, writing
from recipes.settings.finetune import Recipe


def write(folder, text):
    with writing(folder) as new:
        (new / "result.json").write_text(text)


def test_written_and_replaced_as_a_whole(tmp_path):
    write(tmp_path / "run", "old")
    write(tmp_path / "run", "new")
    assert (tmp_path / "run" / "result.json").read_text() == "new"
    assert os.listdir(tmp_path) == ["run"]


def test_an_error_leaves_the_old_run_and_nothing_else(tmp_path):
    write(tmp_path / "run", "old")
    with pytest.raises(KeyboardInterrupt), writing(tmp_path / "run") as new:
        (new / "result.json").write_text("half")
        raise KeyboardInterrupt
    assert (tmp_path / "run" / "result.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["run"]


def test_a_killed_writer_leaves_the_old_run_and_the_next_one_clears_up(tmp_path):
    write(tmp_path / "run", "old")
    script = (
        "import os, signal, sys, pathlib\nfrom recipes.runs import folder as runs\n"
        "with runs.writing(pathlib.Path(sys.argv[1])) as new:\n"
        "    (new / 'result.json').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path / "run"]).returncode == -9
    assert (tmp_path / "run" / "result.json").read_text() == "old"
    assert len(os.listdir(tmp_path)) == 2
    write(tmp_path / "run", "new")
    assert os.listdir(tmp_path) == ["run"]


def test_a_kill_between_the_renames_is_mended(tmp_path):
    write(tmp_path / "run", "old")
    os.rename(tmp_path / "run", tmp_path / ".run.previous")
    recover(tmp_path / "run")
    assert (tmp_path / "run" / "result.json").read_text() == "old"


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


@pytest.mark.parametrize("name", [".out.2024-05-01", ".out.1-2-3-4", ".out.1x-2-3", ".out.5-1-2.keep"])
def test_what_only_looks_like_a_writers_folder_is_left_alone(name, tmp_path):
    (tmp_path / name).mkdir()
    os.utime(tmp_path / name, (0, 0))
    write(tmp_path / "out", "new")
    assert (tmp_path / name).exists()
