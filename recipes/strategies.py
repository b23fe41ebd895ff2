"""How much of a pretrained network to train: the lecture's advice as pure functions of stage names.

- very little data: freeze all but the softmax (`small`)
- little data: freeze many layers, train few (`medium`)
- much data: freeze few, train many (`large`)
- `scratch`, the control: no transfer at all

`small` starts every other pretrained strategy: the head is brought to convergence on the frozen features first, so that
a random head does not pull good features apart (LP-FT: Kumar et al. 2022, arXiv:2202.10054, section 3). A strategy knows
stage names and the number of images, never an architecture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MUCH, ENOUGH = 10_000, 1_000  # training images from which `auto` takes large, and medium


@dataclass(frozen=True)
class Probe:
    """Logistic regression on a stage's output, averaged over its pixels: cross-validated inside the training part."""

    loss: float
    accuracy: float
    low: float  # 95 % interval of the accuracy
    high: float


@dataclass(frozen=True)
class Facts:
    """What is measured inside the training part before a strategy is chosen."""

    images: int  # to train on
    classes: int
    fewest: int  # images of the smallest class
    probes: Mapping[str, Probe]  # by stage, those of `probed`, from input to output
    transferability: float  # of the features before the classifier; higher is better
    forward: float  # images per second through the whole network, pictures read and cropped
    training: float  # images per second of training all of it
    budget: float | None  # seconds for the whole run


@dataclass(frozen=True)
class Phase:
    """One stretch of training by gradient descent."""

    name: str
    epochs: int
    learning_rate: float  # the highest: warm-up before, cosine decay after
    freeze_until: str | None  # a stage name; None trains everything
    augment: bool  # from images, as the recipe augments them; otherwise from features kept at `freeze_until`
    optimizer: str = "adam"  # a name of callbacks.optimizers
    batch_norm: str = "inference"  # "inference": statistics and scale stay as pretrained; "train": both learn


@dataclass(frozen=True)
class Strategy:
    name: str
    reason: str
    freeze_until: str | None  # where the last phase, or the head, begins to train
    head_first: bool  # fit a logistic regression on the frozen features before the phases
    phases: tuple[Phase, ...]


def small(stages: Sequence[str], reason: str) -> Strategy:
    """Everything frozen but the classifier."""
    return Strategy("small", reason, stages[-1], True, ())


def medium(stages: Sequence[str], reason: str) -> Strategy:
    """The last stage is trained from the cached activations before it; what comes earlier is frozen.

    The rate is that of Keras' guide to fine-tuning, which also leaves batch norm in inference mode.
    """
    cut = backbone(stages)[-2]
    return Strategy("medium", reason, cut, True, (Phase("fine-tune", 10, 1e-5, cut, augment=False),))


def large(stages: Sequence[str], reason: str) -> Strategy:
    """Everything but the first stage, whose edges and colours serve any picture, is trained on augmented images."""
    cut = backbone(stages)[0]
    return Strategy("large", reason, cut, True, (Phase("fine-tune", 10, 1e-4, cut, augment=True),))


def scratch(stages: Sequence[str], reason: str) -> Strategy:
    """A random start, everything trained: what transfer must beat."""
    phase = Phase("train", 30, 1e-3, None, augment=True, batch_norm="train")
    return Strategy("scratch", reason, None, False, (phase,))


STRATEGIES = {function.__name__: function for function in (small, medium, large, scratch)}


def choose(name: str, stages: Sequence[str], images: int, pretrained: bool) -> Strategy:
    """The strategy of that name; "auto" goes by the number of training images, and says so."""
    if name != "auto":
        return STRATEGIES[name](stages, "it was asked for")
    if not pretrained:
        return scratch(stages, "there are no pretrained weights to start from")
    if images < ENOUGH:
        return small(stages, f"{images:,} training images are fewer than {ENOUGH:,}: the less data, the less to train")
    if images < MUCH:
        return medium(stages, f"{images:,} training images are between {ENOUGH:,} and {MUCH:,}")
    return large(stages, f"{images:,} training images are {MUCH:,} or more: enough to train most layers")


def probed(stages: Sequence[str]) -> list[str]:
    """The stages whose features are compared: the two before the last feature map, and "pre_logits", which averages it."""
    return [*stages[:-1][-3:-1], stages[-1]]


def backbone(stages: Sequence[str]) -> Sequence[str]:
    """The stages of feature maps, without "pre_logits"."""
    return stages[:-1]
