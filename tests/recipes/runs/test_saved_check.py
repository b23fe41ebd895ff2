"""A saved model is looked at by a process without this project: what answers otherwise, or cannot be loaded, is not kept."""

import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import array

import zoo
from recipes.errors import UserError
from recipes.runs import model_file
from recipes.runs.saved_check import Check
from recipes.runs.saved_check import stranger as own_stranger  # before conftest.py puts the session's in its place


def children() -> set[int]:
    """Processes that this one has started and that run yet."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(pid) for task in tasks for pid in task.read_text().split()}


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    """A saved network, three pictures, and what it says of them."""
    keras.utils.set_random_seed(0)
    model, path = zoo.lenet5(num_classes=3), tmp_path_factory.mktemp("saved") / "model.keras"
    model_file.save(model, path, "abc", {})
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 1), "uint8")
    return model, path, pixels, array(model(pixels))


@pytest.mark.slow
def test_what_answers_otherwise_is_not_kept_and_what_cannot_be_loaded_is_named(lenet, tmp_path):
    model, path, pixels, said = lenet

    @keras.saving.register_keras_serializable("zoo")
    class Own(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    inputs = keras.Input((4,))
    keras.Model(inputs, Own()(inputs)).save(tmp_path / "own.keras")
    other = keras.models.clone_model(model)
    model_file.save(other, tmp_path / "other.keras", "abc", {})
    with own_stranger() as stranger:
        same = Check(path, pixels, said, stranger)
        same.require_reported(said + 0.01)
        same.require_saved()
        for wrong in (said + 0.06, said * np.nan):
            with pytest.raises(UserError, match="The evaluated model differs from the trained one by .*: not kept"):
                same.require_reported(wrong)
        with pytest.raises(UserError, match="The saved model differs from the trained one by .*: not kept"):
            Check(tmp_path / "other.keras", pixels, said, stranger).require_saved()
        with pytest.raises(UserError, match="The saved model differs"):
            Check(path, pixels, said + 2e-3, stranger).require_saved()
        stranger.ask(path, pixels)  # nobody takes this answer: it must not be taken for that of the next question
        stranger.ask(tmp_path / "own.keras", np.zeros((1, 4)))
        with pytest.raises(UserError, match="cannot be loaded where this project is not installed: .*Own"):
            stranger.answers()


@pytest.mark.slow
def test_a_stranger_that_dies_or_has_no_room_costs_no_run(lenet, tmp_path, monkeypatch, capfd):
    """What a system does that runs out of memory; and a library that prints while Python starts."""
    _, path, pixels, said = lenet
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sitecustomize.py").write_text("print('hello')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    others = children()  # the session's own process for loading models among them
    with own_stranger() as stranger:
        (pid,) = children() - others
        stranger.ask(path, pixels)
        os.kill(pid, signal.SIGKILL)  # after it was asked
        np.testing.assert_allclose(stranger.answers(), said, atol=1e-5)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with own_stranger() as stranger:
        Check(path, pixels, said, stranger).require_saved()
    assert "warning: the saved model was checked in this process alone, not in a fresh one" in capfd.readouterr().err
    with own_stranger() as stranger, pytest.raises(UserError, match="The saved model differs"):
        Check(path, pixels, said[:, ::-1], stranger).require_saved()
