"""Settings of `zoo tune`."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import FlagCreatePairsOff, Positional

from recipes.settings.shared import check_positive, check_shares, size


@dataclass(frozen=True)
class Tuning:
    """Search over heads on features that are computed once, or over ways to fine-tune: many trials, the best one as a run.

    DATA as for `zoo finetune`; trials are judged on a part of its training pictures. The same command goes on where one was
    cut off; with --storage and --study it joins a search, from any machine.
    """

    data: Positional[Path]
    """Folder of images."""
    output: Path = Path("runs/tune")
    """Folder for the trials, the table, the report, the best models and the winner's run."""
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
    SQLite file in --output if not given."""
    study: str | None = None
    """Name of the search in --storage; that of DATA and the scope if not given."""
    keep: int = 3
    """Models to keep: those of the best trials."""
    disk: str = "2GB"
    """Most that the search may take on the disk: pictures and features in the cache, models and logs."""
    tensorboard: FlagCreatePairsOff[bool] = False
    """Write each trial's epochs and hyper-parameters for TensorBoard."""
    model: str = "mobilenet_v2"
    """Architecture, a name of zoo.list_models()."""
    weights: str | None = None
    """A tag of the catalog or a file; the model's first tag if not given."""
    alpha: float | None = None
    """Width multiplier, for the MobileNets."""
    image_size: int | None = None
    """Height and width that the model sees; those of its weights if not given."""
    validation: float = 0.2
    """Share of each class to hold out for validation, if DATA has no val/: no trial sees it."""
    test: float = 0.2
    """Share of each class to hold out for the test, if DATA has neither val/ nor test/."""
    mirror: Literal["auto", "yes", "no"] = "auto"
    """Whether mirrored pictures are of the same class; auto leaves it to the search."""
    batch_size: int = 32
    """Images per step of the pass, and of fine-tuning."""
    seed: int = 0
    """Of the division into parts, the proposals and the trials."""

    def __post_init__(self):
        check_positive(self, "trials", "epochs", "workers", "keep", "image_size", "alpha", "batch_size")
        size(self.disk)
        check_shares(self)

    @property
    def folder(self) -> Path:
        """Of the results: two scopes share the storage in --output, and neither writes over the other's."""
        return self.output if self.scope == "heads" else self.output / self.scope

    def words(self) -> list[str]:
        """The command's arguments that stand for these settings."""
        words = [str(self.data)]
        for setting in dataclasses.fields(self)[1:]:
            value = getattr(self, setting.name)
            if value != setting.default:
                words += [f"--{setting.name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return words
