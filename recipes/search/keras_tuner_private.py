"""The parts of KerasTuner that it does not promise to keep, and what is used instead of them elsewhere in this project.

KerasTuner keeps its trials in files of one process; here they lie in tables that many share. When a new version moves a part,
tests/recipes/search/test_private_parts.py names it.
"""

from collections.abc import Mapping
from pathlib import Path

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.hyperparameters import HyperParameter
from keras_tuner.engine.trial import Trial
from keras_tuner.oracles import GridSearchOracle

# What KerasTuner's tuners know beyond the trials themselves.
MEMORY = ("_seed_state", "_brackets", "_current_bracket", "_current_iteration")


def notes_of(oracle: keras_tuner.Oracle) -> dict:
    """Write what a tuner must remember from one trial to the next as values for JSON."""
    return {name: vars(oracle)[name] for name in MEMORY if name in vars(oracle)}


def remember(oracle: keras_tuner.Oracle, notes: Mapping) -> None:
    """Give a tuner the memory of another, which may have been in another process."""
    vars(oracle).update(notes)


def record_values(oracle: keras_tuner.Oracle, trial: Trial) -> None:
    """Have a tuner know a trial's values, which it proposes to no other."""
    oracle._record_values(trial)


def next_combination(oracle: GridSearchOracle, values: Mapping) -> dict | None:
    """Find the combination of a grid that comes after these values; None after the last."""
    return oracle._get_next_combination(values)


def count_values(hp: HyperParameter) -> int:
    """Count the values of a hyper-parameter that goes in steps."""
    return hp._get_n_values()


class TrialLoop(BaseTuner):
    """Runs KerasTuner's loop over trials without its files: `attempt` does what a trial needs, and never fails for one."""

    def attempt(self, trial: Trial, *arguments: object, **named: object) -> None:
        """Run a trial, with what `search` was given, and give it its status and score."""
        raise NotImplementedError

    def evaluate(self, trial: Trial, *arguments: object, **named: object) -> None:
        """Run a trial as KerasTuner does: `run_trial`, the mean of its executions, and `update_trial` of the oracle."""
        self._run_and_update_trial(trial, *arguments, **named)

    def build_model(self, hps: keras_tuner.HyperParameters) -> object:
        """Build a model as a trial does, compiled as the tuner was told to."""
        return self._build_hypermodel(hps)

    def checkpoint(self, trial_id: str) -> Path:
        """Name the file in which KerasTuner keeps the weights of a trial's best epoch."""
        return Path(self._get_checkpoint_fname(trial_id))

    def save(self) -> None:
        """Do nothing: all is saved where it happens."""

    def _try_run_and_update_trial(self, trial: Trial, *arguments: object, **named: object) -> None:
        """Attempt the trial, in place of KerasTuner's own way."""
        self.attempt(trial, *arguments, **named)

    def _get_tuner_fname(self) -> str:
        """Name a file that is never written."""
        return ""
