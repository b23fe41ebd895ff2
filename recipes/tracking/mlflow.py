"""A run for MLflow, where MLFLOW_TRACKING_URI says, or in MLflow's own place in the working folder."""

import os
from collections.abc import Mapping

EXPERIMENT = "zoo"
# A server that is away is given up after seconds, not after MLflow's minutes.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
QUIET = {"MLFLOW_LOGGING_LEVEL": "WARNING"}  # else it tells of the tables of its database
MAX_LETTERS = 500  # of a setting, as servers of any age take it


class Tracker:
    """Logs a run by MLflow's client, which leaves alone whatever run the program has open."""

    def __init__(self, name: str, settings: Mapping):
        for variable, value in (PATIENCE | QUIET).items():
            os.environ.setdefault(variable, value)
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client, title = MlflowClient(), os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        experiment = self._client.get_experiment_by_name(title)
        number = experiment.experiment_id if experiment else self._client.create_experiment(title)
        self._run, self._last = self._client.create_run(number, run_name=name).info.run_id, 0
        params = [Param(key, str(value)[:MAX_LETTERS]) for key, value in settings.items()]
        self._client.log_batch(self._run, params=params)

    def epoch(self, numbers: Mapping[str, float], epoch: int) -> None:
        """Log the numbers of an epoch."""
        for name, value in numbers.items():
            self._client.log_metric(self._run, name, value, step=epoch)
        self._last = max(self._last, epoch)

    def scores(self, numbers: Mapping[str, float]) -> None:
        """Log what was reached in the end."""
        self.epoch(numbers, self._last)

    def close(self, is_complete: bool) -> None:
        """Say that the run has ended, or failed."""
        self._client.set_terminated(self._run, "FINISHED" if is_complete else "FAILED")
