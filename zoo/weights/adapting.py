"""Fitting pretrained arrays to another input: the first kernel to other channels, position embeddings to other sizes."""

import math

import numpy as np


def adapt_stem(kernel: np.ndarray, channels: int, reverse: bool = False) -> np.ndarray:
    """Fit the first convolution's kernel `(height, width, channels, filters)` to another number of input channels.

    One channel: the sum, so that a grey picture gives what its three equal channels gave. Otherwise the kernel is
    repeated and scaled by old / new, which keeps the size of the response. `reverse` says that the kernel saw BGR:
    an adapted model is fed without the flip, so the kernel is turned instead.
    """
    old = kernel.shape[2]
    if reverse:
        kernel = kernel[:, :, ::-1]
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True)
    return kernel[:, :, [i % old for i in range(channels)]] * (old / channels)


def adapt_positions(table: np.ndarray, height: int, width: int, tokens: int = 1) -> np.ndarray:
    """Fit the position embeddings `(tokens + n * n, channels)` of n × n patches to height × width patches.

    They are interpolated as a picture is, and as timm does: bicubic, antialiased. Those of the tokens in front of the patches,
    such as the class token, stay.
    """
    n = math.isqrt(len(table) - tokens)
    grid = table[tokens:].reshape(n, n, -1)
    grid = np.einsum("yi,xj,ijc->yxc", _bicubic(n, height), _bicubic(n, width), grid, optimize=True)
    return np.concatenate([table[:tokens], grid.reshape(height * width, -1)])


def has_positions(rows: int, tokens: int) -> bool:
    """Whether a table of so many rows has positions of a square of patches behind those of so many tokens."""
    patches = max(rows - tokens, 0)
    return patches > 0 and math.isqrt(patches) ** 2 == patches


def _bicubic(old: int, new: int) -> np.ndarray:
    """Make the matrix `(new, old)` that resamples `old` points to `new`, as `PIL.Image.resize` does.

    The kernel is as wide as the step from one new point to the next, where that is longer than from one old point to the
    next; beyond the ends there is nothing.
    """
    step = old / new
    centres = (np.arange(new)[:, None] + 0.5) * step
    d = np.abs(np.arange(old) + 0.5 - centres) / max(step, 1.0)
    near, far = (1.5 * d - 2.5) * d**2 + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2  # Keys' cubic of a = -0.5
    matrix = np.where(d < 1, near, np.where(d < 2, far, 0.0))
    return (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)
