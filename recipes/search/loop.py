"""What one worker does: KerasTuner's loop over trials, in which a trial that fails ends nothing but itself."""

import contextlib
import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import keras_tuner
import optuna
from keras_tuner.engine.trial import Trial as KerasTrial
from keras_tuner.engine.trial import TrialStatus
from keras_tuner.errors import FailedTrialError, FatalError

from recipes.compute import signals
from recipes.errors import UserError
from recipes.search.keras_tuner_private import TrialLoop
from recipes.search.oracle import SharedOracle
from recipes.search.records import TrialRecord


@dataclass(frozen=True)
class Trial:
    """What the work on one trial needs."""

    number: int
    hyperparameters: keras_tuner.HyperParameters
    """The space with the trial's values; those of Hyperband, tuner/epochs and its like, are in `.values`."""
    seed: int
    """The same for the same hyper-parameters, also when the trial is run again after a kill."""
    run: int
    """1, and more when it is run again because its worker died or was stopped."""
    report: Callable[[int, float], None]
    """Takes the epoch, from 1, and the loss after it; raises to end the trial early or because of a NaN."""


def run_trials(
    oracle: SharedOracle, work: Callable[[Trial], dict], ended: Callable[[TrialRecord], None] = lambda record: None
) -> None:
    """Run trials until there are no more, beside any other workers of the same study.

    Args:
        work: trains and returns what it has found, JSON values with at least "loss". What it raises is the failure of this
            trial alone.
        ended: is called after each trial with its record.
    """
    Loop(oracle, work, ended).search()


class SharedLoop(TrialLoop):
    """Runs one trial after another, each under signs of life, and has the study know how each has ended."""

    oracle: SharedOracle

    def score_and_result(self, trial: KerasTrial, *arguments: object, **named: object) -> tuple[float, dict]:
        """Do the work on a trial; give the objective's value, and what else was found, values for JSON."""
        raise NotImplementedError

    def attempt(self, trial: KerasTrial, *arguments: object, **named: object) -> None:
        """Do the work on a trial, and note its status, its score and why it failed.

        Raises:
            KeyboardInterrupt: somebody wants the worker to stop; the trial is given back.
            FatalError: KerasTuner's, of what fails every trial; so is this one.
        """
        trial.outcome = {}
        try:
            with self.oracle.study.beating(trial.row), signals.restored():
                score, result = self.score_and_result(trial, *arguments, **named)
            if not math.isfinite(score):
                raise FloatingPointError(f"the {self.oracle.objective.name} is {score:g}")
            trial.status, trial.score, trial.outcome["result"] = TrialStatus.COMPLETED, score, result
        except optuna.TrialPruned:
            trial.status, trial.score = TrialStatus.STOPPED, trial.outcome["history"][-1][1]
        except FatalError:
            self._give_back(trial)
            raise
        except Exception as error:
            trial.status, trial.score = TrialStatus.FAILED, None
            kind = "" if isinstance(error, (UserError, FailedTrialError)) else f"{type(error).__name__}: "
            trial.message = trial.outcome["message"] = f"{kind}{error}".rstrip(": ")
            trial.outcome["traceback"] = traceback.format_exc()
        except BaseException:  # Ctrl-C or SIGTERM: it is nobody's fault, and another worker may have it at once
            self._give_back(trial)
            raise

    def _give_back(self, trial: KerasTrial) -> None:
        """Let another worker run a trial; if that cannot be written, this one's silence will be noticed."""
        with contextlib.suppress(Exception):
            self.oracle.study.give_back(trial.row)


class Loop(SharedLoop):
    """Runs `work` on each trial."""

    def __init__(self, oracle: SharedOracle, work: Callable[[Trial], dict], ended: Callable[[TrialRecord], None]):
        self._work, self._ended = work, ended
        super().__init__(oracle)

    def score_and_result(self, trial: KerasTrial, *arguments: object, **named: object) -> tuple[float, dict]:
        """Do the work on a trial; give its loss and its result."""
        history = trial.outcome["history"] = []

        def report(epoch: int, loss: float) -> None:
            history.append([epoch, float(loss)])
            if not math.isfinite(loss):
                raise FloatingPointError(f"the loss is {loss:g} after epoch {epoch}")
            if self.oracle.prunes and self.oracle.study.should_stop(trial.row, epoch, float(loss)):
                raise optuna.TrialPruned

        attributes = trial.row.user_attrs
        result = self._work(
            Trial(trial.row.number, trial.hyperparameters, attributes["seed"], attributes["run"]["count"], report)
        )
        return float(result["loss"]), result

    def on_trial_end(self, trial: KerasTrial) -> None:
        """Write down how a trial has ended."""
        self._ended(self.oracle.end_trial(trial))
