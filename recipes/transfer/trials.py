"""The gathering of evidence, and the choice by it: probes, a budget, and strategies tried inside the training part."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras
import numpy as np

import zoo
from callbacks.averaging import interpolate
from recipes.compute.compiling import Call, compiled
from recipes.console import percent, say
from recipes.data.dataset import Dataset
from recipes.data.images import center
from recipes.data.views import VIEWS
from recipes.errors import UserError
from recipes.evaluation.calibration import tempered
from recipes.evaluation.intervals import standard_error
from recipes.settings.finetune import Recipe
from recipes.settings.shared import seconds
from recipes.transfer.choice import (
    INTERPOLATIONS,
    RUNG_SHARE,
    can_win,
    chosen_strategy,
    needs_images,
    next_to_try,
    trial_of,
    way_of,
)
from recipes.transfer.combined import parts_of
from recipes.transfer.evidence import Evidence, Trial
from recipes.transfer.features import Cut, center_features
from recipes.transfer.logistic import OutOfFold
from recipes.transfer.probes import PASSES_A_STEP, forward_rates, measure
from recipes.transfer.run import fit, probabilities
from recipes.transfer.state import Choice, Prepared
from recipes.transfer.strategies import STEPS, STRATEGIES, Phase, Strategy

# Kept of a budget for writing the model and the report, and for the process that loads the saved model.
CLOSING_SECONDS = 15.0
# Pictures whose pixels are in memory at once when a trial is judged.
CHUNK = 256


@dataclass(frozen=True)
class Tried:
    """What trials have shown: the evidence with them, their states, and what each said of what it had held out.

    The answers go by the names of strategies and the shares of their way.
    """

    evidence: Evidence
    states: tuple[Path, ...] = ()
    answers: dict[tuple[str, float], OutOfFold] = field(default_factory=dict)


def choose(prepared: Prepared, start: float) -> Choice:
    """Measure what the recipe's strategy needs to know, try strategies if it is `auto`, and choose.

    Args:
        start: when the run began, as time.monotonic() counts.

    Raises:
        UserError: the budget is too short, or what the recipe asks of training cannot be had.
    """
    recipe, data, model = prepared.recipe, prepared.data, prepared.model
    evidence = known_evidence(recipe, model, data, start)
    deadline = math.inf if evidence.budget is None else time.monotonic() + evidence.budget
    tried = Tried(evidence)
    if recipe.strategy == "auto" and data.task.one_label and not parts_of(model):
        tried = try_strategies(prepared, evidence, deadline)
        evidence = tried.evidence
    if evidence.budget is not None:
        evidence = replace(evidence, budget=max(0.0, deadline - time.monotonic()))
    strategy = chosen_strategy(recipe, model, data, evidence)
    share = strategy.phases[-1].interpolation if strategy.phases else 1.0
    return Choice(evidence, strategy, deadline, tried.states, tried.answers.get((strategy.name, share)))


def known_evidence(recipe: Recipe, model: keras.Model, data: Dataset, start: float) -> Evidence:
    """Count what the folder says by itself; for `auto`, and where time is short, measure the rest.

    Raises:
        UserError: the budget is too short, or cannot be kept with several labels.
    """
    counts, pretrained = data.counts("train").values(), model.origin.weights is not None
    evidence = Evidence(len(data.part("train")), len(counts), min(counts), recipe.batch_size, pretrained=pretrained)
    if recipe.budget and not data.task.one_label:
        raise UserError("--budget cannot be kept with --labels: what it is kept by is measured on pictures with one label.")
    is_open = recipe.strategy == "auto" and not parts_of(model)
    given = model, data, data.part("train"), recipe.batch_size
    if not recipe.budget:
        if not (is_open and pretrained and data.task.one_label):
            return evidence
        measured = measure(*given, recipe.seed, engine=recipe.engine, is_timed=False)
        return replace(measured, batch_size=recipe.batch_size, pretrained=pretrained)
    # The pass is timed first, for seconds: where there is no time to train, nothing else need be known.
    until, forward = start + seconds(recipe.budget), float(np.median(forward_rates(*given, recipe.engine)))
    evidence = replace(evidence, forward=forward, training=forward / PASSES_A_STEP)
    _require_time(recipe, model, data, evidence, start)
    evidence = replace(evidence, budget=_left(recipe, model, data, evidence, until))
    if not _may_train(recipe, model, evidence):
        return evidence
    measured = measure(*given, recipe.seed, until - start, recipe.engine, forward=forward)
    evidence = replace(measured, batch_size=recipe.batch_size, pretrained=pretrained)
    if not is_open:  # which takes the head alone where measuring has taken the time
        _require_time(recipe, model, data, evidence, start)
    return replace(evidence, budget=_left(recipe, model, data, evidence, until))


def _require_time(recipe: Recipe, model: keras.Model, data: Dataset, evidence: Evidence, start: float) -> None:
    """Refuse, with a UserError, a budget in which not even the cheapest that the recipe allows is done."""
    cheapest = "small" if recipe.strategy == "auto" or parts_of(model) else recipe.strategy
    least = time.monotonic() - start + _besides_training(recipe, model, data, evidence, cheapest)
    if least > seconds(recipe.budget):
        raise UserError(
            f"--budget {recipe.budget} is too short: without any training the run takes about {least:.0f} s, to start, read "
            f"{len(data.paths):,} images, pass them through the network, and write model and report. Give more time, fewer "
            "images or a smaller model."
        )


def _left(recipe: Recipe, model: keras.Model, data: Dataset, evidence: Evidence, until: float) -> float:
    """Estimate the seconds for training before a time of time.monotonic(); 0 where all of them go elsewhere."""
    return max(0.0, until - time.monotonic() - _besides_training(recipe, model, data, evidence, recipe.strategy))


def _besides_training(recipe: Recipe, model: keras.Model, data: Dataset, evidence: Evidence, name: str) -> float:
    """Estimate the seconds that a strategy's features, the model and the report will take."""
    views = 0 if _passes_once(recipe, model, evidence, name) else len(VIEWS) * evidence.images
    return CLOSING_SECONDS + (views + len(data.paths)) / evidence.forward


def _may_train(recipe: Recipe, model: keras.Model, evidence: Evidence) -> bool:
    """Whether more than the head may be trained: `auto` leaves it at that where there is no time for a quarter of `large`."""
    if parts_of(model) or recipe.strategy == "small":
        return False
    is_head_enough = recipe.strategy == "auto" and evidence.pretrained and not needs_images(recipe)
    return not is_head_enough or evidence.fits(STEPS / 4)


def _passes_once(recipe: Recipe, model: keras.Model, evidence: Evidence, name: str) -> bool:
    """Whether a strategy computes no features of several views: it has no solved head, or that alone, on one view."""
    name = "small" if parts_of(model) else name
    if name not in STRATEGIES:
        return False
    strategy = STRATEGIES[name](zoo.stages(model), evidence, "")
    return not strategy.head_first or (not strategy.phases and recipe.augment != "crops")


def try_strategies(prepared: Prepared, evidence: Evidence, deadline: float) -> Tried:
    """Try strategies inside the training part until enough is known to choose one; the model is as it was afterwards."""
    race, from_images = _Race(prepared, deadline), needs_images(prepared.recipe)
    while len(race.images) and (name := next_to_try(evidence, from_images)):
        found = race.run(name, evidence)
        evidence = replace(evidence, trials=(*evidence.trials, *found))
        say(_in_words(found))
    return Tried(evidence, tuple(race.states), race.answers)


def _in_words(tried: Sequence[Trial]) -> str:
    """Say in a line what a strategy reached inside the training part, at the best share of its way, and what that cost."""
    best = min(tried, key=lambda trial: trial.loss)
    ended = f"ended after {best.epochs:,} of {best.planned:,} epochs, " if best.is_ended else ""
    return (
        f"trial of {best.strategy}{way_of(best)}: loss {best.loss:.4f}, accuracy {percent(best.accuracy)} on {best.images:,} "
        f"training images held out, {ended}{best.seconds:.1f} s"
    )


class _Race:
    """Strategies that are tried against each other: each is trained on the same pictures, and judged by the same others.

    `images` are those that judge, indices in the training part; `states` and `answers` are as `Tried` has them.
    """

    def __init__(self, prepared: Prepared, deadline: float):
        self._prepared, self._inside, self._deadline = prepared, prepared.inside(), deadline
        data = self._inside.data
        self.images = data.part("test")
        self._truth, self._weights = data.labels[self.images], data.weights_of(self.images)
        self._first: np.ndarray | None = None
        self.states: list[Path] = []
        self.answers: dict[tuple[str, float], OutOfFold] = {}

    def run(self, name: str, evidence: Evidence) -> list[Trial]:
        """Train a strategy's trial, judge it at each share of its way, and put the model's weights back."""
        began, model, data = time.monotonic(), self._prepared.model, self._inside.data
        before, inner = model.get_weights(), data.part("train")
        recipe = replace(self._prepared.recipe, strategy=name)
        planned = replace(evidence, images=len(inner), budget=None)
        strategy = trial_of(chosen_strategy(recipe, model, data, planned))
        if strategy.phases:
            (phase,) = strategy.phases
            guesses, epochs = self._train(strategy, phase, evidence)
        else:
            fit(self._inside, strategy, self._deadline)
            guesses, epochs, phase = {1.0: probabilities(self._inside, strategy, self.images)}, 0, None
        model.set_weights(before)
        self.answers |= {(name, share): OutOfFold(self.images, guess) for share, guess in guesses.items()}
        self._first = self._losses(next(iter(guesses.values()))) if self._first is None else self._first
        seconds, all_epochs = time.monotonic() - began, phase.epochs if phase else 0
        return [replace(trial, epochs=epochs, planned=all_epochs, seconds=seconds) for trial in self._judged(name, guesses)]

    def _train(self, strategy: Strategy, phase: Phase, evidence: Evidence) -> tuple[dict[float, np.ndarray], int]:
        """Train as long as the trial may still win; give what it says at each share of its way, and the epochs that it took."""
        rung, judge = math.ceil(RUNG_SHARE * phase.epochs), _Judge(self._inside, phase, self.images)

        def may_win(epoch: int, start: Sequence[np.ndarray]) -> bool:
            if epoch != rung or not evidence.trials:
                return True
            rivals = [trial for trial in evidence.trials if not trial.is_ended]
            return can_win(self._judged(strategy.name, judge(start, (0.0, *INTERPOLATIONS))), rivals, evidence.differs)

        fitted = fit(self._inside, strategy, self._deadline, watch=may_win)
        self.states += fitted.states
        return judge(fitted.start, INTERPOLATIONS), sum(row["phase"] == phase.name for row in fitted.history)

    def _judged(self, name: str, guesses: Mapping[float, np.ndarray]) -> list[Trial]:
        """Judge a strategy by its answers at each share of its way."""
        found = []
        for share, guess in guesses.items():
            losses = self._losses(guess)
            loss, right = (float(np.average(of, weights=self._weights)) for of in (losses, guess.argmax(axis=1) == self._truth))
            error = standard_error(self._first - losses, self._weights)
            found.append(Trial(name, len(self._truth), loss, right, error, share))
        return found

    def _losses(self, guess: np.ndarray) -> np.ndarray:
        """Compute the losses by which trials are compared, of each picture that judges."""
        return tempered(self._truth, guess, self._weights)


class _Judge:
    """Asks a network that a phase trains about pictures, at each share of its way.

    It is compiled once for all shares and rungs, and reads what is frozen from the cache.

    Args:
        images: indices of pictures.
    """

    def __init__(self, prepared: Prepared, phase: Phase, images: np.ndarray):
        self._prepared, self._phase, self._images = prepared, phase, images
        self._call: Call | None = None

    def __call__(self, start: Sequence[np.ndarray], shares: Sequence[float]) -> dict[float, np.ndarray]:
        """Give the probabilities `(images, classes)` at shares of the way from `start` to the weights as they are."""
        model = self._prepared.model
        end, guesses = model.get_weights(), {}
        self._call = self._call or compiled(self._part())
        for share in shares:
            interpolate(model, start, end, share)
            guesses[share] = np.concatenate([self._call(rows)[0] for rows in self._inputs()])
        model.set_weights(end)
        return guesses

    def _part(self) -> keras.Model:
        """Take what the phase trains, as a network of its own: what is asked of it changes nothing in one that is trained."""
        model = self._prepared.model
        part = model if self._phase.augment else zoo.split(model, self._phase.freeze_until)[1]
        return keras.Model(part.inputs, part.outputs)

    def _inputs(self) -> Iterator[np.ndarray]:
        """Give the inputs of some pictures after those of others, as evaluation sees them."""
        data, recipe = self._prepared.data, self._prepared.recipe
        if not self._phase.augment:
            kept = center_features(self._prepared.model, Cut(self._phase.freeze_until), data, recipe.batch_size, recipe.engine)
        for begin in range(0, len(self._images), CHUNK):
            images = self._images[begin : begin + CHUNK]
            yield center(data.pixels[images], data.framing) if self._phase.augment else kept[images]
