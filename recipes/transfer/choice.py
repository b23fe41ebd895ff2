"""Which strategy the evidence speaks for."""

from collections.abc import Sequence
from dataclasses import replace

from recipes.transfer.evidence import Evidence, Trial
from recipes.transfer.strategies import STEPS, STRATEGIES, Strategy, scratch

WORTH = 0.05  # by so much of the loss a costlier strategy must be better than a cheaper one


SHARES = (0.25, 0.5, 0.75, 1.0)  # of the way to the trained weights, which a trial compares


MUCH, ENOUGH = 10_000, 1_000  # training images from which `auto` takes large without a trial; and medium, if it has none


FEWEST = 4  # images of a class that can be divided for a trial


def auto(stages: Sequence[str], facts: Evidence, from_images: bool = False) -> Strategy:
    """The strategy that the facts speak for; `from_images`: it must be able to train on augmented pictures."""
    if not facts.pretrained:
        return scratch(stages, facts, "there are no pretrained weights to start from")
    if facts.images >= MUCH and facts.fits(STEPS / 4):
        name, why = "large", f"{facts.images:,} training images are {MUCH:,} or more, enough to train every layer"
    elif facts.rehearsals:
        taken, why = _by_trials(facts)
        return interpolated(STRATEGIES[taken.strategy](stages, facts, f"{why}; {_said(facts)}"), taken.interpolation)
    elif not facts.fits(STEPS / 4) and not from_images:
        name, why = "small", f"{facts.budget:.0f} s are too short to train more than the head"
    else:
        name = "medium" if from_images or facts.images >= ENOUGH else "small"
        why = (
            f"nothing could be tried, and {ENOUGH:,} training images are the least for medium"
            if not from_images
            else ("nothing could be tried, and the head alone does not see augmented pictures")
        )
    return STRATEGIES[name](stages, facts, f"{why}; {_said(facts)}")


def interpolated(strategy: Strategy, share: float) -> Strategy:
    """The strategy, with every phase going that share of its way."""
    return replace(strategy, phases=tuple(replace(phase, interpolation=share) for phase in strategy.phases))


def next_to_try(facts: Evidence, from_images: bool = False) -> str | None:
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


def _by_trials(facts: Evidence) -> tuple[Trial, str]:
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


def _way(tried: Trial) -> str:
    return "" if tried.strategy == "small" else f", {tried.interpolation:.0%} of the way"


def _said(facts: Evidence) -> str:
    """The other numbers, in plain words."""
    parts = [f"{facts.images:,} training images, {facts.fewest:,} or more a class"]
    if facts.probes:
        scores = ", ".join(
            f"{name} {probe.accuracy:.1%} ({probe.low:.1%} to {probe.high:.1%})" for name, probe in facts.probes.items()
        )
        parts.append(f"linear probes: {scores}")
        parts.append("an earlier stage serves better: another domain" if facts.differs else "the last stage serves best")
    if facts.transferability is not None:
        parts.append(f"transferability {facts.transferability:.3g}")
    return "; ".join(parts)


def within_budget(strategy: Strategy, facts: Evidence) -> Strategy:
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
