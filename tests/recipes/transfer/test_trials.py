"""Trials of `auto`: what ends early, and that nobody can tell by what is trained that anything was tried."""

import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import digits_folder

from recipes.errors import UserError
from recipes.settings.finetune import Recipe
from recipes.transfer import trials
from recipes.transfer.choice import chosen_strategy, interpolated
from recipes.transfer.evidence import Evidence, Trial
from recipes.transfer.repeating import again
from recipes.transfer.run import fit, prepare
from recipes.transfer.state import Prepared
from recipes.transfer.trials import choose


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Path:
    """12 pictures of each digit, of which three lie in the next one's folder: no head has all of them right."""
    folder = digits_folder(tmp_path_factory.mktemp("digits"), 12)
    for label in range(10):
        for picture in sorted((folder / str(label)).iterdir())[:3]:
            picture.rename(folder / str((label + 1) % 10) / f"of-{label}-{picture.name}")
    return folder


@pytest.fixture
def traced(monkeypatch) -> list[str]:
    """The names of models whose training step was traced, by TensorFlow, which calls it in Python for that alone."""
    found, step = [], keras.Model.train_step

    def counted(model: keras.Model, *given):
        found.append(model.name)
        return step(model, *given)

    monkeypatch.setattr(keras.Model, "train_step", counted)
    return found


def prepared(data: Path, cache: Path, monkeypatch, **settings) -> Prepared:
    """Prepare `auto` with nothing in the cache."""
    monkeypatch.setenv("ZOO_CACHE", str(cache))
    return prepare(Recipe(data, cache / "run", "lenet5", **settings))


@pytest.mark.slow
def test_a_trial_that_cannot_win_ends_early_and_the_choice_is_the_one_without(mixed, tmp_path, monkeypatch, capsys):
    """Adam's steps of 0.1 ruin a network: the head alone wins, whether they are ended or not.

    A trial is judged at its rung by what it ends with there: by the mean of its best epochs.
    """
    given, rungs, judge = {"epochs": 24, "learning_rate": 0.1}, [], trials.can_win
    monkeypatch.setattr(trials, "can_win", lambda rung, *others: rungs.extend(rung[1:]) or judge(rung, *others))
    ended = choose(prepared(mixed, tmp_path / "ended", monkeypatch, **given), 0.0)
    said = capsys.readouterr().out
    monkeypatch.setattr(trials, "can_win", lambda *_: True)
    whole = choose(prepared(mixed, tmp_path / "whole", monkeypatch, **given), 0.0)
    assert ended.strategy.name == whole.strategy.name == "small"
    for found, epochs in ((ended, 3), (whole, 5)):  # a fifth of 24, and half of that
        took = {trial.strategy: (trial.epochs, trial.planned) for trial in found.evidence.trials}
        assert took == {"small": (0, 0), "medium": (epochs, 5), "large": (epochs, 5)}
    assert "large" in said and "ended after 3 of 5 epochs" in said and ended.strategy.reason.count(", ended early") == 2
    looked = [trial.loss for trial in ended.evidence.trials if trial.strategy != "small"]
    assert [trial.loss for trial in rungs] == pytest.approx(looked, abs=1e-5) and len(looked) == 8
    heads = [next(trial for trial in found.evidence.trials if trial.strategy == "small") for found in (ended, whole)]
    assert heads[0].loss == heads[1].loss and all(trial.seconds > 0 for trial in ended.evidence.trials)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["large", "medium"])
def test_what_auto_trains_is_the_strategy_that_it_takes(mixed, tmp_path, monkeypatch, deterministic, traced, name):
    """A run with that strategy by name, which tries nothing, has the same weights and history, bit for bit."""
    monkeypatch.setattr(trials, "next_to_try", lambda evidence, *_: None if evidence.trials else name)
    tried = prepared(mixed, tmp_path / "tried", monkeypatch, epochs=6)
    choice = choose(tried, 0.0)
    assert [(phase.name, phase.epochs) for phase in choice.strategy.phases] == [("fine-tune", 6)]
    assert [trial.planned for trial in choice.evidence.trials] == [2] * 4 and choice.strategy.name == name
    fitted = fit(tried, choice.strategy)
    assert len(traced) == 1
    named = prepared(mixed, tmp_path / "named", monkeypatch, epochs=6, strategy=name)
    strategy = choose(named, 0.0).strategy
    same = fit(named, interpolated(strategy, choice.strategy.phases[0].interpolation))
    for one, other in zip(tried.model.get_weights(), named.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    rows = [[{k: v for k, v in row.items() if k != "seconds"} for row in found.history] for found in (fitted, same)]
    assert rows[0] == rows[1] and [row["phase"] for row in rows[0]] == ["fine-tune"] * 6


@pytest.mark.slow
def test_repeats_train_what_the_run_trained_with_its_step_and_leave_its_network(mixed, tmp_path, monkeypatch, traced):
    """One step is traced for the trial, for the training, and for both repeats."""
    monkeypatch.setattr(trials, "next_to_try", lambda evidence, *_: None if evidence.trials else "large")
    run = prepared(mixed, tmp_path / "run", monkeypatch, epochs=3)
    strategy = choose(run, 0.0).strategy
    fit(run, strategy)
    before = run.model.get_weights()
    answers = [again(run, strategy, run.data.divided(seed), seed)[0] for seed in (1, 2, 1)]
    for one, other in zip(before, run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(traced) == 1 and not np.array_equal(answers[0], answers[1])
    alone = prepared(mixed, tmp_path / "alone", monkeypatch, epochs=3, seed=1)
    fit(alone, replace(strategy, reason=""))
    np.testing.assert_allclose(trials.probabilities(alone, strategy), answers[0], atol=1e-5)
    np.testing.assert_allclose(answers[0], answers[2], atol=1e-5)


def test_where_trials_have_taken_the_time_the_head_alone_is_trained(mixed, tmp_path, monkeypatch):
    made = prepared(mixed, tmp_path, monkeypatch)
    found = tuple(Trial(name, 20, loss, 0.5, 0.1) for name, loss in (("small", 0.4), ("large", 0.2)))
    evidence = Evidence(80, 10, 8, training=100.0, budget=0.1, trials=found)
    strategy = chosen_strategy(made.recipe, made.model, made.data, evidence)
    assert strategy.name == "small" and "but one epoch of strategy large takes about 1 s, and 0 s are left" in strategy.reason
    with pytest.raises(UserError, match="give a longer --budget"):
        chosen_strategy(replace(made.recipe, strategy="large", budget="1s"), made.model, made.data, evidence)


@pytest.mark.parametrize(
    "strategy, budget, said",
    [
        ("auto", "10s", "--budget 10s is too short: without any training the run takes about 1"),
        ("large", "10s", "--budget 10s is too short"),
        ("small", "60s", ""),  # which has nothing to train
        ("auto", "20s", ""),  # in which `large` could not be tried at 25 images a second
    ],
)
def test_training_is_timed_only_where_there_may_be_time_for_it(mixed, tmp_path, monkeypatch, strategy, budget, said):
    """To compile a training step takes longer than all else of a short run."""
    made = prepared(mixed, tmp_path, monkeypatch, strategy=strategy, budget=budget)
    monkeypatch.setattr(trials, "forward_rates", lambda *_: [100.0])
    monkeypatch.setattr(trials, "measure", lambda *_, **__: pytest.fail("a training was timed"))
    if said:
        with pytest.raises(UserError, match=said):
            choose(made, time.monotonic())
        return
    chosen = choose(made, time.monotonic()).strategy
    assert chosen.name == "small" and ("too short to train more than the head" in chosen.reason) == (strategy == "auto")


def test_auto_takes_the_head_where_measuring_has_taken_the_time(mixed, tmp_path, monkeypatch):
    made = prepared(mixed, tmp_path, monkeypatch, budget="300s")
    monkeypatch.setattr(trials, "forward_rates", lambda *_: [100.0])
    began = time.monotonic()

    def slow(*given, **named):
        monkeypatch.setattr(trials.time, "monotonic", lambda: began + 290)
        return Evidence(80, 10, 8, forward=100.0, training=10.0, budget=300.0)

    monkeypatch.setattr(trials, "measure", slow)
    chosen = choose(made, began).strategy
    assert chosen.name == "small" and "0 s are too short to train more than the head" in chosen.reason


class Killed(BaseException):
    """What ends a training as a kill does: nobody catches it."""


@pytest.mark.slow
@pytest.mark.fault(
    "Runs",
    "`auto` is killed while it trains what it has taken",
    "the same command takes up trial and training, trains what is left, and ends with the same weights",
    "hours may lie in either",
)
def test_a_kill_behind_the_trial_costs_neither(mixed, tmp_path, monkeypatch, deterministic, traced):
    monkeypatch.setattr(trials, "next_to_try", lambda evidence, *_: None if evidence.trials else "medium")
    given = {"epochs": 3, "validation": 0.0}

    def end_of(cache: str, report=lambda row, states: None) -> list[np.ndarray]:
        made = prepared(mixed, tmp_path / cache, monkeypatch, **given)
        fit(made, choose(made, 0.0).strategy, report=report)
        return made.model.get_weights()

    def kill(row: dict, states: tuple) -> None:
        if (row["phase"], row["epoch"]) == ("fine-tune", 2):
            raise Killed

    with pytest.raises(Killed):
        end_of("killed", kill)
    del traced[:]
    gone_on = end_of("killed")
    assert len(traced) == 1
    for one, other in zip(gone_on, end_of("whole"), strict=True):
        np.testing.assert_array_equal(one, other)
