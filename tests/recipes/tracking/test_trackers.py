"""Those who watch a run: what they are told, read back by their own libraries; and that none can cost a run."""

import csv
import importlib.util
import json
import shutil
from types import SimpleNamespace

import commands
import pytest
from helpers import digits_folder, python

from recipes.errors import UserError
from recipes.runs.folder import writing
from recipes.tracking import tensorboard, trackers
from recipes.tracking.trackers import FOLDER, Trackers

RUN = ("--model", "lenet5", "--strategy", "large", "--epochs", "2", "--mirror", "no")


def installed(name):
    """Whether a library is there that need not be."""
    return importlib.util.find_spec(name) is not None


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A run watched by all whose libraries are installed: the folder it was started in, its result and its history."""
    place = tmp_path_factory.mktemp("watched")
    digits_folder(place / "digits", 8)
    flags = ["--tensorboard", *(f"--{name}" for name in ("mlflow", "wandb") if installed(name))]
    where = {"MLFLOW_TRACKING_URI": f"sqlite:///{place}/log.db", "WANDB_MODE": "offline"}
    done = commands.zoo("finetune", "digits", *RUN, *flags, "--output", "run", cwd=place, **where)
    assert done.poll() == 0 and "warning" not in done.stderr, done.stderr
    with open(place / "run" / "history.csv", newline="") as file:
        history = list(csv.DictReader(file))
    return SimpleNamespace(
        place=place, result=json.loads((place / "run/result.json").read_text()), history=history, stdout=done.stdout
    )


def curves(history):
    """{"phase/name": [(epoch, value)]} as history.csv has them."""
    found = {}
    for row in history:
        for name in ("loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate"):
            found.setdefault(f"{row['phase']}/{name}", []).append(
                (int(row["epoch"]), pytest.approx(float(row[name]), rel=1e-5))
            )
    return found


@pytest.mark.slow
def test_tensorboard_reads_epochs_by_phase_scores_by_part_and_settings(watched):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found = EventAccumulator(str(watched.place / "run" / FOLDER))
    found.Reload()
    for name, points in curves(watched.history).items():
        assert [(event.step, event.value) for event in found.Scalars(name)] == points
    for part, measured in watched.result["metrics"].items():
        assert found.Scalars(f"{part}/accuracy")[-1].value == pytest.approx(measured["accuracy"])
    content = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["epochs"].number_value == 2 and settings["model"].string_value == "lenet5"
    assert settings["chosen strategy"].string_value == "large"
    assert "tensorboard --logdir run/tensorboard" in watched.stdout


@pytest.mark.slow
def test_a_watched_run_is_a_run(watched):
    """Its folder is taken for a run's, which the next one may replace; a folder of the user's in it is still refused."""
    assert json.loads((watched.place / "run/recipe.json").read_text())["tensorboard"] is True
    run = shutil.copytree(watched.place / "run", watched.place / "copy")
    with writing(run) as new:
        (new / "files.csv").touch()
    assert [path.name for path in run.iterdir()] == ["files.csv"]
    other = shutil.copytree(watched.place / "run", watched.place / "other")
    (other / "thesis").mkdir()
    with pytest.raises(UserError, match="holds files that no run wrote .thesis."), writing(other):
        pass


@pytest.mark.slow
def test_mlflow_reads_the_same(watched):
    pytest.importorskip("mlflow")
    code = """
import json, mlflow
client = mlflow.MlflowClient()
(run,) = client.search_runs([client.get_experiment_by_name("zoo").experiment_id])
curves = {name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)] for name in run.data.metrics}
print(json.dumps([run.info.status, run.info.run_name, run.data.params, curves]))
"""
    said = python(code, cwd=watched.place, MLFLOW_TRACKING_URI=f"sqlite:///{watched.place}/log.db")
    status, name, settings, found = json.loads(said.splitlines()[-1])
    assert (status, name, settings["epochs"], settings["chosen strategy"]) == ("FINISHED", "run", "2", "large")
    for curve, points in curves(watched.history).items():
        assert list(map(tuple, found[curve])) == points
    assert found["test/accuracy"][-1][1] == pytest.approx(watched.result["metrics"]["test"]["accuracy"])


@pytest.mark.slow
def test_weights_and_biases_keeps_the_same(watched):
    pytest.importorskip("wandb")
    (log,) = (watched.place / "wandb").glob("offline-run-*/*.wandb")
    written = log.read_bytes()
    assert all(name.encode() in written for name in (*curves(watched.history), "test/accuracy", "chosen strategy"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_library_that_is_not_there_is_asked_for_before_the_work(name, tmp_path):
    if installed(name):
        pytest.skip(f"{name} is installed")
    digits_folder(tmp_path / "digits", 4)
    (tmp_path / name).mkdir()  # a folder of that name is no library
    for command in ("finetune", "tune"):
        refusal = commands.refused(command, "digits", "--model", "lenet5", f"--{name}", cwd=tmp_path)
        assert f"--{name} needs " in refusal and f"which is not installed: pip install {name}" in refusal
    assert not (tmp_path / "runs").exists()


def test_a_folder_of_the_librarys_name_is_no_library(tmp_path, monkeypatch):
    monkeypatch.setitem(trackers.EXTRAS, "no_such_library", "Nothing")
    (tmp_path / "no_such_library").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    settings = SimpleNamespace(mlflow=False, wandb=False, no_such_library=True)
    with pytest.raises(UserError, match="--no_such_library needs Nothing, which is not installed: pip install no_such_library"):
        trackers.require(settings)


class Watcher:
    """Remembers what it is told; fails when the named call comes."""

    def __init__(self, fails=""):
        self.fails, self.told = fails, []
        self._hear("begin")

    def _hear(self, what, *of):
        if what == self.fails:
            raise RuntimeError("the server\nis away")
        self.told.append((what, *of))

    def epoch(self, numbers, epoch):
        self._hear("epoch", epoch, dict(numbers))

    def scores(self, numbers):
        self._hear("scores", dict(numbers))

    def close(self, is_complete):
        self._hear("close", is_complete)


@pytest.mark.parametrize("moment", ["begin", "epoch", "scores", "close"])
@pytest.mark.fault(
    "Runs",
    "A library that a run is logged to raises: its server is away, there is no key, the disk is full",
    "a sentence; the run goes on without it, and the others hear all",
    "hours of training would be lost for a curve",
)
def test_a_watcher_that_fails_costs_neither_the_run_nor_the_others(moment, capsys):
    sound = Watcher()
    watched = Trackers({"mlflow": lambda: Watcher(moment), "wandb": lambda: sound})
    rows = [{"phase": "head", "epoch": i, "loss": 1 / i, "accuracy": None, "name": "x", "flag": True} for i in (1, 2)]
    for row in (*rows, *rows):  # a training that goes on reports its epochs again
        watched.epoch(row)
    watched.scores({"test/accuracy": 0.5, "kind": "x"})
    watched.close(True)
    assert sound.told == [
        ("begin",),
        ("epoch", 1, {"head/loss": 1.0}),
        ("epoch", 2, {"head/loss": 0.5}),
        ("scores", {"test/accuracy": 0.5}),
        ("close", True),
    ]
    said = capsys.readouterr().err
    assert said == "warning: --mlflow failed, and the run goes on without it: RuntimeError: the server is away\n"


def test_a_run_that_fails_is_marked_so(monkeypatch):
    sound, settings = Watcher(), SimpleNamespace(tensorboard=False, mlflow=False, wandb=True)
    monkeypatch.setattr(trackers.wandb, "Tracker", lambda name, values: sound)
    with pytest.raises(ValueError), trackers.tracked(settings, "run", {}, None):
        raise ValueError
    assert sound.told[-1] == ("close", False)


def test_settings_that_hold_others_are_flat():
    assert trackers.run_settings({"a": 1, "tuned": {"cut": "x", "l2": 0.5}, "b": None}) == {
        "a": 1,
        "tuned.cut": "x",
        "tuned.l2": 0.5,
        "b": None,
    }


@pytest.mark.slow
def test_tensorboard_reads_what_is_written_of_a_trial(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trial = tensorboard.Tracker(tmp_path, {"a": None, "b": True, "c": 1, "d": "x"})
    for epoch, loss in ((1, 0.5), (2, 0.25)):
        trial.epoch({"loss": loss}, epoch)
    trial.scores({"best loss": 0.25})
    trial.close(True)
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    assert [(event.step, event.value) for event in found.Scalars("loss")] == [(1, 0.5), (2, 0.25)]
    assert [(event.step, event.value) for event in found.Scalars("best loss")] == [(2, 0.25)]
    start = found.SummaryMetadata("_hparams_/session_start_info").plugin_data
    assert start.plugin_name == "hparams" and b"string_value" not in start.content and b"None" in start.content
