"""Fine-tunings in processes of their own: what runs out of memory, crashes or diverges, and what is killed on the way."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from types import SimpleNamespace

import keras
import keras_tuner
import numpy as np
import pytest
from helpers import ROOT, digits_folder

import zoo
from recipes import cli
from recipes.compute import processes
from recipes.data.dataset import prepare
from recipes.data.images import center
from recipes.data.sources.folder import scan_folder
from recipes.errors import UserError
from recipes.search import fine_tuning
from recipes.search.best_models import BestModels
from recipes.search.disk import DiskBudget
from recipes.search.fine_tuning import FineTuner
from recipes.search.records import TrialRecord
from recipes.settings.finetune import Recipe
from recipes.settings.tuned import FineTuneSettings
from recipes.transfer import training
from recipes.transfer.backbone import framing
from zoo.files import cache_folder, start_time

# A trial without a network: it needs as many MB as its batch has images, and does as its job says at a size.
CHILD = """
import os, signal, sys, time
from recipes.errors import UserError
from recipes.compute import processes

def work(job, tell):
    tell({"states": [job["state"]]} if "state" in job else {})
    print("what is printed is no line of JSON")
    if job.get("fails") == "sentence": raise UserError("Training has diverged: the loss became nan in epoch 1.")
    if job.get("fails") == "bug": raise KeyError("a mistake")
    if job.get("fails") == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if job.get("fails") == "crash": os.abort()
    if job.get("fails") == "long":
        open(job["state"] + "/pid", "w").write(str(os.getpid()))
        for epoch in range(1, 1000):
            tell({"epoch": epoch, "loss": 1 / epoch})
            time.sleep(0.05)
    needed = bytearray(job["batch_size"] * 2**20)
    for epoch in (1, 2): tell({"epoch": epoch, "loss": 1 / epoch})
    return {"loss": 0.5}

processes.serve(work)
"""


@pytest.fixture
def child(tmp_path, monkeypatch):
    """Runs such a trial, by a job, in a folder of its own; address space for so many MB beside what Python needs."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "dummy_trial.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'modules'}{os.pathsep}{ROOT}")

    def run(job, room=None, report=lambda epoch, loss: None, least=4):
        if room:
            (tmp_path / "modules" / "sitecustomize.py").write_text(
                f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({room} * 2**20, {room} * 2**20))"
            )
        return processes.run("dummy_trial", job, tmp_path / "trial", report, least)

    return run


@pytest.mark.slow
def test_batches_are_halved_until_they_have_room(child, tmp_path):
    """A thousand MB hold no batch of 4,096 or 2,048 images of a MB each; what a lower limit would kill has not begun."""
    losses = []
    found = child({"batch_size": 4096}, room=1600, report=lambda epoch, loss: losses.append((epoch, loss)))
    assert found == {"loss": 0.5, "batch_size": 1024} and losses == [(1, 1.0), (2, 0.5)]
    assert "what is printed is no line of JSON" in (tmp_path / "trial" / "log.txt").read_text()


@pytest.mark.parametrize(
    "job, reason",
    [
        ({"batch_size": 2**15}, r"Out of memory: MemoryError \(batches of 8192 images; log: .*log.txt\)"),
        ({"fails": "kill"}, "was killed by SIGKILL, as the system does when memory runs out .batches of 4 images"),
        ({"fails": "crash"}, "was killed by SIGABRT .batches of 4 images"),
        ({"fails": "sentence"}, "^Training has diverged: the loss became nan in epoch 1.$"),
        ({"fails": "bug"}, "^KeyError: 'a mistake'$"),
    ],
)
def test_what_a_trial_dies_of_is_its_reason(job, reason, child):
    with pytest.raises(UserError, match=reason):
        child({"batch_size": 8} | job, room=1600, least=job.get("batch_size", 16) // 4)


def test_a_process_ends_with_whoever_started_it_and_its_states_with_the_trial(child, tmp_path):
    """Pruned: `report` raises. The state of a trial that was interrupted is kept, for it is to go on from there."""
    for stop, kept in ((ValueError, False), (KeyboardInterrupt, True)):
        state = tmp_path / "state"
        state.mkdir()

        def report(epoch, loss, stop=stop):
            raise stop

        with pytest.raises(stop):
            child({"batch_size": 8, "fails": "long", "state": str(state)}, report=report)
        assert state.exists() == kept
    ended((state / "pid").read_text())


@pytest.mark.slow
def test_a_process_does_not_outlive_a_parent_that_is_killed(child, tmp_path):
    (tmp_path / "state").mkdir()
    job = {"batch_size": 8, "fails": "long", "state": str(tmp_path / "state")}
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"""
from pathlib import Path
from recipes.compute import processes
processes.run("dummy_trial", {job}, Path({str(tmp_path)!r}), lambda epoch, loss: print(epoch, flush=True))
""",
        ],
        stdout=subprocess.PIPE,
    )
    parent.stdout.readline()
    parent.kill()
    parent.communicate()
    ended((tmp_path / "state" / "pid").read_text())


def ended(process: str) -> None:
    """Wait for it: 0.05 s an epoch, a thousand epochs, would be 50 s."""
    deadline = time.monotonic() + 10
    while start_time(int(process)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not start_time(int(process))


BEST = {"freeze_until": "stage1", "layer_decay": 0.7, "weight_decay": 0.01, "learning_rate": 0.001, "augment": "none"}


def trial(tuner, seed=5, report=lambda epoch, loss: None, **values):
    """As `recipes.search.loop` gives it."""
    hp = keras_tuner.HyperParameters()
    tuner.declare_recipe(hp)
    hp.values |= BEST | values
    return SimpleNamespace(number=1, hyperparameters=hp, seed=seed, report=report)


def done(values, **result) -> TrialRecord:
    """The record of a trial that went to its end."""
    return TrialRecord(1, "done", 0.5, 5, values, result, [], "", None, None, None, None, 1, 0)


@pytest.fixture(scope="module")
def tuner(tmp_path_factory) -> FineTuner:
    digits = digits_folder(tmp_path_factory.mktemp("digits"), 12)
    recipe = Recipe(digits, model="lenet5", batch_size=16)
    return FineTuner(recipe, ["stage1", "stage2"], ["inference"], 8, *places(tmp_path_factory.mktemp("trials")))


def places(folder):
    """For logs and models."""
    return folder, BestModels(DiskBudget(folder, 1e9, 0, 0, 0, 0), 1)


@pytest.mark.slow
def test_the_space_is_what_a_recipe_can_say(tuner, tmp_path, capsys):
    hp = trial(tuner).hyperparameters
    assert {p.name for p in hp.space} == {
        "freeze_until",
        "layer_decay",
        "weight_decay",
        "learning_rate",
        "augment",
        "batch_norm",
        "epochs",
    }
    best = tuner.winner(done(hp.values, batch_size=8))
    assert (best.fine_tuning, best.batch_size) == (FineTuneSettings("stage1", 0.7, 0.01), 8)
    assert tuner.declare_recipe(trial(tuner, **{"freeze_until": "nothing", "tuner/epochs": 3}).hyperparameters).epochs == 3
    best.save(tmp_path / "best.json")
    assert Recipe.load(tmp_path / "best.json") == best
    assert cli.read_settings("finetune", ["--recipe", str(tmp_path / "best.json")]) == best
    other = cli.read_settings("finetune", ["--recipe", str(tmp_path / "best.json"), "--learning-rate", "0.5"])
    assert (other.learning_rate, other.fine_tuning) == (0.5, best.fine_tuning)
    assert cli.main(["finetune", "photos", "--strategy", "tuned"]) == 2
    assert "--strategy tuned needs what a search has found: the best.json" in capsys.readouterr().err


@pytest.mark.slow
def test_what_may_be_frozen_and_done_with_batch_norm():
    lenet5 = zoo.get_model("lenet5", num_classes=0)
    assert fine_tuning.choices(lenet5, 1000, 32) == (["stage1", "stage2"], ["inference"])
    mobilenet = zoo.get_model("mobilenet", num_classes=0, alpha=0.25)
    cuts, policies = fine_tuning.choices(mobilenet, 319, 32)
    assert cuts == zoo.stages(mobilenet)[:-2] and policies == ["inference", "affine"]  # behind the last map is its mean
    assert fine_tuning.choices(mobilenet, 320, 32)[1] == ["inference", "affine", "adapt"]
    assert fine_tuning.choices(mobilenet, 320, 8)[1] == ["inference", "affine"]


@pytest.mark.slow
def test_a_trial_goes_on_from_its_last_epoch_to_the_same_score(tuner, monkeypatch):
    recipe = tuner.declare_recipe(trial(tuner, epochs=4).hyperparameters)
    job = {"recipe": recipe.as_dict(), "seed": 5, "batch_size": 16, "model": str(tuner.folder / "model.keras")}
    steps, told = [], []
    step = training.History.on_train_batch_end
    monkeypatch.setattr(training.History, "on_train_batch_end", lambda self, *a, **k: steps.append(1) or step(self, *a, **k))

    def stop(what):
        told.append(what)
        if what["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tuning.train(job, stop)
    assert len(steps) == 3 * 4  # 60 of 80 training pictures are learnt from
    resumed = fine_tuning.train(job, told.append)
    assert len(steps) == 12 + 2 * 4  # the third epoch, whose state was not yet written, and the fourth
    assert [what["epoch"] for what in told] == [1, 2, 3, 1, 2, 3, 4]
    shutil.rmtree(told[-1]["states"][0])
    assert fine_tuning.train(job, told.append) == resumed and len(steps) == 20 + 16
    assert told[-4:] == told[3:7]


@pytest.mark.slow
@pytest.mark.deep
def test_the_winner_is_a_run_like_any_other(tuner, tmp_path):
    best = tuner.winner(done(trial(tuner, epochs=2).hyperparameters.values, batch_size=16))
    best.save(tmp_path / "best.json")
    assert cli.main(["finetune", "--recipe", str(tmp_path / "best.json"), "--output", str(tmp_path / "run")]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    (phase,) = result["strategy"]["phases"]
    assert result["strategy"]["frozen"] == ["c1"] and (phase["weight_decay"], phase["layer_decay"]) == (0.01, 0.7)
    assert result["command"] == f"zoo finetune --recipe {tmp_path / 'run' / 'recipe.json'}"
    assert Recipe.load(tmp_path / "run" / "recipe.json").fine_tuning == best.fine_tuning


@pytest.mark.slow
def test_the_command_keeps_the_model_of_its_best_trial(tuner, tmp_path):
    """Read in another way than it was written: what the file says of the held-out pictures is the trial's score."""
    digits, output = tuner.recipe.data, tmp_path / "tune"
    flags = ["--model", "lenet5", "--scope", "finetune", "--trials", "1", "--epochs", "2", "--keep", "1", "--batch-size", "16"]
    assert cli.main(["tune", str(digits), "--output", str(output), *flags]) == 0
    with open(output / "finetune" / "trials.csv", newline="") as file:
        best = min(csv.DictReader(file), key=lambda row: float(row["loss"]))
    (kept,) = (output / "finetune" / "models").iterdir()
    assert kept.name == f"{float(best['loss']):.6f} trial {best['trial']}.keras"
    assert not list(output.rglob("logs/*/model.keras"))
    with zipfile.ZipFile(kept) as archive:
        assert json.loads(archive.read("classes.json")) == [str(digit) for digit in range(10)]
    data = prepare(scan_folder(digits), framing(zoo.lenet5(num_classes=0)), 0.2, 0.2, 0).inner(0)
    held_out = data.part("validation")
    pictures = center(data.pixels[held_out], data.framing)
    guess = keras.models.load_model(kept, compile=False).predict(pictures, verbose=0)
    loss = -np.log(guess[np.arange(len(held_out)), data.labels[held_out]]).mean()
    np.testing.assert_allclose(loss, float(best["loss"]), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.deep
def test_a_search_killed_in_a_trial_and_started_again(tuner, tmp_path, monkeypatch):
    """The real trial in real processes: the parent gets a SIGKILL after the second epoch; the same in one piece."""
    values = {"epochs": 8}
    (tmp_path / "parent.py").write_text(f"""
import sys
from pathlib import Path
sys.path[:0] = [{str(ROOT / "tests")!r}, {os.path.dirname(__file__)!r}]
from test_search_fine_tuning import *
tuner = FineTuner(Recipe(Path({str(tuner.recipe.data)!r}), model="lenet5", batch_size=16), {tuner.cuts}, {tuner.policies}, 8,
                  *places(Path({str(tmp_path)!r})))
print(tuner.work(trial(tuner, report=lambda epoch, loss: print(epoch, flush=True), **{values})), flush=True)
""")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = [sys.executable, str(tmp_path / "parent.py")]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert [parent.stdout.readline() for _ in range(2)] == ["1\n", "2\n"]
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    resumed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert resumed[:8] == [str(epoch) for epoch in range(1, 9)]
    assert resumed[8] == str(tuner.work(trial(tuner, **values)))
    assert not list((cache_folder("training")).iterdir())
