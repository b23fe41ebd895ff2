"""Settings of `zoo rank`."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from recipes.settings.shared import check_positive, seconds


@dataclass(frozen=True)
class Ranking:
    """Which backbone for these pictures? Every candidate is scored from one pass over a sample, before any is trained.

    DATA as for `zoo finetune`; only pictures that it would train on are looked at. Candidates are the weights of the
    catalog that are on this machine already, or those that --models names, and the files of --weights.
    """

    data: Positional[Path]
    """Folder of images."""
    output: Path = Path("runs/rank")
    """Folder for the table, the picture and the journal, from which the same command goes on."""
    models: str | None = None
    """Models by a shell pattern, such as 'resnet*', each with its first weights, fetched if need be."""
    weights: tuple[str, ...] = ()
    """Files of weights, as MODEL=FILE, MODEL:ALPHA=FILE or MODEL:ALPHA:PIXELS=FILE, such as mobilenet:0.25:128=FILE."""
    images: int = 1000
    """Pictures in the sample."""
    budget: str | None = None
    """Time for all of it, such as 90s, 10m or 1.5h: the cheapest candidates first, as many as it lasts for."""
    batch_size: int = 32
    """Images per step of the pass."""
    seed: int = 0
    """Of the split and of the sample."""

    def __post_init__(self):
        check_positive(self, "images", "batch_size")
        if self.budget is not None:
            seconds(self.budget)
