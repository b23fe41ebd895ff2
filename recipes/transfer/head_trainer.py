"""The training of heads on features in memory: an epoch is a call of one compiled function, `recipes.transfer.head_pass`.

All random numbers (first weights, order, views, dropout) are NumPy's, drawn by seed and epoch: the same settings and seed
give the same head on every backend, but for rounding.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from keras import ops

from callbacks.learning_rate import warmup_cosine_rates
from callbacks.schedules import Constant, Cosine
from recipes.evaluation.tasks import MULTI_CLASS
from recipes.settings.tuned import HeadSettings
from recipes.transfer.head_pass import compiled, rule
from recipes.transfer.logistic import balanced_weights
from recipes.transfer.view_features import standardization

BATCH_SIZE = 64


@dataclass(frozen=True)
class Result:
    """A trained head, and how it does on what was held out: None if nothing was.

    The weights are those after `epoch`, counted from 1: kernel and bias of each layer, as they act on standardised features.
    """

    loss: float | None
    accuracy: float | None
    epoch: int
    history: list[dict]
    weights: list[np.ndarray]


class HeadTrainer:
    """Trains heads on features that stay in memory.

    Args:
        features: by cut, `(views, images, features)`; evaluation sees the first view.
        labels: `(images,)`, class numbers.
        train: indices of the images to train on.
        held_out: indices of those that judge; there may be none.
        widths: how many features each of several backbones has, whose features lie side by side.
        weights: `(images,)`, how much each counts; the same if not given.
    """

    def __init__(
        self,
        features: Mapping[str, np.ndarray],
        labels: np.ndarray,
        train: np.ndarray,
        held_out: np.ndarray,
        classes: int,
        widths: Sequence[int] = (),
        weights: np.ndarray | None = None,
    ):
        self._features, self._labels, self._train, self._held_out = features, labels.astype("int32"), train, held_out
        self._classes, self._widths, self._resident = classes, widths, {}
        self._weights = np.ones(len(labels)) if weights is None else weights

    def train(
        self,
        settings: HeadSettings,
        seed: int,
        report: Callable[[int, float], None] = lambda epoch, loss: None,
        last: int | None = None,
    ) -> Result:
        """Train one head from a random start.

        Args:
            seed: the same settings and seed give the same head.
            report: called after each epoch with its number, from 1, and the loss on what is held out; it may raise.
            last: stop after this epoch; learning rates are still those of a training of all epochs.

        Raises:
            FloatingPointError: the loss is no number any more.
        """
        views, features, x, labels, held_out = self._on_device(settings.cut)
        steps = math.ceil(len(self._train) / BATCH_SIZE)
        rates, rules = _rules(settings, steps)
        layers, slots = first_layers(settings, features, self._classes, np.random.default_rng(seed))
        width = settings.units if settings.kind == "hidden" else features
        numbers = np.float32(settings.dropout), np.float32(settings.label_smoothing)
        stopping, best, history = settings.patience and len(self._held_out), 0, []
        for epoch in range(1, (last or settings.epochs) + 1):
            began, generator = time.monotonic(), np.random.default_rng((seed, epoch))
            rows, shares = self._order(generator, min(1 + settings.views, views), settings.class_weights)
            drawn = np.frombuffer(generator.bytes(rows.size * width), "uint8").reshape(*rows.shape, width)
            now = rules[(epoch - 1) * steps : epoch * steps]
            layers, slots, *measured = compiled()(
                layers, slots, x, labels, *map(ops.convert_to_tensor, (rows, shares, drawn, *numbers, now)), *held_out
            )
            history.append(self._row(settings, epoch, float(rates[epoch * steps - 1]), began, *map(float, measured)))
            held_out_loss = history[-1]["validation_loss"]
            if epoch == 1 or not stopping or held_out_loss < history[best]["validation_loss"]:
                best, best_layers = epoch - 1, layers
            report(epoch, held_out_loss)
            if stopping and epoch - 1 - best >= settings.patience:
                break
        found = history[best]
        weights = [part for layer in map(ops.convert_to_numpy, best_layers) for part in (layer[:-1], layer[-1])]
        return Result(found["validation_loss"], found["validation_accuracy"], found["epoch"], history, weights)

    def _row(
        self,
        settings: HeadSettings,
        epoch: int,
        rate: float,
        began: float,
        loss: float,
        right: float,
        held_out_loss: float,
        held_out_right: float,
    ) -> dict:
        """Make a row of the history from what an epoch measured. Raises FloatingPointError for a loss that is no number."""
        if not math.isfinite(loss + held_out_loss):
            raise FloatingPointError(
                f"the loss became {loss + held_out_loss} in epoch {epoch}, with "
                f"{settings.optimizer} at a learning rate of {settings.learning_rate:g}"
            )
        judged = len(self._held_out)
        return {
            "epoch": epoch,
            "learning_rate": rate,
            "loss": loss,
            "accuracy": right / len(self._train),
            "validation_loss": held_out_loss if judged else None,
            "validation_accuracy": held_out_right / judged if judged else None,
            "seconds": time.monotonic() - began,
        }

    def standardization(self, cut: str) -> tuple[np.ndarray, float | np.ndarray]:
        """Choose what is taken off the features, and what they are divided by, before the head sees them."""
        return standardization(self._features[cut][0][self._train], self._widths)

    def probabilities(self, cut: str, weights: Sequence[np.ndarray], images: np.ndarray) -> np.ndarray:
        """Predict images by a head's weights, as a `Result` has them: `(images, classes)`."""
        center, scale = self.standardization(cut)
        x = (self._features[cut][0][images] - center) / scale
        *hidden, kernel, bias = weights
        if hidden:
            x = np.maximum(x @ hidden[0] + hidden[1], 0)
        return MULTI_CLASS.probabilities(x @ kernel + bias)

    def _on_device(self, cut: str) -> tuple:
        """Give the numbers of views and features, the standardised samples and labels to train on, and those that judge."""
        if cut not in self._resident:
            center, scale = self.standardization(cut)
            # The compiled function must judge something: where nothing is held out, a picture whose result is dropped.
            held_out = self._held_out if len(self._held_out) else self._train[:1]
            train = np.stack([(view[self._train] - center) / scale for view in self._features[cut]])
            arrays = (
                train.reshape(-1, train.shape[-1]),
                np.tile(self._labels[self._train], len(train)),
                (self._features[cut][0][held_out] - center) / scale,
                self._labels[held_out],
                self._shares(held_out),
            )
            *samples, held_x, held_labels, held_shares = map(ops.convert_to_tensor, arrays)
            self._resident[cut] = len(train), train.shape[-1], *samples, (held_x, held_labels, held_shares)
        return self._resident[cut]

    def _shares(self, images: np.ndarray) -> np.ndarray:
        """Take the weights of some images, `(images,)`, 1 on average."""
        return (self._weights[images] / self._weights[images].mean()).astype("float32")

    def _order(self, generator: np.random.Generator, views: int, weighted: bool) -> tuple[np.ndarray, np.ndarray]:
        """Draw the samples of each step, every picture once in one of its views, and say how much each counts in the mean."""
        count = len(self._train)
        order, view = generator.permutation(count), generator.integers(0, views, count)
        rows = np.zeros((math.ceil(count / BATCH_SIZE), BATCH_SIZE), "int32")
        shares = np.zeros(rows.shape, "float32")
        rows.flat[:count] = order + count * view
        own = self._shares(self._train)
        shares.flat[:count] = (balanced_weights(self._labels[self._train], self._classes, own) if weighted else own)[order]
        sizes = np.full(len(rows), BATCH_SIZE)
        sizes[-1] -= rows.size - count
        return rows, shares / sizes[:, None].astype("float32")


def _rules(settings: HeadSettings, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Make the learning rate of each step of a training, `steps` an epoch, and its `Rule` as a row of numbers."""
    rates = warmup_cosine_rates(settings.learning_rate, steps * settings.epochs)
    curve = Cosine(settings.l2, 0.0, len(rates)) if settings.l2_schedule == "cosine" else Constant(settings.l2)
    l2 = np.array([curve(step) for step in range(len(rates))])
    return rates, np.stack(rule(settings.optimizer, rates, l2), axis=1).astype("float32")


def first_layers(settings: HeadSettings, features: int, classes: int, generator: np.random.Generator) -> tuple[list, list]:
    """Draw the first layers, as Keras' Dense begins, and their slots."""
    sizes = [features, *([settings.units] if settings.kind == "hidden" else []), classes]
    layers, slots = [], []
    for before, behind in zip(sizes, sizes[1:], strict=False):
        limit = math.sqrt(6 / (before + behind))
        layers.append(np.concatenate([generator.uniform(-limit, limit, (before, behind)), np.zeros((1, behind))]))
        slots += [np.zeros_like(layers[-1]), np.full_like(layers[-1], 0.1 if settings.optimizer == "adagrad" else 0)]
    layers, slots = ([ops.convert_to_tensor(value, "float32") for value in values] for values in (layers, slots))
    return layers, slots
