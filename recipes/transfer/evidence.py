"""What is known, and measured inside the training part, before a strategy is chosen."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Probe:
    """How a linear classifier does on a stage's output, averaged over its pixels: each picture judged by a fit on the others.

    `loss` is the Brier score, `low` and `high` the ends of the accuracy's 95 % interval.
    """

    loss: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Trial:
    """How a strategy did with a third of its epochs on three quarters of the training part, judged on the last quarter.

    `images` are those that judged, `loss` is that of `recipes.evaluation.calibration.tempered`, `error` the standard error of
    its distance to the first trial's, and `interpolation` the share of the way that it went, one of
    `recipes.transfer.choice.INTERPOLATIONS`. Of the `planned` epochs it trained `epochs`: fewer where it could not win.
    `seconds` are those of the whole trial, all shares together.
    """

    strategy: str
    images: int
    loss: float
    accuracy: float
    error: float
    interpolation: float = 1.0
    epochs: int = 0
    planned: int = 0
    seconds: float = 0.0

    @property
    def is_ended(self) -> bool:
        """Whether it was ended before it had trained all of its epochs."""
        return self.epochs < self.planned


@dataclass(frozen=True)
class Evidence:
    """What is known before a strategy is chosen, all of it from the training part; None and {}: not measured.

    `fewest` are the images of the smallest class. `probes` are by stage, those of `strategies.probed`, from input to
    output; `transferability`, of the features before the classifier, is better when higher. `forward` and `training` are
    images per second, of a pass through the whole network from the cached pixels, and of training all of it, which is taken
    for a share of `forward` where it was not timed; `budget` are the seconds left for training. `trials` stand in
    the order in which they were made, each strategy's from the nearest to the farthest.
    """

    images: int
    classes: int
    fewest: int
    batch_size: int = 32
    probes: Mapping[str, Probe] = field(default_factory=dict)
    transferability: float | None = None
    forward: float | None = None
    training: float | None = None
    budget: float | None = None
    pretrained: bool = True
    trials: tuple[Trial, ...] = ()

    def as_dict(self) -> dict:
        """Write the evidence as values for result.json, which calls the trials rehearsals."""
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
        """Count the passes over the images that make so many steps; they are no fewer than `passes`."""
        return max(passes, math.ceil(steps / math.ceil(self.images / self.batch_size)))
