"""Trains heads on features in memory: hyper-parameters are arguments of one compiled function, an epoch is one call of it.

What a trial costs beside its arithmetic is making a model, tracing and compiling it: a `compile` and `fit` of a head takes
seconds of which little is training. Here the gradients of a head of one or two layers are written out, and the optimisers of
`callbacks.optimizers` are one rule with ten numbers, a row of them a step. So nothing but the shape of a head is compiled.

All random numbers (first weights, order, views, dropout) are NumPy's, drawn by seed and epoch: the same settings and seed
give the same head on every backend, but for rounding.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from callbacks.learning_rate import warmup_cosine_rates
from callbacks.schedules import Constant, Cosine
from recipes.settings.tuned import HeadSettings
from recipes.transfer.logistic import balanced_weights, standardization

BATCH_SIZE = 64
WEIGHT_DECAY = 0.004  # of adamw: callbacks.optimizers' and Keras' own


@dataclass(frozen=True)
class Result:
    """A trained head and how it does on what was held out: None if nothing was."""

    loss: float | None
    accuracy: float | None
    epoch: int  # whose weights these are, from 1
    history: list[dict]
    weights: list[np.ndarray]  # kernel and bias of each layer, as they act on standardised features


class Rule(NamedTuple):
    """An optimiser as numbers; each a value a step. g is the gradient, m and v are the two slots of every weight:

        m ← keep_m · m + add_m · g,   v ← keep_v · v + add_v · g²
        w ← (1 - decay) · w - (use_m · m + use_g · g) / (√(scaled · v + inside) + outside)

    `l2` is the factor of a kernel in its penalty's gradient; `decay` and it spare biases.
    """

    keep_m: np.ndarray
    add_m: np.ndarray
    keep_v: np.ndarray
    add_v: np.ndarray
    use_m: np.ndarray
    use_g: np.ndarray
    scaled: np.ndarray
    inside: np.ndarray
    outside: np.ndarray
    decay: np.ndarray
    l2: np.ndarray


def rule(optimizer: str, rates: np.ndarray, l2: np.ndarray | float = 0.0) -> Rule:
    """Write the optimiser of that name in callbacks.optimizers as numbers, with a learning rate for each step."""
    plain = dict.fromkeys(Rule._fields, 0.0) | {"inside": 1.0, "l2": 2 * l2}
    step = np.arange(1, len(rates) + 1)
    adam = {
        "keep_m": 0.9,
        "add_m": 0.1,
        "keep_v": 0.999,
        "add_v": 0.001,
        "scaled": 1.0,
        "inside": 0.0,
        "outside": 1e-7,
        "use_m": rates * np.sqrt(1 - 0.999**step) / (1 - 0.9**step),
    }
    own = {
        "sgd": {"use_g": rates},
        "momentum": {"keep_m": 0.9, "add_m": rates, "use_m": 1.0},
        "nesterov": {"keep_m": 0.9, "add_m": rates, "use_m": 0.9, "use_g": rates},
        "adagrad": {"keep_v": 1.0, "add_v": 1.0, "use_g": rates, "scaled": 1.0, "inside": 1e-7},
        "rmsprop": {"keep_v": 0.9, "add_v": 0.1, "use_g": rates, "scaled": 1.0, "inside": 1e-7},
        "adam": adam,
        "adamw": adam | {"decay": WEIGHT_DECAY * rates},
    }[optimizer]
    return Rule(**{name: np.broadcast_to(value, rates.shape) for name, value in (plain | own).items()})


def update(weights, gradient, m, v, numbers: Rule):
    """Take a step: gives a layer's (weights, m, v) afterwards."""
    inputs = weights.shape[0]
    kernel = ops.cast(ops.arange(inputs)[:, None] < inputs - 1, "float32")  # not the bias
    gradient = gradient + numbers.l2 * kernel * weights
    m = numbers.keep_m * m + numbers.add_m * gradient
    v = numbers.keep_v * v + numbers.add_v * ops.square(gradient)
    size = ops.sqrt(numbers.scaled * v + numbers.inside) + numbers.outside
    return (1 - numbers.decay * kernel) * weights - (numbers.use_m * m + numbers.use_g * gradient) / size, m, v


def outputs(layers, x, keep=1.0):
    """(what the last layer multiplies, logits); `keep` is what dropout multiplies before it."""
    *hidden, last = layers
    for layer in hidden:
        x = ops.relu(_with_one(x) @ layer)
    x = _with_one(x * keep)
    return x, x @ last


def dropout_mask(drawn, dropout):
    """What inverted dropout multiplies by: of random bytes those below 256 · `dropout` drop a number."""
    below = ops.floor(256 * dropout)
    return ops.where(ops.cast(drawn, "float32") < below, 0.0, 256 / (256 - below))


def _with_one(x):
    return ops.concatenate([x, ops.ones((x.shape[0], 1))], axis=1)


def losses(logits, hot, smoothing=0.0):
    """Of each picture the cross-entropy, its gradient by the logits, and 1 where the guess is right."""
    top = ops.max(logits, axis=1, keepdims=True)
    powers = ops.exp(logits - top)
    total = ops.sum(powers, axis=1, keepdims=True)
    truth = hot * (1 - smoothing) + smoothing / logits.shape[1]
    loss = ops.log(total[:, 0]) + ops.sum(truth * (top - logits), axis=1)
    return loss, powers / total - truth, ops.cast(ops.sum(hot * logits, axis=1) >= top[:, 0], "float32")


def gradients(layers, x, last, slope, keep):
    """Back-propagate the logits' gradient to each layer's matrix; `last` is what the last layer multiplies."""
    found = [ops.transpose(last) @ slope]
    if len(layers) == 2:
        back = ops.where(last[:, :-1] > 0, slope @ ops.transpose(layers[1][:-1]) * keep, 0.0)
        found.insert(0, ops.transpose(_with_one(x)) @ back)
    return found


def one_pass(layers, slots, x, labels, rows, shares, drawn, dropout, smoothing, rules, held_x, held_labels):
    """One pass over the training part: layers and slots afterwards; loss and number right, there and on what is held out.

    Args:
        layers: matrices `(inputs + 1, outputs)`, whose last row is the bias; slots: two of that shape for each.
        x, labels: `(samples, features)`, `(samples,)`.
        rows, shares: `(steps, batch)`, the samples of each step, and how much each counts; those that fill up a batch nothing.
        drawn: `(steps, batch, width)`, random bytes, see `dropout_mask`.
        rules: `(steps, numbers)`, a `Rule` a step.
    """
    classes = layers[-1].shape[1]

    def step(i, state):
        layers, slots, total, right = state
        hot = ops.one_hot(ops.take(labels, rows[i]), classes)
        keep = dropout_mask(drawn[i], dropout)
        seen = ops.take(x, rows[i], axis=0)
        last, logits = outputs(layers, seen, keep)
        each, slope, hits = losses(logits, hot, smoothing)
        slopes = gradients(layers, seen, last, slope * shares[i][:, None], keep)
        now = Rule(*ops.unstack(rules[i], len(Rule._fields)))
        new = [update(*each, now) for each in zip(layers, slopes, slots[::2], slots[1::2], strict=True)]
        layers, slots = [layer for layer, _, _ in new], [slot for _, m, v in new for slot in (m, v)]
        return layers, slots, total + ops.sum(each * shares[i]), right + ops.sum(ops.where(shares[i] > 0, hits, 0.0))

    start = layers, slots, ops.zeros(()), ops.zeros(())
    layers, slots, total, right = ops.fori_loop(0, rows.shape[0], step, start)
    each, _, hits = losses(outputs(layers, held_x)[1], ops.one_hot(held_labels, classes))
    return layers, slots, total / rows.shape[0], right, ops.mean(each), ops.sum(hits)


@cache
def compiled():
    """`one_pass` as the backend runs it fastest; PyTorch runs it as it is."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(one_pass, jit_compile=True)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(one_pass)
    return one_pass


class HeadTrainer:
    """Trains heads on features that stay in memory.

    Args:
        features: by cut, `(views, images, features)`; evaluation sees the first view.
        labels: `(images,)`, class numbers.
        train, held_out: which images; of the latter there may be none.
    """

    def __init__(
        self, features: Mapping[str, np.ndarray], labels: np.ndarray, train: np.ndarray, held_out: np.ndarray, classes: int
    ):
        self._features, self._labels, self._train, self._held_out = features, labels.astype("int32"), train, held_out
        self._classes, self._resident = classes, {}

    def train(
        self,
        settings: HeadSettings,
        seed: int,
        report: Callable[[int, float], None] = lambda epoch, loss: None,
        last: int | None = None,
    ) -> Result:
        """Train one head from a random start.

        Args:
            seed: of everything random: the same settings and seed give the same head.
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
        """One row of the history, from what an epoch measured."""
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

    def standardization(self, cut: str) -> tuple[np.ndarray, float]:
        """Choose what is taken off the features, and what they are divided by, before the head sees them."""
        return standardization(self._features[cut][0][self._train])

    def _on_device(self, cut: str) -> tuple:
        """Views, features, and for training and evaluation the standardised samples and their labels."""
        if cut not in self._resident:
            center, scale = self.standardization(cut)
            # Something must be looked at: where nothing is held out, the first picture, and nobody sees it.
            held_out = self._held_out if len(self._held_out) else self._train[:1]
            train = np.stack([(view[self._train] - center) / scale for view in self._features[cut]])
            arrays = (
                train.reshape(-1, train.shape[-1]),
                np.tile(self._labels[self._train], len(train)),
                (self._features[cut][0][held_out] - center) / scale,
                self._labels[held_out],
            )
            *samples, held_x, held_labels = map(ops.convert_to_tensor, arrays)
            self._resident[cut] = len(train), train.shape[-1], *samples, (held_x, held_labels)
        return self._resident[cut]

    def _order(self, generator: np.random.Generator, views: int, weighted: bool) -> tuple[np.ndarray, np.ndarray]:
        """The samples of each step, every picture once in one of its views, and how much each counts in its step's mean."""
        count = len(self._train)
        order, view = generator.permutation(count), generator.integers(0, views, count)
        rows = np.zeros((math.ceil(count / BATCH_SIZE), BATCH_SIZE), "int32")
        shares = np.zeros(rows.shape, "float32")
        rows.flat[:count] = order + count * view
        shares.flat[:count] = balanced_weights(self._labels[self._train], self._classes)[order] if weighted else 1
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
