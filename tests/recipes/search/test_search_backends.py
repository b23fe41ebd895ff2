"""A search without TensorFlow: its modules, a search over heads, and the fine-tuning of a trial under JAX and PyTorch."""

import importlib.util
import os

import keras
import pytest
from helpers import ROOT, WITHOUT_TENSORFLOW, digits_folder, python

from recipes.compute import processes
from recipes.settings.finetune import Recipe
from recipes.settings.tuned import FineTuneSettings

SCRIPT = (
    WITHOUT_TENSORFLOW
    + """
import dataclasses, pathlib
from recipes.compute import runtime
runtime.start(0)
import keras, keras_tuner, numpy as np
from recipes import tune
from recipes.search import loop, space
from recipes.search.oracle import make_oracle
from recipes.search.study import open_study
from recipes.transfer.head_trainer import HeadTrainer

features = np.random.default_rng(0).standard_normal((1, 40, 8)).astype("float32")
labels = (features[0, :, 0] > 0).astype(int)
heads = HeadTrainer({"pre_logits": features}, labels, np.arange(30), np.arange(30, 40), 2)
hp = keras_tuner.HyperParameters()
space.declare_head(hp, ["pre_logits"], ["centre"], 3)

def work(trial):
    head = space.declare_head(trial.hyperparameters, ["pre_logits"], ["centre"], 3)
    settings = dataclasses.replace(head, kind="linear", units=256)
    result = heads.train(settings, trial.seed, trial.report)
    return {"loss": result.loss, "accuracy": result.accuracy}

for tuner in ("random", "tpe"):
    study = open_study(pathlib.Path(sys.argv[1]) / "trials.db", tuner, {})
    loop.run_trials(make_oracle(tuner, study, hp, 2, 0, 3), work)
    assert [record.state for record in study.records()] == ["done"] * 2, study.records()
print(keras.backend.backend(), "tensorflow" in sys.modules)
"""
)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", pytest.param("torch", marks=pytest.mark.deep)])
def test_a_search_needs_no_tensorflow(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: no search can be run on it")
    assert keras.backend.backend() != backend
    out = python(SCRIPT, tmp_path, cwd=tmp_path, KERAS_BACKEND=backend, PYTHONPATH=str(ROOT))
    assert out.split()[-2:] == [backend, "False"]


@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_trial_of_fine_tuning_needs_no_tensorflow(backend, tmp_path, monkeypatch):
    """The process of the trial, as the search starts it, where TensorFlow cannot be imported."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: no trial can be run on it")
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_TENSORFLOW)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    monkeypatch.setenv("KERAS_BACKEND", backend)
    found = FineTuneSettings("stage1", 0.7, 0.01)
    recipe = Recipe(
        digits_folder(tmp_path / "digits", 12),
        model="lenet5",
        batch_size=16,
        strategy="tuned",
        fine_tuning=found,
        augment="none",
        epochs=2,
        learning_rate=1e-3,
    )
    epochs = []
    job = {"recipe": recipe.as_dict(), "seed": 1, "batch_size": 16, "model": str(tmp_path / "model.keras")}
    result = processes.run("recipes.search.fine_tuning", job, tmp_path / "trial", lambda epoch, loss: epochs.append(epoch))
    assert epochs == [1, 2] and result["accuracy"] > 0.5 and result["batch_size"] == 16
