"""Repeats of a run, which say how much its numbers vary: with other seeds, or on folds of its training part.

On cached features a repeat costs a head. The divisions of one folder share pictures, so the interval says what other
divisions and seeds would give on these pictures; for pictures of another day the interval of a single test part is honest.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from recipes.console import say
from recipes.data.dataset import Dataset
from recipes.errors import UserError, shown
from recipes.evaluation.intervals import mean_interval
from recipes.settings.finetune import Recipe
from recipes.transfer.state import Repeats
from recipes.transfer.strategies import Strategy

# From a dataset and a seed to the probabilities of all pictures and the folders of states.
Again = Callable[[Dataset, int], tuple[np.ndarray, tuple[Path, ...]]]


def measure(recipe: Recipe, data: Dataset, strategy: Strategy, probabilities: np.ndarray, again: Again) -> Repeats | None:
    """Score all repeats, and average; None if the recipe asks for none.

    Args:
        probabilities: `(images, classes)`, the run's own for all pictures.
        again: runs the recipe on a dataset with a seed.

    Raises:
        UserError: there is no part to measure, or a class has too few pictures.
    """
    if recipe.seeds == 1 and not recipe.folds:
        return None
    part = "test" if recipe.folds or len(data.part("test")) else "validation"
    if not recipe.folds and not len(data.part(part)):
        raise UserError("--seeds has nothing to measure: there is neither a validation nor a test part; give --folds.")
    count = recipe.folds or recipe.seeds
    if strategy.phases:
        say(f"Strategy {strategy.name} trains the network: {count - (not recipe.folds)} more trainings of it.")
    scores, states = [] if recipe.folds else [_scores(data, part, recipe.seed, probabilities)], []
    for seed, other in _divisions(recipe, data):
        guess, left = again(other, seed)
        scores.append(_scores(other, part, seed, guess))
        states += left
    means = {name: mean_interval([row[name] for row in scores]) for name in data.task.repeated}
    return Repeats(
        _described(recipe, data),
        "cross-validation" if recipe.folds else part,
        tuple(scores),
        {name: mean for name, (mean, _, _) in means.items()},
        {name: [max(low, 0.0), min(high, 1.0)] for name, (_, low, high) in means.items()},
        tuple(states),
    )


def _divisions(recipe: Recipe, data: Dataset) -> list[tuple[int, Dataset]]:
    """List the seed and the pictures of each repeat."""
    if recipe.folds:
        return [(recipe.seed, fold) for fold in folds(data, recipe.folds, recipe.seed)]
    return [(seed, data.divided(seed)) for seed in range(recipe.seed + 1, recipe.seed + recipe.seeds)]


def _described(recipe: Recipe, data: Dataset) -> str:
    """Describe the repeats in words: folds or seeds, and what differs between them."""
    if recipe.folds:
        return f"{recipe.folds} folds of the training part, each measured by a run on the others"
    differs = "with its own division into parts" if data.split_shares else "on the same parts: the folder gives them"
    return f"{recipe.seeds} seeds, each {differs}"


def _scores(data: Dataset, part: str, seed: int, probabilities: np.ndarray) -> dict:
    """Measure a repeat on its part."""
    images = data.part(part)
    found = data.task.metrics(data.labels[images], probabilities[images], data.classes, data.weights_of(images))
    return {"seed": seed, "images": len(images)} | {name: found[name] for name in data.task.repeated}


def folds(data: Dataset, count: int, seed: int) -> Iterator[Dataset]:
    """Give the training part alone, with one fold after the other as "test"; copies of a picture, and groups, share a fold.

    Raises:
        UserError: a class has fewer different pictures, or groups, than folds, or would keep less than two.
    """
    train = data.part("train")
    _, first, picture = np.unique([data.digests[i] for i in train], return_index=True, return_inverse=True)
    labels = data.labels[train[first]]
    groups, what = data.groups_of(train[first]), "training pictures" if data.groups is None else "groups of training pictures"
    units = np.arange(len(labels)) if groups is None else groups
    if data.task.one_label:
        numbers = [len(set(units[labels == label])) for label in range(len(data.classes))]
        if min(numbers) < max(count, 3):
            raise UserError(
                f"--folds {count} needs {max(count, 3)} different {what} of each class, and "
                f"{shown(data.classes[np.argmin(numbers)])} has {min(numbers)}: give fewer folds, or --seeds."
            )
    if len(set(units)) < count:
        raise UserError(f"--folds {count} needs as many different {what}, found {len(set(units))}.")
    for _, held_out in data.task.folds(labels, count, seed, groups):
        splits = np.full(len(data.paths), "", "<U10")
        splits[train] = np.where(np.isin(picture, held_out), "test", "train")
        yield replace(data, splits=splits)
