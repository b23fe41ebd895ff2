"""A worker of a search whose work is a sleep and a sum; a process of its own for test_search_faults.py.

It notes in a log, which no part of the search sees, what it has begun and ended.
"""

import contextlib
import json
import os
import signal
import time
import warnings
from pathlib import Path

import alembic.command  # noqa: F401  imported once, before the workers part
import keras_tuner

from recipes.compute import signals
from recipes.search import liveness, loop
from recipes.search import study as study_of
from recipes.search.oracle import make_oracle
from zoo import files


def space() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 1, 1000)
    hp.Float("rate", 1e-3, 1.0, sampling="log")
    return hp


def small_space() -> keras_tuner.HyperParameters:
    """Eight combinations: 2 x 2 where units is below 3, and 2 x 2 where it is 3."""
    hp = keras_tuner.HyperParameters()
    hp.Choice("units", [1, 2, 3])
    hp.Choice("rate", [0.1, 0.2])
    with hp.conditional_scope("units", [3]):
        hp.Choice("extra", ["a", "b"])
    return hp


def score(values) -> float:
    return values["units"] / 1000 + values["rate"]


def run(storage, log, trials, sleep=0.01, hangs_in=0, dies=None, stops=None, machine=None, at=0.0, tuner="random", zone=None):
    """Work on the study "numbers" until all is done; signs of life are of every second, and missed after four.

    Args:
        hangs_in: of the trials that this worker begins, the one that goes on only when there is a file LOG.PROCESS.
        dies: (method of the storage, a word in its arguments): after the second such call, by a SIGKILL of its own.
        machine: what it takes for the machine it runs on.
        stops: as `dies`, by a SIGSTOP.
        at: when to begin, to be one of many at once.
        zone: the time zone of its own clock.

    What it says is in LOG.PROCESS.out.
    """
    warnings.simplefilter("error")
    if zone:
        os.environ["TZ"] = zone
        time.tzset()
    begun = 0

    def note(what, trial):
        line = json.dumps([what, trial.number, os.getpid(), trial.seed, trial.hyperparameters.values])
        with open(log, "a") as file:
            file.write(line + "\n")

    def work(trial):
        nonlocal begun
        begun += 1
        note("begin", trial)
        if begun == hangs_in:
            _until(Path(f"{log}.{os.getpid()}"))
        time.sleep(sleep)
        note("end", trial)
        return {"loss": score(trial.hyperparameters.values)}

    if machine:
        files.machine_id = lambda: machine
    liveness.BEAT_SECONDS, liveness.GRACE_SECONDS = 1, 4
    time.sleep(max(0.0, at - time.time()))
    said = open(f"{log}.{os.getpid()}.out", "w", buffering=1)
    contextlib.redirect_stdout(said).__enter__()
    study = study_of.open_study(storage, "numbers", {"data": "none"})
    for moment, number in ((dies, signal.SIGKILL), (stops, signal.SIGSTOP)):
        if moment:
            _signal(study.tables, *moment, number)
    oracle = make_oracle(tuner, study, small_space() if tuner == "grid" else space(), trials, 0, epochs=9)
    with signals.raised():
        loop.run_trials(oracle, work)


def by_kerastuner(folder, trials):
    """Write to values.json what KerasTuner's own random search tries; its seed is 1 for our 0, which it takes for none."""
    warnings.simplefilter("ignore", DeprecationWarning)  # of KerasTuner's `synchronized`
    made = keras_tuner.oracles.RandomSearchOracle(keras_tuner.Objective("loss", "min"), trials, seed=1, hyperparameters=space())
    made._set_project_dir(str(folder), "tuner")
    made.verbose, values = 0, []
    for _ in range(trials):
        trial = made.create_trial("tuner0")
        values.append(trial.hyperparameters.values)
        made.update_trial(trial.trial_id, {"loss": 0.0})
        trial.status = "COMPLETED"
        made.end_trial(trial)
    (folder / "values.json").write_text(json.dumps(values))


def _until(file):
    limit = time.monotonic() + 300
    while not file.exists() and time.monotonic() < limit:
        time.sleep(0.02)


def _signal(storage, method, word, number):
    original, done = getattr(storage, method), 0

    def counted(*arguments, **named):
        nonlocal done
        done += word in repr(arguments)
        result = original(*arguments, **named)
        if done == 2:
            os.kill(os.getpid(), number)
        return result

    setattr(storage, method, counted)
