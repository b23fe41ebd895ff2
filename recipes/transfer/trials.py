"""The gathering of evidence, and the choice by it: probes, a budget, and strategies tried inside the training part."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras
import numpy as np

import zoo
from callbacks.averaging import interpolate
from recipes.console import percent, say
from recipes.data.dataset import Dataset
from recipes.data.views import VIEWS
from recipes.errors import UserError
from recipes.evaluation.calibration import tempered
from recipes.evaluation.intervals import standard_error
from recipes.settings.finetune import Recipe
from recipes.settings.shared import seconds
from recipes.transfer.choice import INTERPOLATIONS, chosen_strategy, needs_images, next_to_try
from recipes.transfer.combined import parts_of
from recipes.transfer.evidence import Evidence, Trial
from recipes.transfer.logistic import OutOfFold
from recipes.transfer.probes import forward_rates, measure
from recipes.transfer.run import fit, probabilities
from recipes.transfer.state import Choice, Prepared
from recipes.transfer.strategies import STRATEGIES

# Kept of a budget for the start of Python before, and for writing model and report behind.
CLOSING_SECONDS = 20.0
MIN_HELD_OUT = 50
MAX_DIVISIONS = 3


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
        evidence = replace(evidence, budget=deadline - time.monotonic())
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
    if not recipe.budget and not (is_open and pretrained and data.task.one_label):
        return evidence
    budget = seconds(recipe.budget) if recipe.budget else None
    if parts_of(model):  # a head on their features is all that there can be: there is nothing to choose by probes
        rates = forward_rates(model, data, data.part("train"), recipe.batch_size, recipe.engine)
        evidence = replace(evidence, forward=float(np.median(rates)))
    else:
        train, is_timed = data.part("train"), budget is not None
        measured = measure(model, data, train, recipe.batch_size, recipe.seed, budget, recipe.engine, is_timed)
        evidence = replace(measured, batch_size=recipe.batch_size, pretrained=pretrained)
    if budget is None:
        return evidence
    views = 0 if _passes_once(recipe, model, evidence) else len(VIEWS) * evidence.images
    needed = CLOSING_SECONDS + (views + len(data.paths)) / evidence.forward
    left = start + budget - time.monotonic() - needed
    if left < 0:
        raise UserError(
            f"--budget {recipe.budget} is too short: reading {len(data.paths):,} images and passing them through the network "
            f"takes about {time.monotonic() - start + needed:.0f} s. Give more time, fewer images or a smaller model."
        )
    return replace(evidence, budget=left)


def _passes_once(recipe: Recipe, model: keras.Model, evidence: Evidence) -> bool:
    """Say whether a strategy computes no features of several views: it has no solved head, or that alone, on one view."""
    name = "small" if parts_of(model) else recipe.strategy
    if name not in STRATEGIES:
        return False
    strategy = STRATEGIES[name](zoo.stages(model), evidence, "")
    return not strategy.head_first or (not strategy.phases and recipe.augment != "crops")


def try_strategies(prepared: Prepared, evidence: Evidence, deadline: float) -> Tried:
    """Try strategies inside the training part until enough is known to choose one; the model is as it was afterwards."""
    recipe, from_images = prepared.recipe, needs_images(prepared.recipe)
    parts, first, states, answers = _divisions(prepared.data, recipe.seed, evidence), None, [], {}
    images = np.concatenate([part.part("test") for part in parts])
    truth = np.concatenate([part.labels[part.part("test")] for part in parts])
    own = [part.weights_of(part.part("test")) for part in parts]
    weights = None if any(each is None for each in own) else np.concatenate(own)
    while len(truth) and (name := next_to_try(evidence, from_images)):
        began = time.monotonic()
        tried = [_try(replace(prepared, data=part), name, evidence, deadline) for part in parts]
        states += [state for _, left in tried for state in left]
        for share in tried[0][0]:
            guess = np.concatenate([guesses[share] for guesses, _ in tried])
            answers[name, share] = OutOfFold(images, guess)
            losses = tempered(truth, guess, weights)
            first = losses if first is None else first
            loss, right = (float(np.average(of, weights=weights)) for of in (losses, guess.argmax(axis=1) == truth))
            trial = Trial(name, len(truth), loss, right, standard_error(first - losses, weights), share)
            evidence = replace(evidence, trials=(*evidence.trials, trial))
        say(_in_words(evidence.trials[-len(tried[0][0]) :], time.monotonic() - began))
    return Tried(evidence, tuple(states), answers)


def _in_words(tried: Sequence[Trial], taken: float) -> str:
    """Say in a line what a strategy reached inside the training part, at the best share of its way, and the seconds it took."""
    best = min(tried, key=lambda trial: trial.loss)
    way = f", {percent(best.interpolation, 0)} of the way" if best.interpolation < 1 else ""
    return (
        f"trial of {best.strategy}{way}: loss {best.loss:.4f}, accuracy {percent(best.accuracy)} on {best.images:,} training "
        f"images held out, {taken:.0f} s"
    )


def _divisions(data: Dataset, seed: int, evidence: Evidence) -> list[Dataset]:
    """Divide the training part, a small one several times: a quarter is "test", which nobody looks at while training."""
    first = data.inner(seed, "test")
    judges, count = len(first.part("test")), 1
    if 0 < judges < MIN_HELD_OUT and evidence.budget is None:
        count = min(MAX_DIVISIONS, math.ceil(MIN_HELD_OUT / judges))
    return [first, *(data.inner(seed + i, "test") for i in range(1, count))]


def _try(
    prepared: Prepared, name: str, evidence: Evidence, deadline: float
) -> tuple[dict[float, np.ndarray], tuple[Path, ...]]:
    """Train a strategy for a third of its epochs.

    Returns:
        The probabilities of the test part at each share of the way, and the folders of the states.
    """
    model, data = prepared.model, prepared.data
    start, held_out, guesses = model.get_weights(), data.part("test"), {}
    evidence = replace(evidence, images=len(data.part("train")), budget=None)
    strategy = chosen_strategy(replace(prepared.recipe, strategy=name), model, data, evidence)
    shorter = tuple(replace(p, epochs=math.ceil(p.epochs / 3), interpolation=1.0) for p in strategy.phases)
    strategy = replace(strategy, phases=shorter)
    fitted = fit(prepared, strategy, deadline)
    end = model.get_weights()
    for share in INTERPOLATIONS if shorter else (1.0,):
        if shorter:
            interpolate(model, fitted.start, end, share)
        guesses[share] = probabilities(prepared, strategy, held_out)
    model.set_weights(start)
    return guesses, fitted.states
