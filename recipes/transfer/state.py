"""What the stages of a run hand on, as values: each is complete when it is there.

Prepared → Choice → Fitted → Evaluated, and all of them, with the repeats, as the Outcome that is written.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras
import numpy as np

from recipes.compute import lifetime
from recipes.data.batches import Batches
from recipes.data.dataset import Dataset
from recipes.evaluation.confidence import Confidence
from recipes.settings.finetune import Recipe
from recipes.transfer.evidence import Evidence
from recipes.transfer.features import Cut, vector_cut
from recipes.transfer.heads import FittedHead
from recipes.transfer.logistic import OutOfFold
from recipes.transfer.strategies import Strategy
from recipes.transfer.suspects import Suspect


@dataclass(frozen=True)
class Clock:
    """Counts the seconds since it was made, and those of each step: none is counted twice, so that they add up.

    `start` is when it was made, as time.monotonic() counts. What its process took before that is the step "start".
    """

    start: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of_command(cls) -> "Clock":
        """Make the clock of a command, which counts what Python and its imports took before."""
        before = lifetime.before()
        return cls(seconds={"start": before} if before else {})

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the block's seconds to the step, without those of steps within it."""
        began, counted = time.monotonic(), sum(self.seconds.values())
        yield
        within = sum(self.seconds.values()) - counted
        self.add({name: time.monotonic() - began - within})

    def add(self, seconds: dict[str, float]) -> None:
        """Count seconds of steps that another clock has counted."""
        for name, more in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + more

    @property
    def began(self) -> float:
        """When the run began, its start included, as time.monotonic() counts: a budget is counted from there."""
        return self.start - self.seconds.get("start", 0.0)

    @property
    def total(self) -> float:
        """The seconds until now, those of the start among them."""
        return self.seconds.get("start", 0.0) + time.monotonic() - self.start

    def as_dict(self) -> dict[str, float]:
        """Write the total and the steps, in their order, as values for result.json."""
        return {"total": self.total} | self.seconds


def head_cut(recipe: Recipe, model: keras.Model) -> Cut:
    """Find the place where the head's features are taken."""
    return vector_cut(model, recipe.tuned.cut if recipe.tuned else "pre_logits")


@dataclass(frozen=True)
class Prepared:
    """What a run begins with: the pictures, divided, and the network with an untrained head."""

    recipe: Recipe
    data: Dataset
    model: keras.Model

    @property
    def head_cut(self) -> Cut:
        """The place where the head's features are taken, also in a network that ends at an earlier stage."""
        return head_cut(self.recipe, self.model)

    def augmentation(self, strategy: Strategy) -> str:
        """Name what training pictures go through."""
        return strategy.augment if self.recipe.augment == "auto" else self.recipe.augment

    def inside(self) -> "Prepared":
        """Take the training part alone, with a quarter of it as "test", which nobody looks at while a trial trains."""
        return replace(self, data=self.data.inner(self.recipe.seed, "test"))


@dataclass(frozen=True)
class Choice:
    """The strategy, and what spoke for it.

    Training ends by the `deadline`, as time.monotonic() counts. `states` are the folders from which an interrupted run goes
    on: those of the trials. `held_out` are the answers of the strategy's own trial to what it had held out, if there was one.
    """

    evidence: Evidence
    strategy: Strategy
    deadline: float = math.inf
    states: tuple[Path, ...] = ()
    held_out: OutOfFold | None = None


@dataclass(frozen=True)
class Fitted:
    """What fitting the head and training the phases gave, beside the model's weights.

    `history` has a row an epoch. `start` are the weights with which the first phase began, `augmented` the last batches whose
    pictures were augmented.
    """

    strategy: Strategy
    head: FittedHead | None
    history: tuple[dict, ...] = ()
    states: tuple[Path, ...] = ()
    start: tuple[np.ndarray, ...] = ()
    augmented: Batches | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def mirrors(self, recipe: Recipe) -> bool:
        """Whether a mirrored picture is taken for one of its class."""
        return self.head.mirrored if self.head else recipe.mirror != "no"


@dataclass(frozen=True)
class Evaluated:
    """What the model says of every picture: probabilities `(images, classes)`.

    `ten_crop` are those of what was held out as means over several crops, NaN for the other pictures. `features`
    are what the trained network ends with before its head, of the pictures `referred` to, indices: training pictures that
    stand for all, and some held out.
    """

    probabilities: np.ndarray
    ten_crop: np.ndarray | None
    referred: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class Judged:
    """The labels that are probably wrong, the most suspect first; or the reason why none was judged."""

    suspects: tuple[Suspect, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Repeats:
    """Scores of the same recipe with other seeds, or on folds; their means, with 95 % intervals."""

    what: str
    part: str
    scores: tuple[dict, ...]
    mean: dict[str, float]
    interval: dict[str, list[float]]
    states: tuple[Path, ...] = ()

    def as_dict(self) -> dict:
        """Write the repeats as values for result.json."""
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
    judged: Judged
    fitted: Fitted
    evaluated: Evaluated
    confidence: Confidence | None
    repeats: Repeats | None

    @property
    def states(self) -> tuple[Path, ...]:
        """The folders of states that nobody needs once the run is written."""
        return (*self.choice.states, *self.fitted.states, *(self.repeats.states if self.repeats else ()))
