"""The choice of a strategy by the evidence."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace

import keras
import numpy as np

import zoo
from callbacks.optimizers import RATES
from recipes.console import percent, with_interval
from recipes.data.dataset import Dataset
from recipes.data.views import VIEWS
from recipes.errors import UserError
from recipes.settings.finetune import Recipe
from recipes.transfer.combined import parts_of
from recipes.transfer.evidence import Evidence, Trial
from recipes.transfer.strategies import STEPS, STRATEGIES, Phase, Strategy, scratch, small, tuned

# What `auto` chooses among, the cheapest first.
BY_COST = ("small", "medium", "large")
# The share of its loss by which a costlier strategy must be better than a cheaper one.
MIN_GAIN = 0.05
# A trial compares these shares of the way to the trained weights.
INTERPOLATIONS = (0.25, 0.5, 0.75, 1.0)
# With so many training images `auto` takes large without a trial.
LARGE_IMAGES = 10_000
# With so many `auto` takes medium, if nothing could be tried.
MEDIUM_IMAGES = 1_000
# A smaller class could not be divided for a trial.
MIN_CLASS_IMAGES = 4
# A trial trains for this share of its strategy's epochs, and is looked at after that share of its own.
TRIAL_SHARE = 1 / 5
RUNG_SHARE = 1 / 2
# What the head alone has right, and how many it has wrong, where no costlier strategy is tried: with fewer wrong no sign test
# could call another better.
ENOUGH_ACCURACY = 0.95
MIN_WRONG = 5
# More activations are computed in every epoch instead of being kept on the disk.
MAX_CACHED_BYTES = 8e9


def chosen_strategy(recipe: Recipe, model: keras.Model, data: Dataset, evidence: Evidence) -> Strategy:
    """Choose the strategy, with the recipe's own epochs, learning rate and batch norm, if it gives any.

    Raises:
        UserError: what the recipe asks of training cannot be had, or the strategy trains nothing.
    """
    strategy = _asked_strategy(recipe, zoo.stages(model), evidence, len(parts_of(model)))
    asked = {"augment": recipe.augment in ("alexnet", "modern"), "batch-norm": recipe.batch_norm != "inference"}
    for flag in asked:
        if asked[flag] and not strategy.phases:
            raise UserError(
                f"--{flag} {getattr(recipe, flag.replace('-', '_'))} has nothing to act on: strategy {strategy.name} trains "
                f"the head alone, on features that are computed once. Choose --strategy auto, medium or large, or leave it out."
            )
    if strategy.name == "scratch" and recipe.batch_norm == "affine":
        raise UserError("--batch-norm affine keeps statistics that --strategy scratch has yet to learn: leave it out.")
    scale = RATES[recipe.optimizer] / RATES["adam"]

    def with_settings(phase: Phase) -> Phase:
        uncached = asked["augment"] or _cached_bytes(model, phase.freeze_until, data) > MAX_CACHED_BYTES
        return replace(
            phase,
            epochs=recipe.epochs or phase.epochs,
            optimizer=recipe.optimizer,
            learning_rate=recipe.learning_rate or phase.learning_rate * scale,
            batch_norm=recipe.batch_norm if strategy.name != "scratch" else phase.batch_norm,
            augment=phase.augment or uncached,
        )

    strategy = replace(strategy, phases=tuple(map(with_settings, strategy.phases)))
    try:
        return within_budget(strategy, evidence)
    except ValueError as error:
        if recipe.strategy == "auto" and not any(asked.values()):  # trials took longer than was foreseen
            return small(zoo.stages(model), evidence, f"{strategy.reason}; but {str(error)[0].lower()}{str(error)[1:]}")
        raise UserError(f"{error}: give a longer --budget than {recipe.budget}, or a cheaper --strategy.") from error


def unused_flags(recipe: Recipe, strategy: Strategy, augment: str) -> list[str]:
    """Name what the recipe asks for and the strategy has no use for, as flags.

    Args:
        augment: what training pictures go through.
    """
    unused = [] if strategy.phases else ["epochs", "learning_rate", "optimizer", "precision", "devices"]
    if augment == "none" and recipe.mirror == "yes":
        unused.append("mirror")
    defaults = {field.name: field.default for field in fields(recipe)}
    asked = [name for name in unused if getattr(recipe, name) != defaults[name]]
    return [f"--{name.replace('_', '-')} {getattr(recipe, name)}" for name in asked]


def needs_images(recipe: Recipe) -> bool:
    """Whether the recipe asks for what activations that are kept cannot give: augmented pictures, or another batch norm."""
    return recipe.augment in ("alexnet", "modern") or recipe.batch_norm != "inference"


def _asked_strategy(recipe: Recipe, stages: Sequence[str], evidence: Evidence, several: int) -> Strategy:
    """Make the strategy that the recipe names, or for `auto` choose it; `several` are the backbones, if more than one."""
    if recipe.strategy == "auto" and several:
        return small(stages, evidence, f"{several} backbones at once stay frozen")
    if recipe.strategy == "auto":
        return auto(stages, evidence, needs_images(recipe))
    if recipe.strategy == "tuned":
        return tuned(stages, evidence, "a search found it", recipe.fine_tuning, recipe.augment != "none")
    reason = "a search found the head for it" if recipe.tuned else "it was asked for"
    return STRATEGIES[recipe.strategy](stages, evidence, reason)


def _cached_bytes(model: keras.Model, cut: str | None, data: Dataset) -> int:
    """Count the bytes that a phase from this cut keeps on the disk."""
    if cut is None:
        return 0
    row = 4 * int(np.prod(model.get_layer(cut).output.shape[1:]))
    return row * (len(VIEWS) * len(data.part("train")) + len(data.paths))


def auto(stages: Sequence[str], evidence: Evidence, from_images: bool = False) -> Strategy:
    """Choose the strategy that the evidence speaks for.

    Args:
        stages: names of the network's, from input to output.
        from_images: whether it must be able to train on augmented pictures.
    """
    if not evidence.pretrained:
        return scratch(stages, evidence, "there are no pretrained weights to start from")
    if evidence.images >= LARGE_IMAGES and evidence.fits(STEPS / 4):
        name = "large"
        why = f"{evidence.images:,} training images are {LARGE_IMAGES:,} or more, enough to train every layer"
    elif any(not trial.is_ended for trial in evidence.trials):
        taken, why = _by_trials(evidence)
        strategy = STRATEGIES[taken.strategy](stages, evidence, f"{why}; {_in_words(evidence)}")
        return interpolated(strategy, taken.interpolation)
    elif not evidence.fits(STEPS / 4) and not from_images:
        name, why = "small", f"{evidence.budget:.0f} s are too short to train more than the head"
    elif from_images:
        name, why = "medium", "nothing could be tried, and the head alone does not see augmented pictures"
    else:
        name = "medium" if evidence.images >= MEDIUM_IMAGES else "small"
        why = f"nothing could be tried, and {MEDIUM_IMAGES:,} training images are the least for medium"
    return STRATEGIES[name](stages, evidence, f"{why}; {_in_words(evidence)}")


def interpolated(strategy: Strategy, share: float) -> Strategy:
    """Let every phase of a strategy go only that share of its way, and no farther than the strategy does by itself.

    A trial has a fifth of the steps: the end of its way is nearer to the beginning than that of the whole training.
    """
    phases = (replace(phase, interpolation=min(share, phase.interpolation)) for phase in strategy.phases)
    return replace(strategy, phases=tuple(phases))


def trial_of(strategy: Strategy) -> Strategy:
    """Shorten a strategy to its trial: a fifth of its epochs, and all of the way."""
    name = f"trial of {strategy.name}"
    shorter = (
        replace(phase, name=name, epochs=math.ceil(TRIAL_SHARE * phase.epochs), interpolation=1.0) for phase in strategy.phases
    )
    return replace(strategy, phases=tuple(shorter))


def next_to_try(evidence: Evidence, from_images: bool = False) -> str | None:
    """Name the strategy to try next; None: enough is known.

    Nothing follows a trial that has nearly all held-out pictures right: a costlier one could not be seen to be better. `medium`
    is tried where `large` is not clearly better than the head alone. A budget must have time for a quarter of `large` before
    anything is tried, and for all of it before that is.
    """
    tried = {trial.strategy for trial in evidence.trials}
    order = ["large", "medium"] if from_images else ["small", "large", "medium"]
    if not evidence.fits(STEPS):
        order.remove("large")
    if not evidence.pretrained or evidence.images >= LARGE_IMAGES:
        return None
    if evidence.fewest < MIN_CLASS_IMAGES or not evidence.fits(STEPS / 4):
        return None
    if any(_is_enough(trial) for trial in evidence.trials) or _is_clear(evidence.trials):
        return None
    return order[len(tried)] if len(tried) < len(order) else None


def _is_clear(trials: Sequence[Trial]) -> bool:
    """Whether `large` has lowered the loss of `small` so far that it would be taken without a third trial."""
    losses = {trial.strategy: trial.loss for trial in bests([trial for trial in trials if not trial.is_ended])}
    return losses.keys() == {"small", "large"} and _is_worth(losses["large"], losses["small"])


def _is_enough(trial: Trial) -> bool:
    """Whether a trial has so many pictures right that no other could be seen to do better."""
    return trial.accuracy >= ENOUGH_ACCURACY and round((1 - trial.accuracy) * trial.images) < MIN_WRONG


def can_win(rung: Sequence[Trial], rivals: Sequence[Trial], differs: bool) -> bool:
    """Whether a trial that has gone a part of its epochs may still be the one that is taken.

    Successive halving (Jamieson & Talwalkar 2015, arXiv:1502.07943) gives the worse half of all candidates up at a rung. Here
    one is given up if no share of its way lowers the loss, not even the first quarter; or if it would not be taken though its
    gain grew with the square root of its steps. In another domain, where more must change, the standard error is granted.

    Args:
        rung: the trial's, at each share of its way, 0 among them.
        rivals: those that have come to their ends.
    """
    start = next(trial for trial in rung if trial.interpolation == 0)
    best = min((trial for trial in rung if trial is not start), key=lambda trial: trial.loss)
    granted = max(best.error, start.error) if differs else 0.0
    gain = start.loss - best.loss
    expected = start.loss - max(gain, 0.0) / math.sqrt(RUNG_SHARE)

    def may_beat(rival: Trial) -> bool:
        if differs:
            return expected < rival.loss + granted
        if BY_COST.index(rival.strategy) < BY_COST.index(best.strategy):
            return _is_worth(expected, rival.loss)
        return not _is_worth(rival.loss, expected)

    return gain + granted > 0 and all(map(may_beat, rivals))


def _is_worth(costlier: float, cheaper: float) -> bool:
    """Whether the loss of a costlier strategy is so far below that of a cheaper one that it is taken."""
    return costlier < (1 - MIN_GAIN) * cheaper


def _by_trials(evidence: Evidence) -> tuple[Trial, str]:
    """Choose a trial to follow, and say why.

    It is the cheapest strategy that the best lowers the loss of by less than MIN_GAIN, as far as it did best. If the data are
    of another domain, it is the deepest and farthest that is behind the best by less than the standard error: few pictures
    judge a trial, and the probes say that more must change.
    """
    found = [trial for name in BY_COST for trial in evidence.trials if trial.strategy == name and not trial.is_ended]
    best, least = min(found, key=lambda trial: trial.loss), bests(found)
    words = ", ".join(
        f"{trial.strategy} {trial.loss:.3f} ({percent(trial.accuracy)}{way_of(trial)}{ended})"
        for trial in bests(evidence.trials)
        for ended in [", ended early" if trial.is_ended else ""]
    )
    why = f"on {best.images:,} training images held out, the log-loss (and accuracy) of the trials was {words}"
    if not evidence.differs:
        taken = next(trial for trial in least if not _is_worth(best.loss, trial.loss))
        return taken, why if taken is best else f"{why}; {best.strategy} lowers it by less than {percent(MIN_GAIN, 0)}"
    # An error is that of the distance to the first trial, whose own is 0.
    taken = [trial for trial in found if trial is best or trial.loss - best.loss < max(trial.error, best.error)][-1]
    if taken is not best:
        why += f"; {taken.strategy}{way_of(taken)} is taken: it is behind by less than the standard error"
    return taken, why


def bests(trials: Sequence[Trial]) -> list[Trial]:
    """Take the trial of each strategy at the share of its way where its loss was least, in their order."""
    names = dict.fromkeys(trial.strategy for trial in trials)
    return [min((trial for trial in trials if trial.strategy == name), key=lambda trial: trial.loss) for name in names]


def way_of(trial: Trial) -> str:
    """Say how much of its way a trial went, where that was not all."""
    return f", {percent(trial.interpolation, 0)} of the way" if trial.interpolation < 1 else ""


def _in_words(evidence: Evidence) -> str:
    """Say the evidence but for the trials."""
    parts = [f"{evidence.images:,} training images, {evidence.fewest:,} or more a class"]
    if evidence.probes:
        scores = ", ".join(
            f"{name} {with_interval(probe.accuracy, (probe.low, probe.high))}" for name, probe in evidence.probes.items()
        )
        parts.append(f"linear probes: {scores}")
        parts.append("an earlier stage serves better: another domain" if evidence.differs else "the last stage serves best")
    if evidence.transferability is not None:
        parts.append(f"transferability {evidence.transferability:.3g}")
    return "; ".join(parts)


def within_budget(strategy: Strategy, evidence: Evidence) -> Strategy:
    """Cut the epochs to what fits in the budget, by the rate of training everything from images; the phases in proportion.

    Raises:
        ValueError: not even one epoch of each phase fits, in a sentence.
    """
    phases = [phase for phase in strategy.phases if phase.augment]
    if evidence.budget is None or not phases:
        return strategy
    each = evidence.images / evidence.training
    if (least := each * len(phases)) > evidence.budget:
        left = max(0, evidence.budget)
        raise ValueError(f"One epoch of strategy {strategy.name} takes about {least:.0f} s, and {left:.0f} s are left for it")
    share = min(1, evidence.budget / each / sum(phase.epochs for phase in phases))
    shorter = (replace(p, epochs=max(1, int(share * p.epochs))) if p.augment else p for p in strategy.phases)
    return replace(strategy, phases=tuple(shorter))
