"""How much of a pretrained network to train: the lecture's advice as pure functions of stage names and measured facts.

- `small` (very little data): all but the classifier frozen; a linear probe, solved (Kornblith et al. 2019,
  arXiv:1805.08974, section 4.1).
- `medium` (little data): the last stage too, after the head has converged, at a low rate, from the cached activations
  before it. Kornblith's penalty on the head stays, and what is pretrained is held to its start (L2-SP: Li et al. 2018,
  arXiv:1802.01483, section 3.2).
- `large` (much data): nothing frozen; each earlier stage learns more slowly (Howard & Ruder 2018, arXiv:1801.06146,
  section 3.1: discriminative fine-tuning), warm-up and cosine, augmentation, the mean of the weights at the best epochs
  (Wortsman et al. 2022, arXiv:2203.05482), and then only most of the way there from the converged head on the pretrained
  network (Wortsman et al. 2021, arXiv:2109.01903: between the two lie networks better than both).
- `full`: nothing frozen, a random head, one rate: fine-tuning as it is commonly done, the control for the next.
- `lp_ft`: the head first, then everything at a low rate (Kumar et al. 2022, arXiv:2202.10054, section 3).
- `gradual`: the head first, then stage by stage from the last to the first (Howard & Ruder 2018, section 3.3).
- `scratch`: a random start, the control for all of them (the lecture's third principle).
- `tuned`: what a search over ways to fine-tune has found (`zoo tune --scope finetune`).

Steps, not passes, say how long: 500 of them for fewer than 20,000 images, as in Big Transfer (Kolesnikov et al. 2020,
arXiv:1912.11370, section 3.3). A strategy never knows an architecture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from recipes.settings.tuned import FineTuneSettings
from recipes.transfer.evidence import Evidence


@dataclass(frozen=True)
class Phase:
    """One stretch of training by gradient descent.

    The learning rate is the highest, with warm-up before and cosine decay after. Nothing before the stage `freeze_until`
    trains; None trains everything. With `augment` a phase trains from images, as the recipe augments them; without, from
    features kept at `freeze_until`. `batch_norm` is a policy of `recipes.transfer.batch_norm`; `layer_decay` the learning rate
    of each earlier stage relative to the next; `hold` the factor of `callbacks.l2_sp` on what is pretrained; a `weight_decay`
    of None the optimiser's own. The weights of the `average_best` epochs are averaged, 0: none. `interpolation` is the share
    of the way from the weights before all phases to the last, see `callbacks.interpolate`.
    """

    name: str
    epochs: int
    learning_rate: float
    freeze_until: str | None
    augment: bool
    optimizer: str = "adam"
    batch_norm: str = "inference"
    layer_decay: float = 1.0
    hold: float = 0.0
    weight_decay: float | None = None
    average_best: int = 0
    interpolation: float = 1.0


@dataclass(frozen=True)
class Strategy:
    """What is trained of a network, and how.

    The last phase, or the head, trains what is behind `freeze_until`. With `head_first` the head is fitted on the frozen
    features before the phases. `augment` holds where the recipe leaves it open.
    """

    name: str
    reason: str
    freeze_until: str | None
    head_first: bool
    phases: tuple[Phase, ...]
    augment: str = "crops"


STEPS = 500
# Big Transfer mixes the pictures of larger data.
MIX_IMAGES = 20_000


def small(stages: Sequence[str], evidence: Evidence, reason: str) -> Strategy:
    """Train the classifier alone, from one pass of the pictures as they are: other views cost as many passes again."""
    return Strategy("small", reason, stages[-1], True, (), "none")


def medium(stages: Sequence[str], evidence: Evidence, reason: str) -> Strategy:
    """Train the last stage, from the activations before it; if an earlier stage has the better features, all behind that."""
    cut = evidence.best if evidence.differs else feature_stages(stages)[-2]
    phase = Phase("fine-tune", evidence.epochs(STEPS, 3), 1e-4, cut, augment=False, hold=1e-3)
    return Strategy("medium", reason, cut, True, (phase,))


def large(stages: Sequence[str], evidence: Evidence, reason: str) -> Strategy:
    """Train everything, the earlier the more slowly, and go three quarters of the way."""
    phase = Phase(
        "fine-tune", evidence.epochs(STEPS, 5), 1e-3, None, augment=True, layer_decay=0.7, average_best=3, interpolation=0.75
    )
    return Strategy("large", reason, None, True, (phase,), "modern" if evidence.images >= MIX_IMAGES else "crops")


def full(stages: Sequence[str], evidence: Evidence, reason: str) -> Strategy:
    """Train everything at one rate, the head from a random start."""
    phase = Phase("fine-tune", evidence.epochs(STEPS, 5), 1e-3, None, augment=True)
    return Strategy("full", reason, None, False, (phase,))


def lp_ft(stages: Sequence[str], evidence: Evidence, reason: str) -> Strategy:
    """Train the head, then everything at a low rate."""
    phase = Phase("fine-tune", evidence.epochs(STEPS, 5), 1e-4, None, augment=True)
    return Strategy("lp_ft", reason, None, True, (phase,))


def gradual(stages: Sequence[str], evidence: Evidence, reason: str) -> Strategy:
    """Train the head, then the last stage, the last two, ..., everything; as many steps in all as `large`."""
    cuts = [*reversed(feature_stages(stages)[:-1]), None]
    epochs = evidence.epochs(STEPS // len(cuts))
    phases = (Phase(f"thaw behind {cut}" if cut else "thaw all", epochs, 3e-4, cut, augment=True) for cut in cuts)
    return Strategy("gradual", reason, None, True, tuple(phases))


def scratch(stages: Sequence[str], evidence: Evidence, reason: str) -> Strategy:
    """Train everything from a random start."""
    phase = Phase("train", evidence.epochs(2 * STEPS, 30), 1e-3, None, augment=True, batch_norm="adapt")
    return Strategy("scratch", reason, None, False, (phase,))


def tuned(stages: Sequence[str], evidence: Evidence, reason: str, found: FineTuneSettings, augment: bool) -> Strategy:
    """Train the head, then what the search found; from cached activations where nothing changes before the cut."""
    phase = Phase(
        "fine-tune",
        evidence.epochs(STEPS),
        1e-4,
        found.freeze_until,
        augment or found.freeze_until is None,
        layer_decay=found.layer_decay,
        weight_decay=found.weight_decay,
    )
    return Strategy("tuned", reason, found.freeze_until, True, (phase,))


STRATEGIES = {function.__name__: function for function in (small, medium, large, full, lp_ft, gradual, scratch)}


def probed(stages: Sequence[str]) -> list[str]:
    """Name the stages whose features are compared: the two before the last feature map, and "pre_logits", which averages it."""
    return [*feature_stages(stages)[-3:-1], stages[-1]]


def feature_stages(stages: Sequence[str]) -> Sequence[str]:
    """Name the stages of feature maps, without "pre_logits"."""
    return stages[:-1]
