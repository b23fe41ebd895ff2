"""A run that is cut off goes on to the same bits: by exception at each epoch here, by SIGKILL at any moment in processes."""

import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import time
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import resumable
from helpers import ROOT

from callbacks.checkpoint import TrainingState

pytestmark = pytest.mark.slow

EPOCHS = 24


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

    @pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "a list", "an array", "method"])
    def test_the_state_before_is_taken_and_it_is_said(self, folder, damage):
        assert TrainingState(folder / "state").initial_epoch == 3
        self.damage(folder / "state" / "state.npz", damage)
        with pytest.warns(UserWarning, match=r"state.npz is damaged .* going on from the state before it, epoch 2"):
            assert TrainingState(folder / "state").initial_epoch == 2

    @pytest.mark.fault(
        "Callbacks",
        "both states of a training are damaged, by whatever",
        "both are named, the run begins anew, and no other file is touched",
        "the error stayed until someone removed the folder by hand",
    )
    @pytest.mark.parametrize("damage", ["truncated", "empty", "no state", "a list", "no epoch", "method", "text"])
    def test_both_damaged_begin_anew_and_it_is_said(self, folder, whole, damage):
        (folder / "state" / "notes.txt").write_text("mine")
        for name in ("state.npz", "previous.npz"):
            self.damage(folder / "state" / name, damage)
        with pytest.warns(UserWarning, match="state.npz is damaged .*previous.npz is damaged .*: the run begins anew"):
            assert TrainingState(folder / "state").initial_epoch == 0
        if damage == "a list":  # once is enough of what takes its time
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                same(results(*resumable.run(folder, 6)), whole)
            assert TrainingState(folder / "state").initial_epoch == 6
        assert (folder / "state" / "notes.txt").read_text() == "mine"

    @pytest.mark.fault(
        "Callbacks",
        "a kill in the first save after the newest state was found damaged",
        "the run goes on from the state before",
        "the damaged file took its place before the new one was there",
    )
    def test_a_damaged_state_never_becomes_the_previous_one(self, folder, monkeypatch):
        self.damage(folder / "state" / "state.npz", "truncated")
        good = (folder / "state" / "previous.npz").read_bytes()
        with warnings.catch_warnings(), pytest.raises(InterruptedError):
            warnings.simplefilter("ignore")
            resumable.run(folder, 6, Cut(3, "batch1"))
        assert (folder / "state" / "previous.npz").read_bytes() == good
        assert TrainingState(folder / "state").initial_epoch == 3

    def test_a_state_that_cannot_be_opened_is_no_damage(self, folder, monkeypatch):
        def refuse(*_, **__):
            raise OSError(24, "Too many open files")

        monkeypatch.setattr("builtins.open", refuse)
        with pytest.raises(OSError, match="Too many open files"):
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

    @staticmethod
    def damage(path, how):
        content = bytearray(path.read_bytes())
        inside = {"a list": "[]", "no epoch": '{"schema": 1, "stopped": false}', "text": "null"}
        if how in inside:
            np.savez(path, state=np.frombuffer(inside[how].encode(), np.uint8))
            return
        if how == "an array":
            with open(path, "wb") as file:
                np.save(file, np.zeros(3))
            return
        if how == "no state":
            np.savez(path, other=np.zeros(2))
            return
        if how == "method":  # of compression, of each member, in the list at the end
            content = content.replace(
                b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x63\x00"
            )
            content = content.replace(
                b"PK\x01\x02\x2d\x03\x2d\x00\x00\x00\x00\x00", b"PK\x01\x02\x2d\x03\x2d\x00\x00\x00\x63\x00"
            )
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
        class Mine(keras.callbacks.EarlyStopping):
            """May remember more than its base."""

        for callback in (Mine(), keras.callbacks.CSVLogger("log.csv"), keras.callbacks.LambdaCallback()):
            name = type(callback).__name__
            with pytest.raises(
                TypeError, match=f"would lose what {name} remembers: give it get_state .* EarlyStopping, Reduce"
            ):
                TrainingState(tmp_path, [callback])


@pytest.mark.slow
def test_killed_at_five_random_moments(tmp_path, monkeypatch):
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
    for kill in range(5):
        process, steps = start(killed)
        for _ in range(moments.randrange(1, 14)):  # of 4 an epoch
            assert steps.poll(120) and steps.recv() == "training", f"the run was over before kill {kill}"
        time.sleep(moments.uniform(0.0, 0.05))
        assert process.is_alive(), f"the run was over before kill {kill}"
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        reached.add(TrainingState(killed / "state").initial_epoch)
    assert len(reached) > 2  # the kills were spread over the run
    finish(killed)
    with np.load(whole / "result.npz") as a, np.load(killed / "result.npz") as b:
        assert set(a.files) == set(b.files) and len(a["loss"]) == EPOCHS
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_a_fit_without_epochs_leaves_no_state(tmp_path):
    model, data = resumable.network(), resumable.Batches(0)
    model.compile("sgd", "mse")
    assert model.fit(data, epochs=0, verbose=0, callbacks=TrainingState(tmp_path).callbacks).epoch == []
    assert not list(tmp_path.iterdir()) and TrainingState(tmp_path).initial_epoch == 0
    with pytest.raises(InterruptedError):
        resumable.run(tmp_path, 6, Cut(2, "batch0"))
    before = (tmp_path / "state" / "state.npz").read_bytes()
    resumable.run(tmp_path, 0)
    assert (tmp_path / "state" / "state.npz").read_bytes() == before


KERAS_OWN = {
    "plateau": lambda folder: keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=2, cooldown=1, min_delta=1e-3),
    "stopping": lambda folder: keras.callbacks.EarlyStopping("val_loss", patience=4, restore_best_weights=True, verbose=0),
    "checkpoint": lambda folder: keras.callbacks.ModelCheckpoint(folder / "best.weights.h5", "val_loss", 0, True, True),
}


def keras_run(folder, epochs, *more):
    """A run with Keras' own callbacks, whose loss of validation begins to grow: (weights, history, epochs)."""
    keras.utils.set_random_seed(0)
    model, other = resumable.network(), resumable.Batches(3)
    model.compile(keras.optimizers.Adam(0.03), "binary_crossentropy", jit_compile=False)
    state = TrainingState(folder / "state", [make(folder) for make in KERAS_OWN.values()])
    history = model.fit(
        resumable.Batches(min(state.initial_epoch, epochs)),
        epochs=epochs,
        verbose=0,
        shuffle=False,
        validation_data=(other.x, np.where(np.arange(64)[:, None] % 3, other.y, 1 - other.y)),
        initial_epoch=state.initial_epoch,
        callbacks=[*state.callbacks, *more],
    )
    return results(model, history)


@pytest.mark.fault(
    "Callbacks",
    "a training with Keras' ReduceLROnPlateau, EarlyStopping and ModelCheckpoint, killed and run again",
    "it goes on to the same bits: learning rate, patience, best weights and file",
    "what they remember was lost, or TrainingState refused them",
)
def test_keras_own_callbacks_go_on_where_they_were(tmp_path):
    whole = keras_run(tmp_path / "whole", 30)
    epochs = len(whole[2])
    assert 5 < epochs < 30 and len(set(whole[1]["learning_rate"])) > 1  # the rate fell, and then it was stopped
    folder = tmp_path / "killed"
    for cut in (1, epochs - 3, epochs - 1):
        with pytest.raises(InterruptedError):
            keras_run(folder, 30, Cut(cut, "batch1"))
    same(keras_run(folder, 30), whole)
    same(keras_run(folder, 30), whole)  # a run that has ended stays as it is
    one, other = resumable.network(), resumable.network()
    one.load_weights(folder / "best.weights.h5")
    other.load_weights(tmp_path / "whole" / "best.weights.h5")
    for a, b, kept in zip(one.get_weights(), other.get_weights(), whole[0], strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, kept)  # EarlyStopping gave back the best
