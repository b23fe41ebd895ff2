"""Temperature: one number that makes a network's probabilities as sure as it is right (Guo et al. 2017, arXiv:1706.04599).

Logits are divided by it: above 1 the network was too sure of itself, below 1 not sure enough. What is likeliest stays so. It
is fitted to answers on pictures that the network had not learnt from.
"""

import math

import numpy as np

from recipes.evaluation.tasks import MULTI_CLASS, Task

# Between e to the power of minus and plus this lies every temperature.
MAX_LOG = 3.0
# How far from 1, as a logarithm, temperatures are expected to lie. A few pictures, all told right, would be told best by a
# network that is sure of everything: this keeps them from asking for that.
SPREAD = 0.5
MIN_PROBABILITY = 1e-7


def logits(task: Task, probabilities: np.ndarray) -> np.ndarray:
    """Turn probabilities `(images, classes)` back into logits, but for a constant that softmax does not see; float64."""
    found = np.clip(np.asarray(probabilities, "float64"), 1e-30, 1.0)
    return np.log(found) if task.one_label else np.log(found) - np.log(np.clip(1 - found, 1e-15, 1.0))


def at_temperature(task: Task, probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Give the probabilities `(images, classes)` of a network whose logits are divided by a temperature."""
    return task.probabilities(logits(task, probabilities) / temperature)


def best_temperature(
    task: Task, labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None, spread: float = SPREAD
) -> float:
    """Find the temperature under which the labels are likeliest.

    Args:
        labels: `(images,)`, or of several labels `(images, classes)`.
        probabilities: `(images, classes)`, on pictures that the network had not learnt from.
        weights: `(images,)`, how much each counts; the same if not given.
        spread: how far from 1 it is expected, as a logarithm; infinite: anywhere.
    """
    from scipy.optimize import minimize_scalar

    known, truth = logits(task, np.clip(probabilities, MIN_PROBABILITY, None)), task.one_hot(labels, probabilities.shape[1])

    def loss(log_temperature: float) -> float:
        guess = task.probabilities(known / math.exp(log_temperature))
        return float(np.average(task.log_loss(truth, guess), weights=weights)) + (log_temperature / spread) ** 2 / 2 / len(
            known
        )

    return math.exp(minimize_scalar(loss, bounds=(-MAX_LOG, MAX_LOG), method="bounded").x)


def tempered(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Compute log-losses `(images,)` at the temperature that makes their mean least, from class numbers and probabilities.

    It tells how well a classifier sets the classes apart: one that does it better, but is too sure of itself, or not sure
    enough, which one number mends, does not look the worse for that.
    """
    clipped = np.maximum(probabilities, MIN_PROBABILITY)
    best = best_temperature(MULTI_CLASS, labels, clipped, weights, math.inf)
    return MULTI_CLASS.log_loss(MULTI_CLASS.one_hot(labels, clipped.shape[1]), at_temperature(MULTI_CLASS, clipped, best))
