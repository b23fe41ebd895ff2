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

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from recipes.settings.finetune import FineTuneSettings


@dataclass(frozen=True)
class Probe:
    """A linear classifier on a stage's output, averaged over its pixels: each picture judged by a fit on the others."""

    loss: float  # Brier score
    accuracy: float
    low: float  # 95 % interval of the accuracy
    high: float


@dataclass(frozen=True)
class Rehearsal:
    """A strategy tried with a third of its epochs on three quarters of the training part, and judged on the last quarter; of a
    small folder in several divisions.
    """

    strategy: str
    images: int  # that judged
    loss: float  # evaluate.tempered
    accuracy: float
    error: float  # the standard error of the loss's distance to that of the first that was tried
    interpolation: float = 1.0  # how far it went, of SHARES


@dataclass(frozen=True)
class Facts:
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
    rehearsals: tuple[Rehearsal, ...] = ()  # from the cheapest and nearest to the deepest and farthest

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


@dataclass(frozen=True)
class Phase:
    """One stretch of training by gradient descent."""

    name: str
    epochs: int
    learning_rate: float  # the highest: warm-up before, cosine decay after
    freeze_until: str | None  # a stage name; None trains everything
    augment: bool  # from images, as the recipe augments them; otherwise from features kept at `freeze_until`
    optimizer: str = "adam"  # a name of callbacks.optimizers
    batch_norm: str = "inference"  # a policy of recipes.transfer.batch_norm
    layer_decay: float = 1.0  # learning rate of each earlier stage relative to the next
    hold: float = 0.0  # penalty on the way from the pretrained weights: callbacks.penalties.l2_sp
    weight_decay: float | None = None  # None: the optimiser's own
    average: int = 0  # so many of the best epochs give their mean
    interpolation: float = 1.0  # this share of the way from its first weights to its last is gone: callbacks.averaging


@dataclass(frozen=True)
class Strategy:
    name: str
    reason: str
    freeze_until: str | None  # where the last phase, or the head, begins to train
    head_first: bool  # fit a logistic regression on the frozen features before the phases
    phases: tuple[Phase, ...]
    augment: str = "crops"  # where the recipe leaves it open


STEPS = 500
WORTH = 0.05  # by so much of the loss a costlier strategy must be better than a cheaper one
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the way to the trained weights, which a trial compares
MUCH, ENOUGH = 10_000, 1_000  # training images from which `auto` takes large without a trial; and medium, if it has none
FEWEST = 4  # images of a class that can be divided for a trial
MIXED = 20_000  # Big Transfer mixes pictures from here on


def small(stages: Sequence[str], facts: Facts, reason: str) -> Strategy:
    """Everything frozen but the classifier; one pass, of the pictures as they are: other views cost as many passes again."""
    return Strategy("small", reason, stages[-1], True, (), "none")


def medium(stages: Sequence[str], facts: Facts, reason: str) -> Strategy:
    """The last stage, from the activations before it; or, if an earlier stage has the better features, all behind that."""
    cut = facts.best if facts.differs else backbone(stages)[-2]
    phase = Phase("fine-tune", facts.epochs(STEPS, 3), 1e-4, cut, augment=False, hold=1e-3)
    return Strategy("medium", reason, cut, True, (phase,))


def large(stages: Sequence[str], facts: Facts, reason: str) -> Strategy:
    """Everything, the earlier the more slowly, and three quarters of the way."""
    phase = Phase("fine-tune", facts.epochs(STEPS, 5), 1e-3, None, augment=True, layer_decay=0.7, average=3,
                  interpolation=0.75)  # fmt: skip
    return Strategy("large", reason, None, True, (phase,), "modern" if facts.images >= MIXED else "crops")


def full(stages: Sequence[str], facts: Facts, reason: str) -> Strategy:
    """Everything at one rate, the head from a random start."""
    phase = Phase("fine-tune", facts.epochs(STEPS, 5), 1e-3, None, augment=True)
    return Strategy("full", reason, None, False, (phase,))


def lp_ft(stages: Sequence[str], facts: Facts, reason: str) -> Strategy:
    """The head, then everything at a low rate."""
    phase = Phase("fine-tune", facts.epochs(STEPS, 5), 1e-4, None, augment=True)
    return Strategy("lp_ft", reason, None, True, (phase,))


def gradual(stages: Sequence[str], facts: Facts, reason: str) -> Strategy:
    """The head, then the last stage, the last two, ..., everything; as many steps in all as `large`."""
    cuts = [*reversed(backbone(stages)[:-1]), None]
    epochs = facts.epochs(STEPS // len(cuts))
    phases = (Phase(f"thaw behind {cut}" if cut else "thaw all", epochs, 3e-4, cut, augment=True) for cut in cuts)
    return Strategy("gradual", reason, None, True, tuple(phases))


def scratch(stages: Sequence[str], facts: Facts, reason: str) -> Strategy:
    """A random start, everything trained."""
    phase = Phase("train", facts.epochs(2 * STEPS, 30), 1e-3, None, augment=True, batch_norm="adapt")
    return Strategy("scratch", reason, None, False, (phase,))


def tuned(stages: Sequence[str], facts: Facts, reason: str, found: FineTuneSettings, augment: bool) -> Strategy:
    """The head, then what the search found; from cached activations where nothing changes before the cut."""
    phase = Phase("fine-tune", facts.epochs(STEPS), 1e-4, found.freeze_until, augment or found.freeze_until is None,
                  layer_decay=found.layer_decay, weight_decay=found.weight_decay)  # fmt: skip
    return Strategy("tuned", reason, found.freeze_until, True, (phase,))


STRATEGIES = {function.__name__: function for function in (small, medium, large, full, lp_ft, gradual, scratch)}


def auto(stages: Sequence[str], facts: Facts, from_images: bool = False) -> Strategy:
    """The strategy that the facts speak for; `from_images`: it must be able to train on augmented pictures."""
    if not facts.pretrained:
        return scratch(stages, facts, "there are no pretrained weights to start from")
    if facts.images >= MUCH and facts.fits(STEPS / 4):
        name, why = "large", f"{facts.images:,} training images are {MUCH:,} or more, enough to train every layer"
    elif facts.rehearsals:
        taken, why = _by_rehearsal(facts)
        return going(STRATEGIES[taken.strategy](stages, facts, f"{why}; {_said(facts)}"), taken.interpolation)
    elif not facts.fits(STEPS / 4) and not from_images:
        name, why = "small", f"{facts.budget:.0f} s are too short to train more than the head"
    else:
        name = "medium" if from_images or facts.images >= ENOUGH else "small"
        why = f"nothing could be tried, and {ENOUGH:,} training images are the least for medium" if not from_images else (
            "nothing could be tried, and the head alone does not see augmented pictures")
    return STRATEGIES[name](stages, facts, f"{why}; {_said(facts)}")


def going(strategy: Strategy, share: float) -> Strategy:
    """The strategy, with every phase going that share of its way."""
    return replace(strategy, phases=tuple(replace(phase, interpolation=share) for phase in strategy.phases))


def to_rehearse(facts: Facts, from_images: bool = False) -> str | None:
    """What to try next; None: enough is known.

    That `medium` does worse than `small` says nothing of `large`, which alone sees augmented pictures. A trial that has all
    held-out pictures right ends the search: a costlier one could not be seen to be better.
    """
    tried = {trial.strategy for trial in facts.rehearsals}
    order = ["medium", "large"] if from_images else ["small", "medium", "large"]
    if not facts.pretrained or facts.images >= MUCH or facts.fewest < FEWEST or not facts.fits(1.5 * STEPS):
        return None
    if any(trial.accuracy == 1 for trial in facts.rehearsals):
        return None
    return order[len(tried)] if len(tried) < len(order) else None


def _by_rehearsal(facts: Facts) -> tuple[Rehearsal, str]:
    """What to do, and why: the cheapest strategy that the best lowers the loss of by less than WORTH, as far as it did best. If
    the data are of another domain, the deepest and farthest that is behind the best by less than the standard error: few
    pictures judge a trial, and the probes say that more must change.
    """
    found, best = facts.rehearsals, min(facts.rehearsals, key=lambda tried: tried.loss)
    names = dict.fromkeys(tried.strategy for tried in found)
    least = [min((tried for tried in found if tried.strategy == name), key=lambda tried: tried.loss) for name in names]
    words = ", ".join(f"{tried.strategy} {tried.loss:.3f} ({tried.accuracy:.1%}{_way(tried)})" for tried in least)
    why = f"tried on {best.images:,} training images held out, the tempered log-loss (and accuracy) was {words}"
    if not facts.differs:
        taken = next(tried for tried in least if best.loss >= (1 - WORTH) * tried.loss)
        return taken, why if taken is best else f"{why}; {best.strategy} lowers it by less than {WORTH:.0%}"
    # errors are of the distance to the first, whose own is 0
    taken = [tried for tried in found if tried is best or tried.loss - best.loss < max(tried.error, best.error)][-1]
    if taken is not best:
        why += f"; {taken.strategy}{_way(taken)} is taken: it is behind by less than the standard error"
    return taken, why


def _way(tried: Rehearsal) -> str:
    return "" if tried.strategy == "small" else f", {tried.interpolation:.0%} of the way"


def _said(facts: Facts) -> str:
    """The other numbers, in plain words."""
    parts = [f"{facts.images:,} training images, {facts.fewest:,} or more a class"]
    if facts.probes:
        scores = ", ".join(f"{name} {probe.accuracy:.1%} ({probe.low:.1%} to {probe.high:.1%})"
                           for name, probe in facts.probes.items())  # fmt: skip
        parts.append(f"linear probes: {scores}")
        parts.append("an earlier stage serves better: another domain" if facts.differs else "the last stage serves best")
    if facts.transferability is not None:
        parts.append(f"transferability {facts.transferability:.3g}")
    return "; ".join(parts)


def within(strategy: Strategy, facts: Facts) -> Strategy:
    """With as many epochs as fit in the budget, by the rate of training everything from images; the phases in proportion.

    Raises:
        ValueError: not even one epoch of each phase fits, in a sentence.
    """
    phases = [phase for phase in strategy.phases if phase.augment]
    if facts.budget is None or not phases:
        return strategy
    each = facts.images / facts.training
    if (least := each * len(phases)) > facts.budget:
        raise ValueError(
            f"One epoch of strategy {strategy.name} takes about {least:.0f} s, and {max(0, facts.budget):.0f} s are left for it"
        )
    share = min(1, facts.budget / each / sum(phase.epochs for phase in phases))
    shorter = (replace(p, epochs=max(1, int(share * p.epochs))) if p.augment else p for p in strategy.phases)
    return replace(strategy, phases=tuple(shorter))


def probed(stages: Sequence[str]) -> list[str]:
    """The stages whose features are compared: the two before the last feature map, and "pre_logits", which averages it."""
    return [*backbone(stages)[-3:-1], stages[-1]]


def backbone(stages: Sequence[str]) -> Sequence[str]:
    """The stages of feature maps, without "pre_logits"."""
    return stages[:-1]
