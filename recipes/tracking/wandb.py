"""A run for Weights & Biases, online or as WANDB_MODE says; its files lie in wandb/ of the working folder, or in WANDB_DIR."""

import os
from collections.abc import Mapping

PROJECT = "zoo"


class Tracker:
    """Logs a run by the library's own object; what the command prints stays the command's."""

    def __init__(self, name: str, settings: Mapping):
        import wandb

        quiet = wandb.Settings(console="off", silent=True)
        project = os.environ.get("WANDB_PROJECT", PROJECT)
        self._run = wandb.init(project=project, name=name, config=dict(settings), reinit="create_new", settings=quiet)

    def epoch(self, numbers: Mapping[str, float], epoch: int) -> None:
        """Log the numbers of an epoch, which curves are drawn over."""
        for name in numbers:
            self._run.define_metric(name, step_metric="epoch")
        self._run.log({**numbers, "epoch": epoch})

    def scores(self, numbers: Mapping[str, float]) -> None:
        """Write what was reached in the end into the run's summary."""
        self._run.summary.update(dict(numbers))

    def close(self, is_complete: bool) -> None:
        """Send, or write, what is left, and say whether the run is complete."""
        self._run.finish(exit_code=0 if is_complete else 1)
