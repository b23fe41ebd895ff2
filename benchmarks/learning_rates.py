"""Rules that read a learning rate off a range test, judged by the rate that a grid finds best, on 40 small trainings.

    python benchmarks/learning_rates.py

Five tasks, of classes and of numbers, linear to three hidden layers, with SGD and with Adam, four seeds each, in NumPy: 100
steps on batches of 16, with the rate rising from 1e-6 to 1 for the rules, and the same steps at each rate of a grid. Prints for
each rule how far it is off, in powers of ten.
"""

import math
from collections.abc import Callable

import numpy as np

TASKS = ("blobs", "noisy", "images", "deep", "regression")
OPTIMIZERS = ("sgd", "adam")
SEEDS = 4
STEPS = 100
RISING = np.geomspace(1e-6, 1.0, STEPS)
GRID = np.geomspace(1e-4, 1.0, 17)


class Task:
    """Data, a network of dense layers, and mini-batches in an order that the seed gives."""

    def __init__(self, kind: str, seed: int):
        rng = np.random.default_rng((TASKS.index(kind), seed))
        self.is_regression = kind == "regression"
        features, classes = {"images": (64, 10)}.get(kind, (12, 4))
        units = {"blobs": (), "noisy": (24,), "images": (32,), "deep": (24, 24, 24), "regression": (24,)}[kind]
        sizes = (features, *units, 1 if self.is_regression else classes)
        self.x = rng.standard_normal((512, features))
        truth = np.tanh(self.x @ rng.standard_normal((features, 16))) @ rng.standard_normal((16, sizes[-1]))
        if self.is_regression:
            self.y = truth / truth.std() + 0.3 * rng.standard_normal(truth.shape)
        else:
            flip = {"noisy": 0.3}.get(kind, 0.05)
            labels = np.where(rng.random(512) < flip, rng.integers(classes, size=512), truth.argmax(axis=1))
            self.y = np.eye(classes)[labels]
        self.start = []
        for before, after in zip(sizes, sizes[1:], strict=False):
            limit = np.sqrt(6 / (before + after))  # Glorot's, which is Keras' default
            self.start += [rng.uniform(-limit, limit, (before, after)), np.zeros(after)]
        self.order = rng.integers(512, size=(STEPS, 16))

    def loss(self, weights, batch=slice(None)):
        """The mean loss of a batch, and its gradients."""
        x, y, kept = self.x[batch], self.y[batch], []
        for i in range(0, len(weights), 2):
            kept.append(x)
            x = x @ weights[i] + weights[i + 1]
            x = np.maximum(x, 0) if i + 2 < len(weights) else x
        if self.is_regression:
            loss, slope = np.mean((x - y) ** 2), 2 * (x - y) / len(x)
        else:
            x = x - x.max(axis=1, keepdims=True)
            logs = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
            loss, slope = -np.mean((logs * y).sum(axis=1)), (np.exp(logs) - y) / len(x)
        gradients = []
        for i in range(len(weights) - 2, -1, -2):
            gradients = [kept[i // 2].T @ slope, slope.sum(axis=0), *gradients]
            slope = (slope @ weights[i].T) * (kept[i // 2] > 0) if i else slope
        return loss, gradients

    def train(self, optimizer: str, rates) -> tuple[list[float], float]:
        """The loss of each step before it is taken, and that of all data at the end."""
        weights, losses = [w.copy() for w in self.start], []
        first, second = ([np.zeros_like(w) for w in weights] for _ in range(2))
        with np.errstate(all="ignore"):
            for step, rate in enumerate(rates, 1):
                loss, gradients = self.loss(weights, self.order[step - 1])
                losses.append(float(loss))
                for w, g, m, v in zip(weights, gradients, first, second, strict=True):
                    if optimizer == "sgd":
                        w -= rate * g
                    else:
                        m += 0.1 * (g - m)
                        v += 0.001 * (g**2 - v)
                        w -= rate * m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-7)
            return losses, float(self.loss(weights)[0])

    def best(self, optimizer: str) -> float:
        """The rate of the grid after which the loss of all data is lowest."""
        ends = np.array([self.train(optimizer, [rate] * STEPS)[1] for rate in GRID])
        return float(GRID[np.nanargmin(np.where(np.isfinite(ends), ends, np.nan))])


def range_test(task: Task, optimizer: str) -> list[float]:
    """The losses that the finder sees until it stops, because the running mean has grown to four times its lowest."""
    losses, mean, lowest = task.train(optimizer, RISING)[0], 0.0, math.inf
    for i, loss in enumerate(losses, 1):
        mean = 0.9 * mean + 0.1 * loss
        lowest = min(lowest, mean / (1 - 0.9**i))
        if not math.isfinite(loss):
            return losses[: i - 1]
        if mean / (1 - 0.9**i) > 4 * lowest:
            return losses[:i]
    return losses


def running(losses: list[float]) -> np.ndarray:
    """Running means with decay 0.9, corrected for their start at 0."""
    mean, means = 0.0, []
    for i, loss in enumerate(losses, 1):
        mean = 0.9 * mean + 0.1 * loss
        means.append(mean / (1 - 0.9**i))
    return np.array(means)


def steepest(losses: list[float]) -> float:
    """Where the running mean falls fastest."""
    means = running(losses)
    return float(RISING[1 + np.argmin(means[2:] - means[:-2])])


def tenth_of_lowest(losses: list[float]) -> float:
    """A tenth of the rate where the running mean is lowest."""
    return float(RISING[np.argmin(running(losses))]) / 10


def valley(losses: list[float]) -> float:
    """Halfway down the longest fall of the running mean, as fastai suggests."""
    means = running(losses)
    lengths = np.ones(len(means), int)
    for i in range(1, len(means)):
        lengths[i] = 1 + max((lengths[j] for j in range(i) if means[j] > means[i]), default=0)
    end = int(np.argmax(lengths))
    return float(RISING[max(0, end - int(lengths[end]) // 2)])


def finder(losses: list[float]) -> float:
    """What `callbacks.LearningRateFinder` suggests."""
    from callbacks.learning_rate import LearningRateFinder

    one = LearningRateFinder(verbose=False)
    one.rates, one.losses = list(RISING[: len(losses)]), losses
    return one.suggestion or math.nan


RULES: dict[str, Callable[[list[float]], float]] = {
    "steepest fall of the running mean": steepest,
    "a tenth of the running mean's lowest": tenth_of_lowest,
    "fastai's valley": valley,
    "LearningRateFinder": finder,
}


def main() -> None:
    cases = [(Task(kind, seed), optimizer) for kind in TASKS for optimizer in OPTIMIZERS for seed in range(SEEDS)]
    best = np.array([task.best(optimizer) for task, optimizer in cases])
    losses = [range_test(task, optimizer) for task, optimizer in cases]
    for name, rule in RULES.items():
        off = np.log10(np.array([rule(one) for one in losses]) / best)
        outside = int(np.sum(~(np.abs(off) <= 1)))
        print(f"{name:37} {np.nanmin(off):6.2f} {np.nanmedian(off):6.2f} {np.nanmax(off):6.2f}  off by more than 10: {outside}")


if __name__ == "__main__":
    main()
