"""What the stages of a run hand on, as values: each is complete when it is there.

Prepared → Choice → Fitted → Evaluated, and all of them, with the repeats, as the Outcome that is written.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from recipes.data.batches import Batches
from recipes.data.dataset import Dataset
from recipes.settings.finetune import Recipe
from recipes.transfer.evidence import Evidence
from recipes.transfer.features import Cut, vector_cut
from recipes.transfer.heads import FittedHead
from recipes.transfer.strategies import Strategy


@dataclass(frozen=True)
class Clock:
    """Seconds since it was made, and those of each step."""

    start: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the block's seconds to the step."""
        began = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began

    @property
    def total(self) -> float:
        """Seconds until now."""
        return time.monotonic() - self.start


@dataclass(frozen=True)
class Prepared:
    """What a run begins with: the pictures, divided, and the network with an untrained head."""

    recipe: Recipe
    data: Dataset
    model: keras.Model

    @property
    def head_cut(self) -> Cut:
        """Where the head's features are taken: the same place in a network that ends at an earlier stage."""
        return vector_cut(self.model, self.recipe.tuned.cut if self.recipe.tuned else "pre_logits")

    def augmentation(self, strategy: Strategy) -> str:
        """Name what training pictures go through."""
        return strategy.augment if self.recipe.augment == "auto" else self.recipe.augment


@dataclass(frozen=True)
class Choice:
    """The strategy, and what spoke for it."""

    evidence: Evidence
    strategy: Strategy
    deadline: float = math.inf  # of training, as time.monotonic() counts
    states: tuple[Path, ...] = ()  # folders from which an interrupted run goes on: those of the trials


@dataclass(frozen=True)
class Fitted:
    """What fitting the head and training the phases gave, beside the model's weights."""

    strategy: Strategy
    head: FittedHead | None
    history: tuple[dict, ...] = ()  # a row an epoch
    states: tuple[Path, ...] = ()
    start: tuple[np.ndarray, ...] = ()  # the weights where the last phase began
    augmented: Batches | None = None  # the last that were augmented
    seconds: dict[str, float] = field(default_factory=dict)

    def mirrors(self, recipe: Recipe) -> bool:
        """Whether a mirrored picture is taken for one of its class."""
        return self.head.mirrored if self.head else recipe.mirror != "no"


@dataclass(frozen=True)
class Evaluated:
    """What the model says of every picture."""

    probabilities: np.ndarray  # (images, classes)
    ten_crop: np.ndarray | None = None  # the same of what was held out, as means over several crops; NaN for the others


@dataclass(frozen=True)
class Repeats:
    """Scores of the same recipe with other seeds, or on folds, and their means."""

    what: str
    part: str
    scores: tuple[dict, ...]
    mean: dict[str, float]
    interval: dict[str, list[float]]  # 95 %
    states: tuple[Path, ...] = ()

    def as_dict(self) -> dict:
        """Values for result.json."""
        return {
            "what": self.what,
            "part": self.part,
            "scores": list(self.scores),
            "mean": self.mean,
            "interval": self.interval,
        }


@dataclass(frozen=True)
class Outcome:
    """All that a run has come to know."""

    prepared: Prepared
    choice: Choice
    fitted: Fitted
    evaluated: Evaluated
    repeats: Repeats | None

    @property
    def states(self) -> tuple[Path, ...]:
        """Folders of states that nobody needs once the run is written."""
        return (*self.choice.states, *self.fitted.states, *(self.repeats.states if self.repeats else ()))
