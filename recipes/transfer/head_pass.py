"""One pass over the training part of a head, as one function that is compiled, and what it is made of.

What a trial costs beside its arithmetic is making a model, tracing and compiling it: a `compile` and `fit` of a head takes
seconds of which little is training. Here the gradients of a head of one or two layers are written out, and the optimisers of
`callbacks.optimizers` are one rule with ten numbers, a row of them a step. So nothing but the shape of a head is compiled.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

Tensor = keras.KerasTensor

# That of "adamw" in callbacks.optimizers, which is Keras' own.
ADAMW_DECAY = 0.004


class Rule(NamedTuple):
    """An optimiser as numbers, each with a value a step.

    g is the gradient, m and v are the two slots of every weight:

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
        "adamw": adam | {"decay": ADAMW_DECAY * rates},
    }[optimizer]
    return Rule(**{name: np.broadcast_to(value, rates.shape) for name, value in (plain | own).items()})


def update(weights: Tensor, gradient: Tensor, m: Tensor, v: Tensor, numbers: Rule) -> tuple[Tensor, Tensor, Tensor]:
    """Take a step, and return a layer's (weights, m, v) afterwards, each `(inputs + 1, outputs)`."""
    inputs = weights.shape[0]
    kernel = ops.cast(ops.arange(inputs)[:, None] < inputs - 1, "float32")  # 0 for the bias, the last row
    gradient = gradient + numbers.l2 * kernel * weights
    m = numbers.keep_m * m + numbers.add_m * gradient
    v = numbers.keep_v * v + numbers.add_v * ops.square(gradient)
    size = ops.sqrt(numbers.scaled * v + numbers.inside) + numbers.outside
    return (1 - numbers.decay * kernel) * weights - (numbers.use_m * m + numbers.use_g * gradient) / size, m, v


def outputs(layers: Sequence[Tensor], x: Tensor, keep: Tensor | float = 1.0) -> tuple[Tensor, Tensor]:
    """Pass samples `(batch, features)` through the layers.

    Args:
        keep: what dropout multiplies before the last layer, see `dropout_mask`.

    Returns:
        What the last layer multiplies, `(batch, inputs + 1)`, and the logits `(batch, classes)`.
    """
    *hidden, last = layers
    for layer in hidden:
        x = ops.relu(_with_one(x) @ layer)
    x = _with_one(x * keep)
    return x, x @ last


def dropout_mask(drawn: Tensor, dropout: Tensor) -> Tensor:
    """Make what inverted dropout multiplies by: random bytes below 256 · `dropout` drop a number."""
    below = ops.floor(256 * dropout)
    return ops.where(ops.cast(drawn, "float32") < below, 0.0, 256 / (256 - below))


def _with_one(x: Tensor) -> Tensor:
    """Append the 1 that a layer's bias multiplies."""
    return ops.concatenate([x, ops.ones((x.shape[0], 1))], axis=1)


def losses(logits: Tensor, hot: Tensor, smoothing: Tensor | float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Compute each picture's cross-entropy, its gradient by the logits, and 1 where the guess is right."""
    top = ops.max(logits, axis=1, keepdims=True)
    powers = ops.exp(logits - top)
    total = ops.sum(powers, axis=1, keepdims=True)
    truth = hot * (1 - smoothing) + smoothing / logits.shape[1]
    loss = ops.log(total[:, 0]) + ops.sum(truth * (top - logits), axis=1)
    return loss, powers / total - truth, ops.cast(ops.sum(hot * logits, axis=1) >= top[:, 0], "float32")


def gradients(layers: Sequence[Tensor], x: Tensor, last: Tensor, slope: Tensor, keep: Tensor) -> list[Tensor]:
    """Back-propagate the logits' gradient to each layer's matrix; `last` is what the last layer multiplies."""
    found = [ops.transpose(last) @ slope]
    if len(layers) == 2:
        back = ops.where(last[:, :-1] > 0, slope @ ops.transpose(layers[1][:-1]) * keep, 0.0)
        found.insert(0, ops.transpose(_with_one(x)) @ back)
    return found


def one_pass(
    layers: Sequence[Tensor],
    slots: Sequence[Tensor],
    x: Tensor,
    labels: Tensor,
    rows: Tensor,
    shares: Tensor,
    drawn: Tensor,
    dropout: Tensor,
    smoothing: Tensor,
    rules: Tensor,
    held_x: Tensor,
    held_labels: Tensor,
    held_shares: Tensor,
) -> tuple:
    """Pass once over the training part.

    Args:
        layers: matrices `(inputs + 1, outputs)`, whose last row is the bias.
        slots: two of that shape for each layer.
        x: `(samples, features)`.
        labels: `(samples,)`.
        rows: `(steps, batch)`, the samples of each step.
        shares: `(steps, batch)`, how much each of them counts; those that fill up a batch count nothing.
        drawn: `(steps, batch, width)`, random bytes, see `dropout_mask`.
        rules: `(steps, numbers)`, a `Rule` a step.
        held_shares: how much each that is held out counts, 1 on average.

    Returns:
        Layers and slots afterwards; then loss and number right, there and on what is held out.
    """
    classes = layers[-1].shape[1]

    def step(i: Tensor, state: tuple) -> tuple:
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
    return layers, slots, total / rows.shape[0], right, ops.mean(each * held_shares), ops.sum(hits * held_shares)


@cache
def compiled() -> Callable:
    """Compile `one_pass` as the backend runs it fastest; PyTorch runs it as it is."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(one_pass, jit_compile=True)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(one_pass)
    return one_pass
