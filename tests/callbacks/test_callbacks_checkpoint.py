"""A run that is cut off goes on to the same bits: by exception at each epoch here, by SIGKILL at any moment in processes."""

import contextlib
import errno
import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import resumable
from helpers import ROOT

from callbacks.checkpoint import TrainingState

pytestmark = pytest.mark.slow

EPOCHS = 70


class Cut(keras.callbacks.Callback):
    """An exception at one place of one epoch."""

    def __init__(self, epoch, place):
        super().__init__()
        self.epoch, self.place, self.now = epoch, place, None

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch
        self._here("begin")

    def on_train_batch_end(self, batch, logs=None):
        self._here(f"batch{batch}")

    def on_epoch_end(self, epoch, logs=None):
        self._here("end")

    def _here(self, place):
        if (self.now, place) == (self.epoch, self.place):
            raise InterruptedError


def results(model, history):
    return [np.copy(w) for w in model.get_weights()], history.history, history.epoch


def same(one, other):
    assert one[1:] == other[1:]
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return results(*resumable.run(tmp_path_factory.mktemp("whole"), 6))


@pytest.mark.parametrize("cuts", [[(0, "batch1"), (1, "begin"), (3, "batch3")], [(2, "end"), (5, "end")]], ids=str)
@pytest.mark.slow
def test_cut_off_and_run_again(tmp_path, whole, cuts):
    for cut in cuts:
        with pytest.raises(InterruptedError):
            resumable.run(tmp_path, 6, Cut(*cut))
    same(results(*resumable.run(tmp_path, 6)), whole)
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["previous.npz", "state.npz"]


def test_a_state_every_few_epochs(tmp_path, whole):
    with pytest.raises(InterruptedError):
        resumable.run(tmp_path, 6, Cut(5, "batch0"), every=3)
    seen = []
    again = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    same(results(*resumable.run(tmp_path, 6, again, every=3)), whole)
    assert seen == [3, 4, 5]


def test_a_run_that_has_ended_trains_no_more_and_a_longer_one_goes_on(tmp_path, whole):
    resumable.run(tmp_path, 6)
    same(results(*resumable.run(tmp_path, 6, Cut(0, "begin"))), whole)
    assert resumable.run(tmp_path, 8)[1].epoch == list(range(8))


def test_a_stopped_run_stays_stopped(tmp_path):
    def run():
        keras.utils.set_random_seed(0)
        model = resumable.network()
        model.compile("sgd", "mse")
        stop = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", epoch == 1))
        state = TrainingState(tmp_path)
        data = resumable.Batches(0)
        return model.fit(
            data.x,
            data.y,
            epochs=9,
            verbose=0,
            shuffle=False,
            initial_epoch=state.initial_epoch,
            callbacks=[*state.callbacks, stop],
        )

    first = run()
    assert first.epoch == [0, 1]
    again = run()
    assert again.epoch == [0, 1] and again.history == first.history


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut")
    with pytest.raises(InterruptedError):
        resumable.run(folder, 6, Cut(3, "batch1"))
    return folder


class TestDamage:
    @pytest.fixture
    def folder(self, cut, tmp_path):
        return Path(shutil.copytree(cut, tmp_path / "cut"))

    @pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "[]", "an array", "bad method", "folder"])
    def test_the_state_before_is_taken_and_it_is_said(self, folder, damage):
        assert TrainingState(folder / "state").initial_epoch == 3
        self.damage(folder / "state" / "state.npz", damage)
        with pytest.warns(UserWarning, match=r"state.npz is damaged .* going on from the state before it, epoch 2"):
            assert TrainingState(folder / "state").initial_epoch == 2
        assert TrainingState(folder / "state").initial_epoch == 2  # the damaged one is set aside, and does not replace it

    def test_both_damaged_is_an_error_that_names_them(self, folder):
        for name in ("state.npz", "previous.npz"):
            self.damage(folder / "state" / name, "truncated")
        with pytest.raises(ValueError, match="state.npz is damaged.*previous.npz is damaged.*Remove the folder"):
            TrainingState(folder / "state")

    def test_killed_between_the_two_renames(self, folder, whole):
        os.replace(folder / "state" / "state.npz", folder / "state" / "previous.npz")
        same(results(*resumable.run(folder, 6)), whole)

    def test_a_disk_that_is_full_keeps_the_state(self, folder, whole, monkeypatch):
        def full(*_, **__):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(np, "savez", full)
            with pytest.raises(OSError, match="No space left"):
                resumable.run(folder, 6)
        assert not (folder / "state" / "new.npz").exists()
        same(results(*resumable.run(folder, 6)), whole)

    def test_too_many_open_files_is_no_damage(self, folder, monkeypatch):
        def short(*_, **__):
            raise OSError(errno.EMFILE, "Too many open files")

        with monkeypatch.context() as patch:
            patch.setattr(np, "load", short)
            with pytest.raises(OSError, match="Too many open files"):
                TrainingState(folder / "state")
        assert TrainingState(folder / "state").initial_epoch == 3

    @staticmethod
    def damage(path, how):
        content = bytearray(path.read_bytes())
        if how == "[]":
            np.savez(path, state=np.frombuffer(b"[]", np.uint8))
            return
        if how == "an array":
            with open(path, "wb") as file:
                np.save(file, np.zeros(3))
            return
        if how == "folder":
            path.unlink()
            path.mkdir()
            return
        if how == "bad method":  # of compression, in each member's header and in the list of members
            for mark, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
                at = content.find(mark)
                while at >= 0:
                    content[at + place : at + place + 2] = (99).to_bytes(2, "little")
                    at = content.find(mark, at + 4)
        elif how == "truncated":
            content = content[: len(content) // 2]
        elif how == "empty":
            content = b""
        else:
            at = content.index(b"NUMPY") + 200  # in the data of the first array, behind its header
            content[at] ^= 1
        path.write_bytes(content)


class TestRefusals:
    def test_a_fit_that_begins_elsewhere(self, tmp_path):
        with pytest.raises(InterruptedError):
            resumable.run(tmp_path, 6, Cut(2, "batch0"))
        model = resumable.network()
        model.compile("sgd", "mse")
        data = resumable.Batches(0)
        with pytest.raises(ValueError, match="is to go on with epoch 2, fit begins with 0: give fit initial_epoch"):
            model.fit(data, verbose=0, callbacks=[TrainingState(tmp_path / "state")])

    def test_another_model(self, tmp_path):
        with pytest.raises(InterruptedError):
            resumable.run(tmp_path, 6, Cut(2, "batch0"))
        data = resumable.Batches(0)
        small = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
        for model, says in ((small, "is another model's"), (resumable.network(), "is another model's")):
            model.compile("sgd", "mse")
            state = TrainingState(tmp_path / "state")
            with pytest.raises(ValueError, match=says):
                model.fit(data, epochs=6, verbose=0, initial_epoch=state.initial_epoch, callbacks=state.callbacks)

    def test_callbacks_that_would_forget(self, tmp_path):
        with pytest.raises(TypeError, match="would lose what ReduceLROnPlateau remembers"):
            TrainingState(tmp_path, [keras.callbacks.ReduceLROnPlateau()])


@pytest.mark.slow
def test_killed_at_ten_random_moments(tmp_path, monkeypatch):
    # Each run is a process of its own, forked from one that has imported TensorFlow and done nothing with it.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["resumable"])

    def start(folder):
        steps, other = context.Pipe(duplex=False)
        process = context.Process(target=resumable.process, args=(folder, EPOCHS, other))
        process.start()
        other.close()
        return process, steps

    def finish(folder):
        process, steps = start(folder)
        with contextlib.suppress(EOFError):
            while True:
                steps.recv()
        process.join(60)
        assert process.exitcode == 0

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    finish(whole)
    moments, reached = random.Random(0), set()
    for kill in range(10):
        process, steps = start(killed)
        for _ in range(moments.randrange(1, 30)):  # of 4 an epoch
            assert steps.poll(120) and steps.recv() == "training", f"the run was over before kill {kill}"
        time.sleep(moments.uniform(0.0, 0.05))
        assert process.is_alive(), f"the run was over before kill {kill}"
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        reached.add(TrainingState(killed / "state").initial_epoch)
    assert len(reached) > 5  # the kills were spread over the run
    finish(killed)
    with np.load(whole / "result.npz") as a, np.load(killed / "result.npz") as b:
        assert set(a.files) == set(b.files) and len(a["loss"]) == EPOCHS
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)
