"""How much a run's numbers vary: the same recipe with other seeds, or on folds of its training part.

On cached features a repeat costs a head. The divisions of one folder share pictures, so the interval says what other
divisions and seeds would give on these pictures; for pictures of another day the interval of a single test part is honest.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from recipes.console import say
from recipes.data.dataset import Dataset
from recipes.errors import UserError, shown
from recipes.evaluation.intervals import mean_interval
from recipes.evaluation.metrics import LABEL_MEASURES, MEASURES, metrics


def measure(run, again: Callable[[Dataset, int], np.ndarray]) -> dict | None:
    """The scores of all repeats, their means and 95 % intervals; None if the recipe asks for none.

    Args:
        again: gives the probabilities of all pictures from a run like this on a dataset, with a seed.

    Raises:
        UserError: there is no part to measure, or a class has too few pictures.
    """
    recipe, data = run.recipe, run.data
    if recipe.seeds == 1 and not recipe.folds:
        return None
    part = "test" if recipe.folds or len(data.part("test")) else "validation"
    if not recipe.folds and not len(data.part(part)):
        raise UserError("--seeds has nothing to measure: there is neither a validation nor a test part; give --folds.")
    count, divided = recipe.folds or recipe.seeds, bool(data.shares)
    if run.strategy.phases:
        say(f"Strategy {run.strategy.name} trains the network: {count - (not recipe.folds)} more trainings of it.")
    if recipe.folds:
        what = f"{count} folds of the training part, each measured by a run on the others"
        repeats = [(recipe.seed, fold) for fold in folds(data, recipe.folds, recipe.seed)]
    else:
        differs = "with its own division into parts" if divided else "on the same parts: the folder gives them"
        what = f"{count} seeds, each {differs}"
        repeats = [(seed, data.divided(seed)) for seed in range(recipe.seed + 1, recipe.seed + count)]
    shown_part = "cross-validation" if recipe.folds else part
    names = LABEL_MEASURES if data.labels.ndim > 1 else MEASURES
    scores = [] if recipe.folds else [_scores(data, part, recipe.seed, run.probabilities, names)]
    scores += [_scores(other, part, seed, again(other, seed), names) for seed, other in repeats]
    means = {name: mean_interval([row[name] for row in scores]) for name in names}
    return {
        "what": what,
        "part": shown_part,
        "scores": scores,
        "mean": {name: mean for name, (mean, _, _) in means.items()},
        "interval": {name: [max(low, 0.0), min(high, 1.0)] for name, (_, low, high) in means.items()},
    }


def _scores(data: Dataset, part: str, seed: int, probabilities: np.ndarray, names) -> dict:
    images = data.part(part)
    found = metrics(data.labels[images], probabilities[images], data.classes)
    return {"seed": seed, "images": len(images)} | {name: found[name] for name in names}


def folds(data: Dataset, count: int, seed: int) -> Iterator[Dataset]:
    """The training part alone, with one fold after the other as "test"; copies of a picture share a fold.

    Raises:
        UserError: a class has fewer different pictures than folds, or would keep less than two.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    train = data.part("train")
    _, first, picture = np.unique([data.digests[i] for i in train], return_index=True, return_inverse=True)
    labels = data.labels[train[first]]
    if labels.ndim == 1:
        numbers = np.bincount(labels, minlength=len(data.classes))
        if numbers.min() < max(count, 3):
            raise UserError(
                f"--folds {count} needs {max(count, 3)} different training pictures of each class, and "
                f"{shown(data.classes[numbers.argmin()])} has {numbers.min()}: give fewer folds, or --seeds."
            )
    elif len(labels) < count:
        raise UserError(f"--folds {count} needs as many different training pictures, found {len(labels)}.")
    kind = StratifiedKFold if labels.ndim == 1 else KFold
    for _, held_out in kind(count, shuffle=True, random_state=seed).split(labels, labels):
        splits = np.full(len(data.paths), "", "<U10")
        splits[train] = np.where(np.isin(picture, held_out), "test", "train")
        yield replace(data, splits=splits)
