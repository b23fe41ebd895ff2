"""`zoo tune` on handwritten digits: a search that is killed and goes on, what it leaves, what it refuses."""

import contextlib
import csv
import gc
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import commands
import numpy as np
import pytest
import sqlalchemy
from helpers import ROOT, digits_folder

from recipes import cli, finetune, tune
from recipes.errors import UserError
from recipes.search import (
    best_models,
    board,
    disk,
    folder,
    liveness,
    patience,
    plots,
    preparation,
    report,
    scopes,
    workers,
)
from recipes.search.folder import STORAGE, hold_folder, study_name
from recipes.search.records import TrialRecord
from recipes.search.study import Study, open_study
from recipes.settings.finetune import Recipe
from recipes.settings.tune import Tuning

TRIALS = 4


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    return digits_folder(tmp_path_factory.mktemp("digits"), 12)


def record(trial: int, loss: float | None, **values) -> TrialRecord:
    return TrialRecord(
        number=trial,
        state="failed" if loss is None else "done",
        loss=loss,
        seed=trial,
        values=values,
        result={"accuracy": loss and 1 - loss, "epoch": 3},
        history=[],
        message="" if loss else "FloatingPointError: <b>",
        began=None,
        seconds=0.5,
        host="host",
        pid=1,
        runs=1,
        deaths=0,
    )


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory) -> Tuning:
    """A search that was killed after its first trial, in a process of its own, and has gone on in this one."""
    output = tmp_path_factory.mktemp("runs") / "tune"
    # The first trials of the grid differ in views and class weights alone: one shape of head, compiled once a process.
    settings = Tuning(digits, output, model="lenet5", trials=TRIALS, epochs=4, tuner="grid", keep=2)
    command = commands.start("tune", *settings.words())
    command.wait_until(lambda command: ended(output / STORAGE))
    command.signal(signal.SIGKILL)
    assert command.wait() == -signal.SIGKILL
    before = open_study(output / STORAGE, study_name(settings), {}).records()
    tune.run(settings)
    after = open_study(output / STORAGE, study_name(settings), {}).records()
    done = [row for row in before if row.state == "done"]
    assert 1 <= len(done) < TRIALS  # so that there was something to go on with
    assert after[: len(done)] == done  # none lost, none run again
    assert all(row.runs == 1 for row in after[len(done) + 1 :])
    return settings


def ended(file: Path) -> int:
    """Trials that are done, by the database itself; none while it is being made."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            return database.execute("select count(*) from trials where state = 'COMPLETE'").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def table(settings: Tuning) -> list[dict]:
    with open(settings.output / "trials.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_what_a_search_leaves(finished):
    rows, result = table(finished), json.loads((finished.output / "result.json").read_text())
    assert [int(row["trial"]) for row in rows] == list(range(TRIALS)) and {row["state"] for row in rows} == {"done"}
    assert len({row["worker"] for row in rows}) == 2  # the process that was killed, and this one
    best = min(rows, key=lambda row: float(row["loss"]))
    assert result["best"]["trial"] == int(best["trial"]) and result["best"]["loss"] == float(best["loss"])
    assert result["counts"]["done"] == TRIALS and result["counts"]["train"] == 80 and result["counts"]["held_out"] == 20
    low, high = result["best"]["accuracy_interval"]
    assert low <= float(best["accuracy"]) <= high and round(20 * float(best["accuracy"]), 3) % 1 == 0  # of 20 pictures
    winner = json.loads((finished.output / "best" / "result.json").read_text())
    assert result["winner"]["metrics"] == winner["metrics"] and winner["metrics"]["test"]["images"] == 20
    total, *seconds = result["seconds"].values()
    assert list(result["seconds"]) == "total reading study building features search report winner".split()
    assert 0.98 * total <= sum(seconds) <= total, result["seconds"]
    text = (finished.output / "report.html").read_text()
    assert "accuracy of the winner on the test images" in text and not re.search(r"(src|href)=.(?!data:|#)", text)
    for name in ("loss_by_trial", "parallel_coordinates"):
        assert (finished.output / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_ctrl_c_leaves_the_table(digits, tmp_path, monkeypatch):
    train, begun = scopes.HeadTrainer.train, []

    def interrupted_in_the_second(*arguments):
        begun.append(1)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return train(*arguments)

    monkeypatch.setattr(scopes.HeadTrainer, "train", interrupted_in_the_second)
    settings = Tuning(digits, tmp_path / "tune", model="lenet5", trials=3, epochs=2, tuner="grid")
    with pytest.raises(KeyboardInterrupt):
        tune.run(settings)
    first, second = table(settings)
    assert (first["state"], second["state"], second["loss"]) == ("done", "waiting", "") and float(first["loss"]) > 0


@pytest.mark.slow
def test_only_the_best_models_are_kept(finished):
    rows = sorted(table(finished), key=lambda row: float(row["loss"]))
    names = sorted(os.listdir(finished.output / "models"))
    assert names == sorted(f"{float(row['loss']):.6f} trial {row['trial']}.npz" for row in rows[:2])
    with np.load(finished.output / "models" / names[0]) as arrays:
        assert sum(arrays[name].shape[-1] == 10 for name in arrays.files) >= 1  # of ten classes


@pytest.mark.slow
def test_the_recipe_reproduces_the_winner(finished, tmp_path):
    recipe = Recipe.load(finished.output / "best.json")
    assert recipe.tuned is not None
    again = json.loads((finetune.run(replace(recipe, output=tmp_path / "again")) / "result.json").read_text())
    before = json.loads((finished.output / "best" / "result.json").read_text())
    for part in ("validation", "test"):
        low, high = before["metrics"][part]["accuracy_interval"]
        assert low <= again["metrics"][part]["accuracy"] <= high


@pytest.mark.slow
def test_a_rerun_tries_nothing_and_computes_nothing_again(finished, monkeypatch, capsys):
    monkeypatch.setattr(preparation.features, "forward", None)
    monkeypatch.setattr(finetune, "train", None)
    rows = table(finished)
    tune.run(finished)
    assert table(finished) == rows and f"{TRIALS} done so far" in (out := capsys.readouterr().out)
    classify, again = (cli.read_settings(command, arguments) for command, *arguments in commands.said_next(out))
    assert classify.run == finished.output / "best" and Path(*classify.images).is_file()
    assert again == Recipe.load(finished.output / "best.json")


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"tuner": "tpe"}, "was begun with tuner grid, not tpe"),
        ({"epochs": 5}, "was begun with epochs 4, not 5"),
        ({"test": 0.3}, "was begun with pictures 120 of "),
    ],
)
def test_another_search_in_the_folder_is_refused(finished, change, sentence):
    rows = table(finished)
    with pytest.raises(UserError, match=sentence):
        tune.run(replace(finished, **change))
    assert table(finished) == rows


@pytest.mark.slow
@pytest.mark.deep
def test_two_workers_share_the_trials(digits, tmp_path):
    settings = Tuning(digits, tmp_path / "tune", model="lenet5", trials=6, epochs=2, tuner="random", workers=2)
    tune.run(settings)
    rows = table(settings)
    assert len(rows) == 6 and {row["state"] for row in rows} == {"done"}
    assert f":{os.getpid()}" not in "".join(row["worker"] for row in rows) and len({row["worker"] for row in rows}) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--tuner", "grid", "--disk", "much"], "--disk must be a size such as 500MB or 2GB, found 'much'"),
        (["--trials", "0"], "--trials must be positive, found 0"),
        (["--keep", "0"], "--keep must be positive, found 0"),
        (["--storage", "mysql://host/base"], "--storage takes a file or postgresql://"),
        (["--model", "lenet"], "There is no model 'lenet'"),
        (["--disk", "100KB", "--model", "lenet5"], "--disk 100 kB is too little: the search takes up to"),
    ],
)
def test_bad_arguments_are_one_sentence(flags, sentence, digits, tmp_path, capsys):
    assert cli.main(["tune", str(digits), "--output", str(tmp_path / "r"), *flags]) == 2
    found = capsys.readouterr().err
    assert sentence in found and found.count("zoo: ") == 1 and "Traceback" not in found


@pytest.mark.fault(
    "Search",
    "trials.db is empty, missing, of another search, or older than the trials.csv beside it",
    "refused, with the number of trials that are missing; the folder is as it was",
    "a search that began anew would write over the table of the one that is lost",
)
@pytest.mark.slow
@pytest.mark.parametrize("damage", ["emptied", "missing", "made anew", "older"])
def test_a_lost_storage_is_no_new_search(finished, digits, tmp_path, damage):
    output = tmp_path / "tune"
    shutil.copytree(finished.output, output)
    for file in output.glob(f"{STORAGE}*"):
        file.unlink()
    if damage == "emptied":
        (output / STORAGE).touch()
    elif damage != "missing":
        study = open_study(output / STORAGE, study_name(finished) if damage == "older" else "another", {})
        study.add({}, 0, {}, {})
        assert len(study.records()) == 1
    before = {name: content for name, content in contents(output).items() if STORAGE not in name}
    words = replace(finished, output=output).words()
    sentence = commands.refused("tune", *words)
    count = 1 if damage == "older" else "none"
    assert f"trials.csv has {TRIALS} trials of a search whose storage, {output / STORAGE}, has {count}: " in sentence
    assert {name: content for name, content in contents(output).items() if STORAGE not in name} == before
    if damage == "missing":
        assert not (output / STORAGE).exists()
    if damage == "emptied":
        assert (output / STORAGE).stat().st_size == 0
        (output / "trials.csv").rename(tmp_path / "trials.csv")
        assert commands.zoo("tune", *replace(finished, output=output, trials=1).words()).poll() == 0


def test_a_server_that_is_not_there_is_one_sentence(digits, tmp_path, capsys, monkeypatch):
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed: no server can be asked")
    monkeypatch.setattr(patience, "OPENING_SECONDS", 1)
    address = "postgresql://nobody:secret@127.0.0.1:9/none"
    assert cli.main(["tune", str(digits), "--output", str(tmp_path / "r"), "--storage", address]) == 2
    found = capsys.readouterr().err
    assert "--storage postgresql://nobody:***@127.0.0.1:9/none cannot be used" in found and "Traceback" not in found


@pytest.mark.slow
def test_a_search_on_a_server_is_joined_from_another_folder(digits, postgres, tmp_path, capsys):
    """The command of the first machine, of a second that adds trials, and of the first again, which gets the results."""
    flags = [str(digits), "--model", "lenet5", "--tuner", "grid", "--epochs", "2", "--storage", postgres, "--study", "digits"]
    for name, trials, said in (("home", 1, "The winner"), ("guest", 2, "2 done"), ("home", 2, "2 done so far")):
        assert cli.main(["tune", *flags, "--trials", str(trials), "--output", str(tmp_path / name)]) == 0
        assert said in capsys.readouterr().out
    assert os.path.exists(tmp_path / "home" / "best" / "model.keras") and not os.path.exists(tmp_path / "guest" / "best")
    with open(tmp_path / "home" / "trials.csv", newline="") as file:
        assert [(row["state"], row["runs"]) for row in csv.DictReader(file)] == [("done", "1")] * 2
    password = sqlalchemy.make_url(postgres).password
    for path in (tmp_path / "home").rglob("*"):  # reports are shown to others
        assert not path.is_file() or password.encode() not in path.read_bytes(), path


def test_a_folder_of_other_things_is_left_alone(digits, tmp_path):
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(UserError, match="holds files that no search wrote"):
        tune.run(Tuning(digits, tmp_path, model="lenet5"))
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_a_folder_in_use_names_its_owner(digits, tmp_path):
    (tmp_path / STORAGE).touch()
    with hold_folder(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()} on "):
        tune.run(Tuning(digits, tmp_path, model="lenet5"))


def test_results_belong_to_the_folder_in_which_the_study_was_begun(digits, tmp_path, monkeypatch):
    home, guest = (
        Tuning(digits, tmp_path / name, storage=str(tmp_path / "db"), study="s", trials=2) for name in ("home", "guest")
    )
    study = open_study(tmp_path / "db", "s", {})
    for settings in (home, guest):
        settings.output.mkdir()
    gets_results = folder.gets_results
    assert gets_results(home, study) and not gets_results(guest, study) and gets_results(home, study)
    second = open_study(tmp_path / "db", "another in the same folder", {})
    with pytest.raises(UserError, match="home is the folder of the study 's': choose another --output"):
        gets_results(replace(home, study="another in the same folder"), second)
    assert second.home is None and gets_results(home, study)
    monkeypatch.setattr(Study, "records", lambda study: [record(0, 0.1), record(1, 0.2)])
    study.set_home(study.home | {"finished": True})
    assert not gets_results(guest, study)  # nothing is left to do
    study.set_home(study.home | {"finished": False})
    assert gets_results(guest, study)  # the home was lost with its machine
    study.set_home(study.home | {"finished": True})
    assert not gets_results(home, study)


def contents(path: Path) -> dict[str, bytes]:
    """What lies below a folder, but the note of whose it is, and SQLite's files of connections that are open just now."""
    gc.collect()  # which closes those that nobody uses any more
    files = [file for file in path.rglob("*") if file.is_file() and file.name != folder.OWNER]
    return {str(file): file.read_bytes() for file in files if not file.name.endswith(("-shm", "-wal"))}


@pytest.mark.slow
def test_a_folder_belongs_to_one_study(finished, digits, tmp_path, capsys):
    """Commands into the folder of a finished search: other data, data of the same name, another study, another storage."""
    output, before = finished.output, contents(finished.output)
    others, same_name = tmp_path / "others", tmp_path / digits.name
    for copy in (others, same_name):
        shutil.copytree(digits, copy)
        next(path for path in copy.rglob("*") if path.is_file()).unlink()
    flags = ["--model", "lenet5", "--trials", str(TRIALS), "--epochs", "4", "--tuner", "grid", "--output", str(output)]
    name = f"{digits.name} heads"
    belongs = f"--output {output} is the folder of the study {name!r}"
    remedy = f"--study {name!r} and its data to go on with it."
    refused = f"{belongs}: choose another --output, or give {remedy}"
    file = output / STORAGE
    for arguments, sentences in [
        ([others], [refused]),
        ([digits, "--study", "another"], [refused]),
        ([digits, "--storage", tmp_path / "db"], [f"{belongs} in {file}: choose another", f"--storage {file} {remedy}"]),
        ([same_name], [f"The study {name!r} in {file} was begun with pictures ", "another study in another --output"]),
    ]:
        assert cli.main(["tune", *map(str, arguments), *flags]) == 2
        found = capsys.readouterr().err
        assert all(sentence in found for sentence in sentences) and found.count("zoo: ") == 1, found
        assert contents(output) == before
    assert not (tmp_path / "db").exists()
    # The study that is there goes on, by its name and from wherever its pictures lie now.
    moved = tmp_path / "moved"
    shutil.copytree(digits, moved)
    assert cli.main(["tune", str(moved), *flags, "--study", name, "--storage", str(file)]) == 0
    assert f"{TRIALS} done so far" in capsys.readouterr().out


@pytest.mark.slow
def test_two_folders_have_two_searches(digits, tmp_path, capsys):
    """Begun at the same place by the same command line: what the first found is untouched, and the second is refused."""
    first, second = digits, digits_folder(tmp_path, 11).rename(tmp_path / "second")
    flags = ["--model", "lenet5", "--trials", "1", "--epochs", "2", "--tuner", "grid"]
    assert cli.main(["tune", str(first), *flags, "--output", str(tmp_path / "a")]) == 0
    before = contents(tmp_path / "a")
    assert cli.main(["tune", str(second), *flags, "--output", str(tmp_path / "a")]) == 2
    assert f"{tmp_path / 'a'} is the folder of the study '{first.name} heads'" in capsys.readouterr().err
    assert contents(tmp_path / "a") == before
    assert cli.main(["tune", str(second), *flags, "--output", str(tmp_path / "b")]) == 0
    assert contents(tmp_path / "a") == before
    names = {json.loads((tmp_path / name / "result.json").read_text())["data"] for name in ("a", "b")}
    assert names == {str(first), str(second)}


def test_two_scopes_share_a_folder_and_a_moved_folder_is_the_same(digits, tmp_path):
    heads = Tuning(digits, tmp_path / "tune")
    fine_tunings = replace(heads, scope="finetune")
    fine_tunings.folder.mkdir(parents=True)
    marks = [folder.mark_folder(settings) for settings in (heads, fine_tunings)]
    assert [mark.study for mark in marks] == [f"{digits.name} heads", f"{digits.name} finetune"]
    assert [folder.mark_folder(settings) for settings in (heads, fine_tunings)] == marks
    heads.output.rename(tmp_path / "moved")
    assert folder.mark_folder(replace(heads, output=tmp_path / "moved")) == marks[0]


def test_a_server_is_the_same_whoever_asks(digits, tmp_path):
    settings = Tuning(digits, tmp_path, storage="postgresql://me:secret@host:5432/trials")
    mark = folder.mark_folder(settings)
    assert b"secret" not in (tmp_path / folder.MARK).read_bytes()
    assert folder.mark_folder(replace(settings, storage="postgresql://you@host:5432/trials")) == mark
    with pytest.raises(UserError, match="the study .* in postgresql://host:5432/trials: choose another --output"):
        folder.mark_folder(replace(settings, storage="postgresql://you@host:5432/others"))


def test_workers_divide_the_cores_and_the_gpus(tmp_path, monkeypatch, capsys):
    program = tmp_path / "python"
    program.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        "print(sorted(os.sched_getaffinity(0)), os.environ['CUDA_VISIBLE_DEVICES'], *sys.argv[1:4])\n"
        "sys.exit('zoo: no room')"
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    cores = os.sched_getaffinity(0)
    workers.run("recipes.tune", [str(tmp_path / "data")], tmp_path, 3, ["0", "5"])
    assert os.sched_getaffinity(0) == cores
    lines = [(tmp_path / f"worker-{number}.log").read_text().splitlines() for number in (1, 2, 3)]
    said = [re.fullmatch(rf"\[(.*)\] (\d) -m recipes.tune {tmp_path / 'data'}", line) for line, _ in map(sorted, lines)]
    shares = [set(map(int, found[1].split(","))) for found in said]
    assert set.union(*shares) == cores
    assert [found[2] for found in said] == ["0", "5", "0"]
    assert capsys.readouterr().out.count("ended with status 1: ") == 3


@pytest.mark.fault(
    "Search",
    "one of the processes of --workers hangs",
    "the others run its trial; a minute after they have found none left it is killed, and the search ends as it should",
    "whoever began it must not wait for it for ever",
)
def test_a_worker_that_hangs_is_not_waited_for(tmp_path, monkeypatch, capsys):
    program = tmp_path / "python"
    program.write_text(
        f"#!{sys.executable}\nimport os, signal\n"
        "try:\n    os.mkdir('first')\nexcept FileExistsError:\n    os.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(liveness, "GRACE_SECONDS", 0.5)
    workers.run("recipes.tune", [str(tmp_path / "data")], tmp_path, 2, [])
    assert re.search(r"worker [12] ended with status -9: ", capsys.readouterr().out)


def test_the_command_of_a_worker_is_read_back_as_it_was(digits, tmp_path):
    settings = Tuning(digits, tmp_path, tuner="grid", trials=7, alpha=0.25, tensorboard=True, storage="a b", mirror="no")
    assert cli.read_settings("tune", settings.words()) == settings


def test_models_are_kept_by_loss_and_within_the_disk(tmp_path):
    room = disk.DiskBudget(tmp_path, 10_000, pictures=1000, features=1000, run=0, logs=0)
    models = best_models.BestModels(room, 2)
    for trial, loss in enumerate((0.5, 0.7, 0.6, 0.4)):
        models.offer(trial, loss, ".npz", 400, lambda path: path.write_bytes(bytes(400)))
    assert [file.name for file in models.files()] == ["0.400000 trial 3.npz", "0.500000 trial 0.npz"]
    models.offer(4, 0.1, ".npz", 20_000, None)  # too large for what is left
    assert [file.name for file in models.files()] == ["0.400000 trial 3.npz"]
    assert disk.bytes_below(tmp_path) <= 10_000 - 2000
    with pytest.raises(UserError, match="--disk 1.5 MB is too little: the search takes up to 2 MB"):
        disk.DiskBudget(tmp_path, 1.5e6, pictures=1_000_000, features=1_000_000, run=0, logs=0)


def test_importance_finds_what_mattered():
    generator = np.random.default_rng(0)
    rows = [
        record(i, float(abs(np.log10(rate) + 2) + 0.01 * generator.random()), rate=float(rate), cut=str(cut), same=1)
        for i, (rate, cut) in enumerate(zip(10 ** generator.uniform(-4, 0, 60), generator.choice(["a", "b"], 60), strict=True))
    ]
    shares, explained = plots.importance(rows)
    assert list(shares) == ["rate", "cut"] and shares["rate"] > 0.95 and explained > 0.9
    noise = [record(i, float(loss), rate=float(rate)) for i, (loss, rate) in enumerate(generator.random((60, 2)))]
    assert plots.importance(noise)[1] < 0.1
    assert plots.importance(rows[:19]) == ({}, 0.0)  # so few would show something in noise, too
    assert list(plots.importance(rows[:20])[0]) == ["rate", "cut"]


def test_the_axis_of_trials_has_whole_numbers_and_small_differences_look_small():
    figure = plots.draw_progress([record(i, loss, rate=i) for i, loss in enumerate((0.5, 0.496, 0.492))], "loss")
    (plot,) = figure.axes
    assert all(tick == round(tick) for tick in plot.get_xticks())
    assert plot.get_ylim() == pytest.approx((0, 0.525))
    (plot,) = plots.draw_progress([record(i, loss, rate=i) for i, loss in enumerate((-0.95, -0.958))], "−accuracy").axes
    assert np.ptp(plot.get_ylim()) == pytest.approx(0.2)


def test_charts_of_a_search_say_what_they_show():
    rows = [record(0, 0.5, rate=0.1), record(1, 0.25, rate=0.3)]
    charts = plots.as_charts(plots.draw_all(rows, {}, 0.0), rows, {})
    assert [chart["alt"] for chart in charts] == [
        "Chart: 2 trials as lines through their hyper-parameters; the best is trial 1 with a loss of 0.2500: rate 0.3.",
        "Chart: loss of 2 trials, from 0.2500 to 0.5000; the best is trial 1 with a loss of 0.2500.",
    ]


def test_places_on_an_axis_by_hand():
    places, ticks = plots.place_on_axis(["sgd", None, "adam"])
    assert places.tolist() == [1, 0, 0.5] and [label for _, label in ticks] == ["none", "adam", "sgd"]
    assert [label for _, label in plots.place_on_axis([0.391, 0.3913, 0.2])[1]] == ["0.2", "0.391", "0.3913"]
    places, _ = plots.place_on_axis([10.0**-i for i in range(9)])
    assert places == pytest.approx(1 - np.arange(9) / 8)
    places, _ = plots.place_on_axis([float(i) for i in range(1, 10)])
    assert places == pytest.approx(np.arange(9) / 8)


def test_the_board_in_a_log_tells_failures_once(capsys):
    rows = [record(0, 0.5, rate=0.1)]
    with board.Board(3, lambda: list(rows)) as shown:
        rows += [record(1, None, rate=0.2), record(2, 0.25, rate=0.3)]
        shown.update()
        shown.update()
    found = capsys.readouterr()
    assert found.out == "trial 1 failed: FloatingPointError: <b>\n"
    assert "search  3/3 trials" in found.err
    assert board.standing(rows) == "2 done, 1 failed; best: trial 2, loss 0.2500, accuracy 75.0 %"


def test_the_live_table_has_the_best_first():
    from rich.console import Console

    rows = [record(i, 0.5 / (i + 1), rate=0.1 * i) for i in range(12)]
    console = Console(width=100, record=True, file=open(os.devnull, "w"))
    console.print(board.live_table(rows, board.headline(rows, total=20, ended_before=0, seconds=6.0)))
    lines = console.export_text().splitlines()
    console.file.close()
    assert lines[0].startswith("12 done of 20  2.00 trials/s  0:04 left")
    trials = [int(line.split()[0]) for line in lines if line.strip()[:1].isdigit()][1:]
    assert trials == list(range(11, 1, -1))


def test_hyper_parameters_in_a_few_words():
    values = {"head": "hidden 64", "rate": 0.00123456, "views": 2, "class_weights": True, "nothing": False, "flip": None}
    assert board.brief(values) == "hidden 64, rate 0.00123, views 2, class_weights, flip None"
    assert board.described({"rate": 0.5, "cut": "stage1"}) == "rate 0.5, cut stage1"


def test_the_report_escapes_what_comes_from_elsewhere():
    rows = [record(0, 0.5, cut="<i>"), record(1, None, cut="b")]
    result = {
        "settings": {"scope": "heads", "tuner": "tpe", "seed": 0, "epochs": 4},
        "data": "/<script>",
        "importance": {},
        "counts": {"trials": 2, "scored": 1, "failed": 1, "train": 8, "held_out": 2},
        "model": {"name": "lenet5"},
        "best": rows[0].as_dict() | {"accuracy_interval": [0.1, 0.9]},
        "winner": None,
        "command": "zoo tune",
        "repeat": "zoo finetune",
        "explained": 0.0,
        "workers": {},
        "versions": {},
        "seconds": {},
        "disk": "",
        "seed": 0,
    }
    text = report.render(result, rows, {}, lambda path: None)
    assert "<script>" not in text and "<b>" not in text.split("Failures</h2>")[1] and "<i>" not in text
    assert "has not been trained anew yet" in text and "1 of 2 trials failed" in text


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from recipes import cli\ntry:\n cli.main(['tune', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'keras', 'optuna', 'keras_tuner', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("[]\n") and "--tuner" in done.stdout
