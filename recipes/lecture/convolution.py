"""Convolutions by hand: a worked example, and what kernel, padding and stride make of sizes and numbers of weights."""

from collections.abc import Iterable

import keras
import numpy as np
from keras import layers

from recipes.console import percent
from zoo import analysis

INPUT = np.array([[1, 2, 0, 3, 1], [1, 0, 0, 2, 2], [2, 1, 2, 1, 1], [0, 0, 1, 0, 0], [1, 2, 1, 1, 1]])
KERNEL = np.array([[-1, 1, 2], [1, 1, 0], [-1, -2, 0]])
PADDINGS_AND_STRIDES = [(0, 1), (0, 2), (1, 1), (1, 2)]
# Square kernels, one after the other.
STACKS = ((5,), (3, 3), (7,), (3, 3, 3))


def convolve(pixels: np.ndarray, kernel: np.ndarray, padding: int = 0, stride: int = 1) -> np.ndarray:
    """Convolve `(height, width[, channels])` with a kernel of as many axes, as Keras does; `padding` zeros on every side."""
    pixels, kernel = (np.atleast_3d(x).astype("float32") for x in (pixels, kernel))
    x = np.pad(pixels, ((padding, padding), (padding, padding), (0, 0)))[None]
    return keras.ops.convert_to_numpy(keras.ops.conv(x, kernel[..., None], stride, "valid"))[0, ..., 0]


def sizes() -> list[dict]:
    """List the sizes that convolutions make of 200 × 200 pixels.

    An odd kernel has a centre: padded by half of itself, every pixel becomes one, and the size stays.
    """
    rows = []
    for kernel in ((3, 3), (1, 3), (3, 1), (5, 5), (7, 7)):
        for padding in ("valid", "same"):
            row = {"kernel": times(kernel), "zeros around": times(k // 2 * (padding == "same") for k in kernel)}
            for stride in (1, 2, 4):
                shape = layers.Conv2D(1, kernel, stride, padding).compute_output_shape((None, 200, 200, 1))
                row[f"stride {stride}"] = times(shape[1:3])
            rows.append(row)
    return rows


def counts() -> list[dict]:
    """Count weights without biases, by building the layers without values: those of the dense one need 58 GB."""
    picture, numbers, kernel = keras.Input((200, 200, 3)), keras.Input((200 * 200 * 3,)), dict(padding="same", use_bias=False)
    built = {
        "one 5 × 5 kernel on RGB": [picture, layers.Conv2D(1, 5, **kernel)],
        "ten of them": [picture, layers.Conv2D(10, 5, **kernel)],
        "maximum of 2 × 2": [picture, layers.MaxPooling2D(2)],
        "mean of 2 × 2": [picture, layers.AveragePooling2D(2)],
        "dense, from 200 × 200 × 3 to as many": [numbers, layers.Dense(200 * 200 * 3, use_bias=False)],
    }
    models = {name: analysis.blueprint(keras.Sequential, layers=parts) for name, parts in built.items()}
    return [
        {"layer": name, "output": times(model.output_shape[1:]), "weights": model.count_params()}
        for name, model in models.items()
    ]


def stacks() -> list[dict]:
    """Tell what kernels in a row see, and what they cost between maps of C channels."""
    rows = []
    for stack in STACKS:
        x = inputs = keras.Input((None, None, 1))  # one channel: the number of weights is that of C²
        for kernel in stack:
            x = layers.Conv2D(1, kernel, padding="same", use_bias=False)(x)
        facts = analysis.analyze(keras.Model(inputs, x))
        seen, weights = facts[-1].receptive_field[0].size, analysis.total(facts)[0]
        rows.append(
            {
                "kernels": ", ".join(f"{k} × {k}" for k in stack),
                "sees": times((seen, seen)),
                "weights / C²": weights,
                "fewer than one kernel": percent(1 - weights / seen**2, 0),
            }
        )
    return rows


def times(numbers: Iterable[int]) -> str:
    """Write sizes as text: 3 × 3."""
    return " × ".join(map(str, numbers))
