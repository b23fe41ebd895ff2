"""A KerasTuner hypermodel over the store of `zoo tune`: real tuners, tiny arrays."""

import csv
import json
import math
import os
import re
import runpy
import signal
from pathlib import Path

import commands
import keras
import keras_tuner
import numpy as np
import pytest
from helpers import ROOT, few_digits

from recipes.errors import UserError
from recipes.search.hypermodels import tune_hypermodel

ROWS = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
LABELS = (ROWS[:, 0] > 0).astype(int)
DATA = ROWS, LABELS
F1 = keras_tuner.Objective("val_f1", "max")


class Sums(keras_tuner.HyperModel):
    """Trains nothing: what a trial reaches can be written down."""

    def build(self, hp):
        hp.Choice("units", [1, 2, 3])
        hp.Boolean("flag")
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])

    def fit(self, hp, model, *args, **kwargs):
        calls.append(dict(hp.values))
        return {"val_f1": value_of(hp.values), "other": 2.0}


class WithBatchSize(Sums):
    """Declares in `fit`, as KerasTuner's guide does."""

    def fit(self, hp, model, *args, **kwargs):
        size = hp.Choice("batch_size", [16, 32])
        return {"val_f1": value_of(hp.values) + size}


class Failing(Sums):
    """Fails in each of the ways of a trial."""

    def fit(self, hp, model, *args, **kwargs):
        kind = len(calls)
        calls.append(kind)
        if kind == 0:
            raise keras_tuner.errors.FailedTrialError("Model is too slow.")
        if kind == 1:
            raise ValueError("no such width")
        return {"val_f1": math.nan if kind == 2 else 1.0, "other": math.nan}


class Interrupted(Sums):
    """Is interrupted in the second trial, once."""

    def fit(self, hp, model, *args, **kwargs):
        if len(calls) == 1:
            calls.append(None)
            raise KeyboardInterrupt
        return super().fit(hp, model, *args, **kwargs)


class Stateful(keras.callbacks.Callback):
    """Notes what each training ends its epochs with, in a list that copies do not share."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["val_loss"])

    def on_train_end(self, logs=None):
        calls.append(self.losses)


calls: list = []


@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()


def value_of(values) -> float:
    return values["units"] + (0.5 if values["flag"] else 0.0)


def compiled(model, loss="sparse_categorical_crossentropy"):
    model.compile("sgd", loss)
    return model


def build(hp):
    """A model that is small enough to be trained in a test."""
    return compiled(keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 4)), keras.layers.Dense(2, activation="softmax")]))


def search(output, hypermodel=None, data=DATA, **more):
    more = {"objective": F1, "max_trials": 4, "tuner": keras_tuner.RandomSearch} | more
    return tune_hypermodel(data, hypermodel or Sums(), output=output, **more)


def table(folder) -> list[dict]:
    with open(folder / "trials.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.parametrize(
    "tuner, trials",
    [
        ("Hyperband", 5),
        ("GridSearch", 6),
        *[pytest.param(*case, marks=pytest.mark.deep) for case in (("RandomSearch", 4), ("BayesianOptimization", 5))],
    ],
)
def test_each_tuner(tuner, trials, tmp_path):
    more = {"epochs": 3} if tuner == "Hyperband" else {}
    found = search(tmp_path, tuner=getattr(keras_tuner, tuner), max_trials=trials, **more)
    scores = [value_of(trial.values) for trial in found.trials]
    assert [trial.result["val_f1"] for trial in found.trials] == scores == [-trial.loss for trial in found.trials]
    assert found.score == max(scores) == value_of(found.hyperparameters.values) and found.model is None
    if tuner == "GridSearch":
        assert sorted(scores) == [1, 1.5, 2, 2.5, 3, 3.5]
    rows = table(tmp_path)
    assert list(rows[0])[:5] == ["trial", "state", "val_f1", "other", "epoch"] and len(rows) == len(scores) == len(calls)
    assert [float(row["val_f1"]) for row in rows] == scores and {row["state"] for row in rows} == {"done"}
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["best"]["score"] == found.score and result["counts"]["held_out"] == 10 and result["tuner"] == tuner
    assert "val_f1" in (tmp_path / "report.html").read_text() and (tmp_path / "loss_by_trial.png").exists()


@pytest.mark.slow
def test_the_same_call_goes_on_and_more_trials_may_be_asked_for(tmp_path):
    first, again = search(tmp_path, max_trials=3), search(tmp_path, max_trials=3)
    assert len(calls) == 3 and again.trials == first.trials and again.score == first.score
    more = search(tmp_path, max_trials=5)
    assert len(calls) == 5 and more.trials[:3] == first.trials
    whole = search(tmp_path.with_name("whole"), max_trials=5)
    assert [trial.values for trial in whole.trials] == [trial.values for trial in more.trials]


@pytest.mark.slow
def test_what_fit_declares_is_in_the_space(tmp_path):
    found = search(tmp_path, WithBatchSize(), tuner=keras_tuner.GridSearch, max_trials=100)
    tried = {(t.values["units"], t.values["flag"], t.values["batch_size"]) for t in found.trials}
    assert len(tried) == len(found.trials) == 12
    assert found.score == 3.5 + 32 and found.hyperparameters.get("batch_size") == 32
    assert {row["batch_size"] for row in table(tmp_path)} == {"16", "32"}
    with pytest.raises(UserError, match="fit declares the hyper-parameter 'batch_size', and allow_new_entries is False"):
        hps = keras_tuner.HyperParameters()
        hps.Choice("units", [1, 2, 3])
        hps.Boolean("flag")
        options = {"hyperparameters": hps, "allow_new_entries": False}
        search(tmp_path / "closed", WithBatchSize(), tuner_options=options)


@pytest.mark.slow
def test_a_trial_that_fails_ends_nothing(tmp_path):
    found = search(tmp_path, Failing())
    assert [trial.state for trial in found.trials] == ["failed", "failed", "failed", "done"]
    said = [trial.message for trial in found.trials]
    assert said == ["Model is too slow.", "ValueError: no such width", "FloatingPointError: the val_f1 is nan", ""]
    assert [row["message"] for row in table(tmp_path)] == said and found.score == 1.0


@pytest.mark.slow
def test_ctrl_c_leaves_a_table_and_the_trial_to_be_run_again(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, Interrupted())
    assert [row["state"] for row in table(tmp_path)] == ["done", "waiting"]
    found = search(tmp_path, Interrupted())
    assert [trial.runs for trial in found.trials] == [1, 2, 1, 1] and len(calls) == 5


@pytest.mark.slow
def test_trainings_are_averaged_and_the_best_epoch_is_kept(tmp_path):
    """Two trainings a trial, of three epochs each, with copies of the callback."""
    callback = Stateful()
    more = {"executions_per_trial": 2, "callbacks": [callback], "epochs": 3, "batch_size": 8, "validation_data": DATA}
    found = search(tmp_path, build, objective="val_loss", max_trials=1, **more)
    assert [len(losses) for losses in calls] == [3, 3] and callback.losses == []
    assert found.score == pytest.approx(np.mean([min(losses) for losses in calls]), rel=1e-6)
    assert found.trials[0].loss == found.score
    model = keras.models.load_model(found.model)
    assert model.evaluate(*DATA, verbose=0) == pytest.approx(min(map(min, calls)), rel=1e-4)
    assert os.listdir(tmp_path / "training") == []


@pytest.mark.slow
def test_a_model_is_kept_with_its_optimizer(tmp_path):
    """As Keras saves a model after `fit`: loading it warns of nothing, and training can go on."""

    def with_adam(hp):
        model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 4), activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    found = search(tmp_path, with_adam, objective="val_loss", max_trials=1, epochs=1, batch_size=10)
    optimizer = keras.models.load_model(found.model).optimizer
    assert int(optimizer.iterations) == 3 and all(np.any(variable) for variable in optimizer._momentums)


@pytest.mark.slow
def test_hyperband_goes_on_with_the_weights_of_the_trial_that_it_promotes(tmp_path):
    more = {"tuner": keras_tuner.Hyperband, "objective": "val_loss", "callbacks": [Stateful()], "epochs": 3}
    found = search(tmp_path, build, max_trials=5, **more)
    promoted = [trial for trial in found.trials if trial.values.get("tuner/trial_id")]
    assert promoted and all(trial.values["tuner/initial_epoch"] == 1 for trial in promoted)
    assert len(calls[promoted[0].number]) == 2  # epochs 2 and 3


class Doubling(keras_tuner.RandomSearch):
    """A tuner of the user's, with an argument of its own."""

    def __init__(self, *args, factor=2, **kwargs):
        super().__init__(*args, **kwargs)
        self.factor = factor

    def run_trial(self, trial, *args, **kwargs):
        return self.factor * value_of(trial.hyperparameters.values)


@pytest.mark.slow
@pytest.mark.parametrize("options, factor", [({}, 2), ({"factor": 3}, 3)])
def test_a_tuner_of_the_users(options, factor, tmp_path):
    found = search(tmp_path, tuner=Doubling, tuner_options=options, objective=None)
    assert [trial.loss for trial in found.trials] == [factor * value_of(trial.values) for trial in found.trials]
    assert found.score == min(trial.loss for trial in found.trials)


@pytest.mark.slow
def test_several_objectives_are_summed_as_kerastuner_does(tmp_path):
    class Both(Sums):
        def fit(self, hp, model, *args, **kwargs):
            return {"multi_objective": 3.0 - value_of(hp.values), "val_f1": value_of(hp.values), "cost": 3.0}

    found = search(tmp_path, Both(), objective=[F1, keras_tuner.Objective("cost", "min")])
    assert found.score == min(3.0 - value_of(trial.values) for trial in found.trials)


@pytest.mark.slow
def test_features_of_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    shapes = []

    class Looking(Sums):
        def fit(self, hp, model, x, y, validation_data, **more):
            shapes.append((x.shape, y.shape, validation_data[0].shape, sorted(set(y))))
            return {"val_f1": float(np.abs(x).sum())}

    folder = few_digits(tmp_path / "digits", images=20)
    found = search(tmp_path / "out", Looking(), folder, max_trials=2, model="lenet5", validation=0.2, test=0.2)
    # Of 20 pictures of each of two classes, 12 train; a quarter of these judges trials.
    assert shapes == [((18, 84), (18,), (6, 84), [0, 1])] * 2 and found.trials[0].loss == found.trials[1].loss < 0
    with pytest.raises(UserError, match="begun with pictures"):
        search(tmp_path / "out", Looking(), few_digits(tmp_path / "others", images=24), model="lenet5")


def wrong_outputs(hp):
    return compiled(keras.Sequential([keras.layers.Dense(1)]))


def wrong_inputs(hp):
    return compiled(keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)]))


THREE = {"data": (ROWS, np.arange(40) % 3), "objective": "val_loss"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "more, sentence",
    [
        ({"hypermodel": lambda hp: keras.Sequential([keras.layers.Dense(2)])}, r"build returns a model that is not compiled"),
        ({"hypermodel": lambda hp: 7}, "build must return a Keras model, found int"),
        ({"hypermodel": wrong_outputs} | THREE, "a model with 1 outputs, and the labels are of 3 classes"),
        ({"hypermodel": wrong_inputs}, r"a model that does not take features \(4,\)"),
        ({"hypermodel": 7}, "build must be a function"),
        ({"objective": "val_f1"}, 'objective: Could not infer optimization direction .* "val_f1"'),
        ({"objective": keras_tuner.Objective("val_f1", "maximise")}, "'val_f1' must have .* 'min' or 'max', found 'maximise'"),
        ({"objective": []}, "objective must name .* found an empty list"),
        ({"objective": keras_tuner.Objective("val_f2", "max")}, "val_f2, as one of the keys"),
        ({"hypermodel": build, "objective": F1}, "objective 'val_f1' is not what the training reports: loss, val_loss"),
        ({"tuner": keras_tuner.Tuner}, "tuner must be a class such as keras_tuner.RandomSearch"),
        ({"tuner": "random"}, "tuner must be a class"),
        ({"tuner": keras_tuner.Hyperband}, "Hyperband needs epochs"),
        ({"tuner_options": {"max_trials": 3}}, "give tune_hypermodel max_trials="),
        ({"tuner_options": {"overwrite": True}}, "'overwrite', which RandomSearch does not take here"),
        ({"data": (ROWS, LABELS[:-1])}, "data must have a label for each row of features, found 40 rows and 39 labels"),
        ({"data": ROWS}, "data must be a folder or"),
        ({"data": (ROWS[:2], LABELS[:2])}, "too few to hold some out: give validation_data"),
        ({"model": "vgg16"}, "model is for a folder of pictures"),
        ({"max_trails": 3}, "no argument 'max_trails'"),
        ({"max_trials": 0}, "max_trials must be a positive whole number, found 0"),
        ({"max_trials": True}, "max_trials must be a positive whole number, found True"),
        ({"executions_per_trial": 0}, "executions_per_trial must be a positive whole number, found 0"),
        ({"executions_per_trial": 1.5}, "executions_per_trial must be a positive whole number, found 1.5"),
        ({"callbacks": keras.callbacks.TerminateOnNaN()}, "callbacks must be a list of Keras callbacks, found TerminateOnNaN"),
        ({"hypermodel": build, "data": (ROWS, LABELS.astype(str))}, "labels are text, and a model learns numbers"),
        ({"epochs": "2"}, "epochs must be a positive whole number, found '2'"),
        ({"seed": None}, "seed must be a whole number, 0 or more, found None"),
        ({"hypermodel": lambda hp: None, "workers": 2}, "build cannot be imported by other processes"),
        ({"callbacks": [open(os.devnull)]}, "should be deep-copyable"),
        ({"callbacks": [keras.callbacks.TerminateOnNaN]}, r"found the class TerminateOnNaN: make one, TerminateOnNaN\("),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_cannot_be_used_is_refused_in_a_sentence(more, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        search(tmp_path / "out", **more)


class Changed(Sums):
    def build(self, hp):
        model = super().build(hp)
        return model


class Wider(Sums):
    def build(self, hp):
        hp.Float("more", 0.0, 1.0)
        return super().build(hp)


@pytest.mark.slow
@pytest.mark.fault(
    "Search",
    "`tune_hypermodel` is called with another build, space, objective or data for the same output",
    "refused by a sentence that names the first difference",
    "its trials would stand beside those of another search",
)
@pytest.mark.parametrize(
    "more, sentence",
    [
        ({"hypermodel": Changed()}, "begun with build Sums with code .*, not Changed with code"),
        ({"hypermodel": Wider()}, "begun with hyper-parameters"),
        ({"objective": keras_tuner.Objective("val_f1", "min")}, 'direction="max".*, not .*direction="min"'),
        ({"data": (ROWS + 1, LABELS)}, "begun with data 40 rows of"),
        ({"seed": 1}, "begun with seed 0, not 1"),
        ({"tuner": keras_tuner.GridSearch}, "begun with tuner RandomSearch, not GridSearch"),
        ({"study": "another"}, "output .* is the folder of the study"),
    ],
)
def test_another_search_in_the_same_folder_is_refused(more, sentence, one_search):
    with pytest.raises(UserError, match=sentence):
        search(one_search, **more)


@pytest.fixture(scope="module")
def one_search(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    search(folder, max_trials=1)
    return folder


SCRIPT = """
import sys, time
from pathlib import Path
import keras, keras_tuner
import numpy as np
from recipes.search.hypermodels import tune_hypermodel

class Slow(keras_tuner.HyperModel):
    def build(self, hp):
        hp.Int("units", 1, 1000)
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])

    def fit(self, hp, model, *args, **kwargs):
        with open("log", "a") as log:
            log.write("begin\\n")
        while len(Path("log").read_text().split()) == int(sys.argv[3]):
            time.sleep(0.05)
        return hp.get("units") / 1000

def main():
    data = np.zeros((8, 4), "float32"), np.arange(8) % 2
    how = {"objective": None, "tuner": keras_tuner.RandomSearch, "max_trials": int(sys.argv[1])}
    found = tune_hypermodel(data, Slow(), output="out", workers=int(sys.argv[2]), validation_data=data, **how)
    print(*(trial.state for trial in found.trials), *(trial.runs for trial in found.trials), len({t.pid for t in found.trials}))

GUARDmain()
"""


def script(folder, *arguments, guard='if __name__ == "__main__": ') -> commands.Command:
    """Start the script as Python does, in a process that has Keras already; the workers that it starts have not."""
    (folder / "script.py").write_text(SCRIPT.replace("GUARD", guard))
    words = [str(folder / "script.py"), *map(str, arguments)]
    setup = f"import runpy, sys\nsys.argv = {words}\nrunpy.run_path(sys.argv[0], run_name='__main__')\nsys.exit()"
    return commands.start(cwd=folder, setup=setup, PYTHONPATH=str(ROOT))


def said(command: commands.Command) -> str:
    """What a script has said when it has ended well."""
    assert command.wait(300) == 0, command.stderr
    return command.stdout


@pytest.mark.slow
@pytest.mark.fault(
    "Search",
    "`tune_hypermodel` is killed in a trial (SIGKILL)",
    "the same call runs that trial again and goes on; what had ended stays",
    "a search takes hours",
)
def test_a_killed_search_goes_on(tmp_path):
    first = script(tmp_path, 4, 1, 2)  # hangs in the second trial
    first.wait_until(lambda _: (tmp_path / "log").exists() and (tmp_path / "log").read_text().count("begin") == 2)
    first.signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert said(script(tmp_path, 4, 1, 0)).splitlines()[-1] == "done done done done 1 2 1 1 2"


@pytest.mark.slow
def test_workers_share_a_search(tmp_path):
    out = said(script(tmp_path, 4, 2, 1))  # the first waits for the second to begin
    assert out.splitlines()[-1] == "done done done done 1 1 1 1 2"
    assert not (tmp_path / "out" / ".job.pickle").exists()


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_so(tmp_path):
    out = said(script(tmp_path, 2, 2, 0, guard=""))
    assert "worker 1 ended with status 2: tune_hypermodel(workers=...) was called while a worker imported the script" in out
    assert out.splitlines()[-1] == "done done 1 1 1"  # by the process that began it


@pytest.mark.slow
def test_the_example_of_the_documentation(tmp_path, monkeypatch):
    text = (ROOT / "docs" / "tune.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    monkeypatch.chdir(tmp_path)
    Path("example.py").write_text(code)
    found = runpy.run_path("example.py", run_name="__main__")
    assert found["model"].output_shape == (None, 10) and found["best"].score == max(-t.loss for t in found["best"].trials)
    assert len(table(tmp_path / "runs" / "digits")) == 3
