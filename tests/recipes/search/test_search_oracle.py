"""Tuners over the store in one process: each behaves as itself, a failed trial ends nothing, what has changed is refused."""

import itertools
import math
import os
import sqlite3
import time

import keras_tuner
import numpy as np
import optuna
import pytest

from recipes.errors import UserError
from recipes.search import loop, patience
from recipes.search.oracle import distribution, make_oracle
from recipes.search.records import TrialRecord
from recipes.search.study import open_study


def space(**more) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-3, 1.0, sampling="log")
    hp.Float("mix", 0.0, 1.0)
    for name, values in more.items():
        hp.Choice(name, values)
    return hp


def bowl(values) -> float:
    """Least, 0, at rate 0.03 and mix 0.3."""
    return (math.log10(values["rate"] / 0.03)) ** 2 + (values["mix"] - 0.3) ** 2


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("search") / "trials.db"


def search(
    file,
    name,
    trials,
    tuner="random",
    hp=None,
    work=lambda trial: {"loss": bowl(trial.hyperparameters.values)},
    seed=0,
    epochs=9,
    **more,
) -> list[TrialRecord]:
    study = open_study(file, name, {"data": "abc"})
    loop.run_trials(make_oracle(tuner, study, hp or space(), trials, seed, epochs), work, **more)
    return study.records()


@pytest.mark.slow
def test_a_search_in_two_parts_is_the_search_in_one(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = search(file, "whole", 7)
    first, both = search(file, "parts", 3), search(file, "parts", 7)
    assert both[:3] == first  # not run again: the times are the same, too
    assert [(t.values, t.seed, t.loss) for t in both] == [(t.values, t.seed, t.loss) for t in whole]
    assert all(t.loss == bowl(t.values) and t.state == "done" and t.pid == os.getpid() for t in whole)
    assert len({t.seed for t in whole}) == 7
    assert search(file, "other seed", 1, seed=1)[0].values != whole[0].values
    assert os.listdir(tmp_path) == []  # KerasTuner's loop writes none of its files


@pytest.mark.slow
def test_the_same_hyper_parameters_have_the_same_seed_in_any_search(file):
    grid, blind = (search(file, f"small {name}", 6, name, small(), lambda trial: {"loss": 0.0}) for name in ("grid", "random"))
    seeds = {tuple(t.values.items()): t.seed for t in grid}
    assert len(set(seeds.values())) == 6 and len(blind) > 3
    assert all(seeds[tuple(t.values.items())] == t.seed for t in blind)


def small() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.Choice("units", [1, 2, 3])
    hp.Boolean("flag")
    return hp


@pytest.mark.slow
def test_failures_in_a_row_end_nothing_and_are_told(file):
    def work(trial):
        if trial.number == 1:
            raise ValueError("no such width")
        if trial.number == 2:
            raise MemoryError
        if trial.number == 3:
            trial.report(1, 0.5)
            trial.report(2, math.nan)
        return {
            "loss": math.inf if trial.number == 4 else 1 - trial.number / 10,
            "accuracy": np.float32(0.5),
            "curve": np.arange(2),
        }

    told = []
    trials = search(file, "failures", 7, work=work, ended=told.append)
    assert told == trials
    assert [t.state for t in trials] == ["done", "failed", "failed", "failed", "failed", "done", "done"]
    assert [t.message for t in trials[1:5]] == [
        "ValueError: no such width",
        "MemoryError",
        "FloatingPointError: the loss is nan after epoch 2",
        "FloatingPointError: the loss is inf",
    ]
    assert trials[3].history[0] == [1, 0.5] and trials[5].result == {"loss": 0.5, "accuracy": 0.5, "curve": [0, 1]}
    made = make_oracle("random", open_study(file, "failures", {}), space(), 7, 0, 9)
    assert [(t.trial_id, t.score) for t in made.get_best_trials(7)] == [("6", 0.4), ("5", 0.5), ("0", 1.0)]


def test_ctrl_c_leaves_the_trial_to_be_run_again(file):
    begun = []

    def work(trial):
        begun.append((trial.number, trial.seed, trial.run))
        if len(begun) == 2:
            raise KeyboardInterrupt
        return {"loss": 0.0}

    with pytest.raises(KeyboardInterrupt):
        search(file, "interrupted", 3, work=work)
    trials = search(file, "interrupted", 3, work=work)
    assert [number for number, *_ in begun] == [0, 1, 1, 2] and [run for *_, run in begun] == [1, 1, 2, 1]
    assert begun[1][1] == begun[2][1] and [t.deaths for t in trials] == [0, 0, 0]


@pytest.mark.slow
def test_hyperband_promotes_the_best_of_each_round(file):
    """Nine for an epoch, the best three of them for three, the best of those for nine: Li et al., factor 3."""
    trials = search(file, "hyperband", 13, "hyperband")
    shape = [(t.values["tuner/initial_epoch"], t.values["tuner/epochs"]) for t in trials]
    assert shape == [(0, 1)] * 9 + [(1, 3)] * 3 + [(3, 9)]
    best = sorted(trials[:9], key=lambda t: t.loss)[:3]
    assert [t.values["tuner/trial_id"] for t in trials[9:12]] == [str(t.number) for t in best]
    assert trials[12].values["tuner/trial_id"] == "9"  # the best again: its loss depends on its hyper-parameters alone
    for promoted, first in zip(trials[9:13], [*best, best[0]], strict=True):
        assert promoted.seed == first.seed
        assert {n: v for n, v in promoted.values.items() if n in ("rate", "mix")} == {
            n: first.values[n] for n in ("rate", "mix")
        }


@pytest.mark.slow
@pytest.mark.parametrize("tuner, trials, last", [("bayesian", 5, 2), ("tpe", 20, 4)])
def test_what_learns_from_trials_beats_what_does_not(file, tuner, trials, last):
    """The mean of the last ones, of which none is random any more."""
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-3, 1.0, sampling="log")
    learnt, blind = (
        search(
            file,
            f"line {tuner} {name}",
            trials,
            name,
            hp,
            lambda trial: {"loss": bowl({"mix": 0.3, **trial.hyperparameters.values})},
        )
        for name in (tuner, "random")
    )
    assert np.mean([t.loss for t in learnt[-last:]]) < 0.5 * np.mean([t.loss for t in blind])


@pytest.mark.slow
@pytest.mark.parametrize("tuner", ["tpe", "asha"])
def test_pruners_end_bad_trials_early(file, tuner):
    def work(trial):
        loss = bowl(trial.hyperparameters.values)
        for epoch in range(1, 10):
            trial.report(epoch, loss)
        return {"loss": loss}

    trials = search(file, f"pruned {tuner}", 12, tuner, work=work)
    pruned, whole = ([t for t in trials if t.state == state] for state in ("pruned", "done"))
    assert len(pruned) + len(whole) == 12 and 2 <= len(pruned) <= 10
    assert all(len(t.history) == 9 for t in whole) and all(len(t.history) < 9 for t in pruned)
    assert all(t.loss > min(w.loss for w in whole) for t in pruned)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed, sentence",
    [
        ({"tuner": "tpe"}, "was begun with tuner random, not tpe: give the same again"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"epochs": 20}, "epochs 9, not 20"),
        ({"hp": space(kind=["linear"])}, "hyper-parameters 2 of them, not 3"),
        ({"hp": small()}, "hyper-parameters .*rate.*, not .*units"),
    ],
)
def test_a_changed_search_is_refused(file, changed, sentence):
    before = search(file, "settled", 2)
    with pytest.raises(UserError, match=sentence):
        search(file, "settled", 3, **changed)
    with pytest.raises(UserError, match="'settled' in .*trials.db was begun with data abc, not xyz"):
        open_study(file, "settled", {"data": "xyz"})
    assert open_study(file, "settled", {"data": "abc"}).records() == before


def test_a_study_of_others_is_left_alone(tmp_path):
    url = f"sqlite:///{tmp_path}/theirs.db"
    optuna.create_study(study_name="theirs", storage=url).enqueue_trial({"x": 1})
    with pytest.raises(UserError, match="'theirs' in .*theirs.db was not begun by `zoo tune`"):
        open_study(tmp_path / "theirs.db", "theirs", {})


@pytest.mark.slow
def test_a_server_that_is_away_for_a_moment_costs_nothing(tmp_path, monkeypatch, capsys):
    """Every ninth call fails; the search is the one that nothing disturbs."""
    whole = search(tmp_path / "whole.db", "s", 6)
    calls = iter(range(1, 1000))

    def failing(original):
        def call(*arguments, **named):
            if next(calls) % 9 == 0:
                raise optuna.exceptions.StorageInternalError("the server is starting up")
            return original(*arguments, **named)

        return call

    called = "create_new_trial record_heartbeat set_trial_user_attr set_trial_state_values get_trial"
    opened = "set_study_user_attr get_study_user_attrs get_all_trials"  # by who just begins, or joins
    for name in f"{called} {opened}".split():
        monkeypatch.setattr(optuna.storages.RDBStorage, name, failing(getattr(optuna.storages.RDBStorage, name)))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    trials = search(tmp_path / "trials.db", "s", 6)
    assert [(t.values, t.seed, t.loss) for t in trials] == [(t.values, t.seed, t.loss) for t in whole]
    assert "cannot be used now (the server is starting up): trying for 10 min." in capsys.readouterr().out
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0)
    calls = itertools.repeat(9)
    with pytest.raises(UserError, match="The storage of the trials cannot be used .the server is starting up."):
        search(tmp_path / "trials.db", "s", 7)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_damaged_file_is_set_aside_and_named(tmp_path, damage, capsys):
    file = tmp_path / "trials.db"
    search(file, "s", 2)
    with sqlite3.connect(file) as database:
        database.execute("pragma wal_checkpoint(truncate)")
    database.close()
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] if damage == "cut" else b"x" * len(content))
    broken = file.read_bytes()
    assert len(search(file, "s", 2)) == 2
    (aside,) = tmp_path.glob("trials.db.damaged-*[0-9]")
    assert aside.read_bytes() == broken and f"set aside as {aside.name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "address, sentence",
    [
        ("mysql://host/db", "--storage takes a file or postgresql://user@host/database, found 'mysql://host/db'"),
        ("postgresql://me:secret@127.0.0.1:1/db", r"postgresql://me:\*\*\*@127.0.0.1:1/db cannot be used \(.*refused"),
    ],
)
def test_a_storage_that_cannot_be_used_is_one_sentence(address, sentence, monkeypatch):
    if "postgresql:" in address:
        pytest.importorskip("psycopg2")
    monkeypatch.setattr(patience, "OPENING_SECONDS", 1)
    with pytest.raises(UserError, match=sentence):
        open_study(address, "s", {})


def test_a_folder_is_no_storage(tmp_path):
    with pytest.raises(UserError, match="--storage .* cannot be used .*unable to open database file"):
        open_study(tmp_path, "s", {})


def test_optuna_samples_just_what_kerastuner_does():
    hp = keras_tuner.HyperParameters()
    hp.Int("int", 3, 9, step=4)  # 3 and 7
    hp.Int("log", 2, 32, step=2, sampling="log")
    hp.Float("float", 0.0, 0.5, step=0.2)  # 0, 0.2 and 0.4
    hp.Float("rate", 0.1, 1.0, sampling="log")
    hp.Boolean("flag")
    hp.Choice("choice", ["a", "b"])
    hp.Fixed("fixed", 7)
    made = {one.name: distribution(one) for one in hp.space}
    distributions = optuna.distributions
    assert made == {
        "int": distributions.IntDistribution(3, 7, step=4),
        "log": distributions.CategoricalDistribution([2, 4, 8, 16, 32]),
        "float": distributions.FloatDistribution(0.0, 0.4, step=0.2),
        "rate": distributions.FloatDistribution(0.1, 1.0, log=True),
        "flag": distributions.CategoricalDistribution([False, True]),
        "choice": distributions.CategoricalDistribution(["a", "b"]),
        "fixed": None,
    }
