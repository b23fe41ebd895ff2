"""What is known, and measured inside the training part, before a strategy is chosen."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Probe:
    """A linear classifier on a stage's output, averaged over its pixels: each picture judged by a fit on the others."""

    loss: float  # Brier score
    accuracy: float
    low: float  # 95 % interval of the accuracy
    high: float


@dataclass(frozen=True)
class Trial:
    """A strategy tried with a third of its epochs on three quarters of the training part, and judged on the last quarter.

    Of a small folder several divisions judge it together.
    """

    strategy: str
    images: int  # that judged
    loss: float  # recipes.evaluation.metrics.tempered
    accuracy: float
    error: float  # the standard error of the loss's distance to that of the first that was tried
    interpolation: float = 1.0  # how far it went: one of recipes.transfer.choice.INTERPOLATIONS


@dataclass(frozen=True)
class Evidence:
    """What is known before a strategy is chosen, all of it from the training part; None and {}: not measured."""

    images: int  # to train on
    classes: int
    fewest: int  # images of the smallest class
    batch_size: int = 32
    probes: Mapping[str, Probe] = field(default_factory=dict)  # by stage, those of `probed`, from input to output
    transferability: float | None = None  # of the features before the classifier; higher is better
    forward: float | None = None  # images per second through the whole network, pictures read and cropped
    training: float | None = None  # images per second of training all of it
    budget: float | None = None  # seconds that there are for training
    pretrained: bool = True
    trials: tuple[Trial, ...] = ()  # from the cheapest and nearest to the deepest and farthest

    def as_dict(self) -> dict:
        """Values for result.json, which calls the trials rehearsals."""
        values = asdict(self)
        return values | {"rehearsals": values.pop("trials")}

    @property
    def best(self) -> str | None:
        """The stage whose probe has the lowest loss."""
        return min(self.probes, key=lambda name: self.probes[name].loss, default=None)

    @property
    def differs(self) -> bool:
        """Whether an earlier stage serves better than the last: then the data are another domain than the pretraining's."""
        return self.best is not None and self.best != list(self.probes)[-1]

    def fits(self, steps: float) -> bool:
        """Whether there is time to train everything for so many steps."""
        return self.budget is None or steps * self.batch_size / self.training <= self.budget

    def epochs(self, steps: int, passes: int = 1) -> int:
        """Passes over the images that make so many steps, and no fewer than `passes`."""
        return max(passes, math.ceil(steps / math.ceil(self.images / self.batch_size)))
