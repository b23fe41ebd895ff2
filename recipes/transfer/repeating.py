"""One repeat of a run: the same recipe on other parts of the pictures, with another seed."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from callbacks.state import snapshot
from recipes.compute.replicas import assign
from recipes.data.dataset import Dataset
from recipes.transfer.backbone import backbone, new_head
from recipes.transfer.run import fit, probabilities
from recipes.transfer.state import Prepared
from recipes.transfer.strategies import Strategy


def again(prepared: Prepared, strategy: Strategy, data: Dataset, seed: int) -> tuple[np.ndarray, tuple[Path, ...]]:
    """Run a recipe once more, with other parts and another seed; gives the probabilities of all pictures, and the states.

    A strategy that trains the network borrows the run's own, whose training step is compiled, and gives it back as it was.
    """
    recipe = replace(prepared.recipe, seed=seed)
    keras.utils.set_random_seed(seed)
    if not strategy.phases:  # the network itself has not been trained
        other = Prepared(recipe, data, new_head(recipe, prepared.model, data, pooling="average"))
        states = fit(other, strategy).states
        return probabilities(other, strategy), states
    fresh, lent = new_head(recipe, backbone(recipe), data), prepared.model
    before = [snapshot(variable) for variable in lent.variables]
    assign(lent, [snapshot(variable) for variable in fresh.variables])
    other = Prepared(recipe, data, lent)
    states = fit(other, strategy).states
    guess = probabilities(other, strategy)
    assign(lent, before)
    return guess, states
