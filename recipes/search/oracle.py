"""Tuners whose trials lie in a `Study`: KerasTuner's own, and Optuna's samplers behind KerasTuner's `Oracle`.

A tuner decides in `populate_space`, under the study's lock, from the trials of all workers and from what it noted with the
newest one. It decides the same in every worker and after every restart.

    random     KerasTuner's random search
    grid       KerasTuner's grid search, each combination once
    bayesian   KerasTuner's Gaussian process; it thinks for seconds about a trial where there are many hyper-parameters
    hyperband  KerasTuner's Hyperband: the values tuner/epochs, tuner/initial_epoch and tuner/trial_id say what is promoted
    tpe        Optuna's tree-structured Parzen estimator; trials worse than the median at the same epoch end early
    asha       random, and Optuna's asynchronous successive halving: in each rung only the best third goes on
"""

import functools
import hashlib
import json
import math
import random
import time
import warnings
from collections.abc import Mapping, Sequence

import keras_tuner
import optuna
import sklearn.exceptions
from keras_tuner.engine.hyperparameters import HyperParameter, HyperParameters
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.oracles import BayesianOptimizationOracle, GridSearchOracle, HyperbandOracle, RandomSearchOracle
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from recipes.search.keras_tuner_private import count_values, next_combination, notes_of, record_values, remember
from recipes.search.optuna_private import suggest
from recipes.search.patience import retry_while_away
from recipes.search.records import TrialRecord
from recipes.search.study import MAX_DEATHS, SUSPECT_DEATHS, Study, values_of

STATUS = {
    TrialState.COMPLETE: TrialStatus.COMPLETED,
    TrialState.FAIL: TrialStatus.FAILED,
    TrialState.WAITING: TrialStatus.RUNNING,
    TrialState.RUNNING: TrialStatus.RUNNING,
    TrialState.PRUNED: TrialStatus.STOPPED,
}


class SharedOracle(keras_tuner.Oracle):
    """Makes a tuner of one process one of many; it is mixed in before the tuner's class."""

    study: Study
    prunes = False

    @functools.cached_property
    def _widened_by(self) -> set[int]:
        """Numbers of the trials whose work has declared more hyper-parameters, which are in the space now."""
        return set()

    @retry_while_away
    def create_trial(self, tuner_id: str) -> Trial:
        """Give the next trial to run; wait where there is none now but others still run, for one of them may come back."""
        pause = 0.05
        while True:
            with self.study.lock():
                rows, unfinished = self.study.look()
                self._look(rows)
                row = self.study.take_over(unfinished, SUSPECT_DEATHS) or self._add(rows)
                row = row or self.study.take_over(unfinished, MAX_DEATHS)
            if row is not None:
                self.trials[str(row.number)] = trial = self._trial(row)
                return trial
            if not unfinished:
                return Trial(self.hyperparameters.copy(), status=TrialStatus.STOPPED)
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, 5)

    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Trial:
        """Note what a trial has reached, in this process alone.

        Raises:
            FloatingPointError: the objective is no number, which KerasTuner counts as a failure of the trial.
        """
        trial, own = self.trials[trial_id], self.objective
        if not math.isfinite(value := metrics.get(own.name, 0.0)):
            raise FloatingPointError(f"the {own.name} is {value:g}")
        for name, value in metrics.items():
            if not trial.metrics.exists(name):
                trial.metrics.register(name, own.direction if name == own.name else "min")
            if math.isfinite(value):
                trial.metrics.update(name, value, step=step)
        return trial

    @retry_while_away
    def end_trial(self, trial: Trial) -> TrialRecord:
        """Write down how a trial has ended."""
        state = next(state for state, status in STATUS.items() if status == trial.status)
        loss = None if trial.score is None else self.sign * trial.score
        return self.study.end(trial.row, state, loss, trial.outcome | self._news(trial))

    @retry_while_away
    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """List the best of the finished trials; KerasTuner makes up the number with failed ones."""
        with self.study.lock():
            self._look(self.study.look()[0])
        finished = [trial for trial in self.trials.values() if trial.status == TrialStatus.COMPLETED]
        return sorted(finished, key=lambda trial: self.sign * trial.score)[:num_trials]

    @property
    def sign(self) -> int:
        """What makes a loss, the lower the better, of a score."""
        return -1 if self.objective.direction == "max" else 1

    def save(self) -> None:
        """Do nothing: all is saved where it happens."""

    def _add(self, rows: Sequence[FrozenTrial]) -> FrozenTrial | None:
        """Create one more trial, if the tuner gives one now."""
        if len(rows) >= self.max_trials:
            return None
        response = self.populate_space(str(len(rows)))
        if response["status"] != TrialStatus.RUNNING:
            return None
        values = response["values"]
        return self.study.add(values, self._trial_seed(values), notes_of(self), self._distributions(values))

    def _look(self, rows: Sequence[FrozenTrial]) -> None:
        """See the trials of all workers, and the notes that lie with the newest."""
        for row in rows:
            if "space" in row.user_attrs.get("outcome", {}) and row.number not in self._widened_by:
                self._widened_by.add(row.number)
                self.update_space(HyperParameters.from_config(row.user_attrs["outcome"]["space"]))
                self.trials.clear()  # each has a value of what is new: its default
        for row in rows:
            known = self.trials.get(str(row.number))
            if known is None or known.row is not row:
                self.trials[str(row.number)] = trial = self._trial(row)
                record_values(self, trial)
        self.ongoing_trials = {name: trial for name, trial in self.trials.items() if trial.status == TrialStatus.RUNNING}
        if rows:
            remember(self, rows[-1].user_attrs["notes"])

    def _trial(self, row: FrozenTrial) -> Trial:
        """Make KerasTuner's trial from a row of the study."""
        hyperparameters = self.hyperparameters.copy()
        hyperparameters.values = values_of(row)
        for hp in hyperparameters.space:
            if hyperparameters.is_active(hp):
                hyperparameters.values.setdefault(hp.name, hp.default)
        outcome = row.user_attrs.get("outcome", {})
        trial = Trial(hyperparameters, str(row.number), STATUS[row.state], outcome.get("message"))
        trial.score = None if row.value is None else self.sign * row.value
        trial.row, trial.outcome = row, outcome
        return trial

    def _news(self, trial: Trial) -> dict:
        """Write down the hyper-parameters that a trial's work has declared beyond those that it was given."""
        new = {name: value for name, value in trial.hyperparameters.values.items() if name not in values_of(trial.row)}
        return {"more values": new, "space": trial.hyperparameters.get_config()} if new else {}

    def _trial_seed(self, values: Mapping) -> int:
        """Derive the seed from the hyper-parameters: equal ones have one score, a promoted trial that of its first run."""
        own = sorted((name, value) for name, value in values.items() if not name.startswith("tuner/"))
        return int.from_bytes(hashlib.sha256(json.dumps([self.seed, own]).encode()).digest()[:4]) >> 1

    def _distributions(self, values: Mapping) -> dict[str, BaseDistribution]:
        """Write the hyper-parameters of some values as Optuna's distributions."""
        hps = self.hyperparameters.copy()
        hps.values = dict(values)
        found = {hp.name: distribution(hp) for hp in hps.space if hps.is_active(hp)}
        return {name: made for name, made in found.items() if made is not None}


class Random(SharedOracle, RandomSearchOracle):
    """KerasTuner's random search."""


class Grid(SharedOracle, GridSearchOracle):
    """KerasTuner's grid search, without its waiting."""

    def populate_space(self, trial_id: str) -> dict:
        """Propose the next combination in KerasTuner's order.

        KerasTuner waits for a trial's end before it goes on, since the trial may add hyper-parameters. Here all are known, and
        workers need not wait for each other.
        """
        tried = [trial.hyperparameters.values for trial in self.trials.values()]
        values = self._untried(tried[-1] if tried else self._first(), tried)
        if values is None and self._widened_by:  # at the end, what was passed over before a trial had added hyper-parameters
            values = self._untried(self._first(), tried)
        return {"status": TrialStatus.RUNNING if values else TrialStatus.STOPPED, "values": values}

    def _first(self) -> dict:
        """Give all that is active its default."""
        hps = self.get_space()
        return {hp.name: hp.default for hp in hps.space if hps.is_active(hp)}

    def _untried(self, values: dict | None, tried: Sequence[Mapping]) -> dict | None:
        """Find the first combination, from these values on, that no trial has; None where there is none."""
        while values in tried:
            values = next_combination(self, values)
        return values


class Bayesian(SharedOracle, BayesianOptimizationOracle):
    """KerasTuner's Gaussian process."""

    def populate_space(self, trial_id: str) -> dict:
        """Propose values, in silence."""
        with warnings.catch_warnings():  # of a process that could be fitted better still
            warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
            return super().populate_space(trial_id)


class Hyperband(SharedOracle, HyperbandOracle):
    """KerasTuner's Hyperband."""


class Sampled(SharedOracle):
    """A sampler of Optuna's, made anew for each trial, so that none repeats another worker's draws."""

    prunes = True
    pruner: optuna.pruners.BasePruner

    def populate_space(self, trial_id: str) -> dict:
        """Propose values that the sampler draws from all trials so far."""
        past = optuna.create_study(sampler=self._sampler(self.seed + int(trial_id)))
        past.add_trials([trial.row for trial in self.trials.values()])
        asked, hps = past.ask(), keras_tuner.HyperParameters()
        for hp in self.hyperparameters.space:
            hps.merge([hp])
            if hps.is_active(hp):
                found = distribution(hp)
                hps.values[hp.name] = hp.default if found is None else suggest(asked, hp.name, found)
        return {"status": TrialStatus.RUNNING, "values": hps.values}


class Tpe(Sampled):
    """Optuna's tree-structured Parzen estimator, and an early end for what is worse than the median."""

    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1)

    @staticmethod
    def _sampler(seed: int) -> optuna.samplers.BaseSampler:
        """Make the sampler for one trial."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # With `constant_liar` it keeps away from what others are trying.
            return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


class Asha(Sampled):
    """Optuna's random sampler, and its asynchronous successive halving."""

    pruner = optuna.pruners.SuccessiveHalvingPruner(reduction_factor=3)
    _sampler = staticmethod(lambda seed: optuna.samplers.RandomSampler(seed=seed))


ORACLES = {"random": Random, "grid": Grid, "bayesian": Bayesian, "hyperband": Hyperband, "tpe": Tpe, "asha": Asha}


def make_oracle(
    tuner: str, study: Study, space: keras_tuner.HyperParameters, trials: int, seed: int, epochs: int
) -> SharedOracle:
    """Make a tuner that minimises "loss" over at most so many trials of the study.

    Args:
        tuner: one of ORACLES.
        space: all hyper-parameters; a trial cannot add any.
        epochs: how many a trial has; Hyperband gives them to its best.

    Raises:
        UserError: the study was begun with another tuner, space, seed or number of epochs.
    """
    kind = ORACLES[tuner]
    study.claim({"tuner": tuner, "seed": seed, "epochs": epochs, "hyper-parameters": written(space)})
    own = {"max_epochs": epochs, "hyperband_iterations": None} if kind is Hyperband else {"max_trials": trials}
    made = kind(
        objective=keras_tuner.Objective("loss", "min"),
        hyperparameters=space,
        allow_new_entries=False,
        tune_new_entries=False,
        seed=seed + 1,  # KerasTuner takes a seed of 0 for none
        **own,
    )
    made.study, made.max_trials = study, trials
    if kind.prunes:
        study.pruner = kind.pruner
    return made


def share(oracle: keras_tuner.Oracle, study: Study, trials: int) -> None:
    """Make an oracle of KerasTuner's, or of a class of the user's that is derived from one, a tuner of the study.

    What such a class does in `populate_space` and `score_trial` stays; what it remembers beyond the trials does not.
    """
    kind = type(oracle)
    shared = next((one for one in ORACLES.values() if kind in one.__bases__), None)
    oracle.__class__ = shared or type(kind.__name__, (SharedOracle, kind), {})
    oracle.study, oracle.max_trials = study, trials


def written(space: keras_tuner.HyperParameters) -> list[dict]:
    """Write a space as values for JSON."""
    settings = [{"kind": type(hp).__name__, **hp.get_config()} for hp in space.space]
    for hp in settings:
        hp["conditions"] = [dict(condition) for condition in hp["conditions"]]
    return settings


def distribution(hp: HyperParameter) -> BaseDistribution | None:
    """Write a hyper-parameter as Optuna's distribution; None for one that is fixed."""
    kind = type(hp).__name__
    if kind == "Fixed":
        return None
    if kind == "Boolean":
        return CategoricalDistribution([False, True])
    if kind == "Choice" or hp.step and hp.sampling != "linear":
        return CategoricalDistribution(list(hp.values))
    made = IntDistribution if kind == "Int" else FloatDistribution
    high = hp.max_value if hp.step is None else hp.min_value + (count_values(hp) - 1) * hp.step
    step = hp.step if hp.sampling == "linear" else None
    return made(hp.min_value, high, log=hp.sampling == "log", **({"step": step} if step else {}))
