"""Settings of `zoo tune`."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recipes.errors import UserError
from recipes.settings.shared import TransferCommand, check_positive, size


@dataclass(frozen=True)
class Tuning(TransferCommand):
    """Search over heads on features that are computed once, or over ways to fine-tune: many trials, the best one as a run.

    DATA as for `zoo finetune`; trials are judged on a part of its training pictures, and no trial sees the validation and the
    test part. The same command goes on where one was cut off; with --storage and --study it joins a search, from any machine.
    """

    COMMAND = "tune"
    EVERYDAY = ("scope", "trials", "tuner", "epochs", "workers", "model", "output")
    EXAMPLES = (
        "zoo tune photos --trials 100 --workers 2",
        "zoo tune photos --scope finetune --trials 30 --tuner asha",
    )

    scope: Literal["heads", "finetune"] = "heads"
    """What to search: heads, the classifier, on features of the frozen network; finetune, how much of the network to train,
    and how, the head starting from the best of a search over heads."""
    tuner: Literal["random", "grid", "bayesian", "hyperband", "tpe", "asha"] = "tpe"
    """Who proposes trials: random, grid, bayesian and hyperband are KerasTuner's; tpe (which ends poor trials early) and asha
    (successive halving, asynchronous) Optuna's."""
    trials: int = 50
    """Trials in all, by all workers."""
    epochs: int = 20
    """Epochs of a trial at most."""
    workers: int | None = None
    """Processes on this machine that run trials, each on its share of the cores, or on a GPU of its own; one for each GPU if
    not given, or one."""
    storage: str | None = None
    """Where the trials are kept: a URL, such as postgresql://USER:PASSWORD@HOST/DATABASE, for workers on several machines; a
    SQLite file in the output folder if not given."""
    study: str | None = None
    """Name of the search in --storage; that of DATA and the scope if not given."""
    keep: int = 3
    """Models to keep: those of the best trials."""
    disk: str = "2GB"
    """Most that the search may add on the disk: pictures and features in the cache, models and logs."""

    def __post_init__(self):
        super().__post_init__()
        if self.weights == "none":
            raise UserError("A search needs a pretrained network: leave out --weights none, or give a tag or a file.")
        check_positive(self, "trials", "epochs", "workers", "keep")
        if self.devices != "1" and self.scope == "heads":
            raise UserError(
                f"--devices {self.devices} has nothing to act on: --scope heads trains heads alone. Give --scope finetune, or "
                "leave it out."
            )
        if self.devices != "1" and (self.workers or 1) > 1:
            raise UserError("--devices and --workers both divide the machine: give one of them.")
        size(self.disk)

    @property
    def root(self) -> Path:
        """The folder where the storage of the trials lies, unless --storage says where."""
        return super().folder

    @property
    def folder(self) -> Path:
        """The folder of the scope's results: two scopes share the storage in the root, and neither writes over the other's."""
        return self.root if self.scope == "heads" else self.root / self.scope

    def words(self) -> list[str]:
        """Write the command's arguments that stand for these settings."""
        words = [str(self.data)]
        for setting in dataclasses.fields(self):
            value = getattr(self, setting.name)
            if setting.name != "data" and value != setting.default:
                words += [f"--{setting.name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return words
