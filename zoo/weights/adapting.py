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


def adapt_positions(table: np.ndarray, height: int, width: int) -> np.ndarray:
    """Fit the position embeddings `(1 + n * n, channels)` of n × n patches to height × width patches.

    They are interpolated as a picture is: bicubic, without antialiasing, by PyTorch's kernel. The first is the class
    token's and stays.
    """
    n = math.isqrt(len(table) - 1)
    grid = table[1:].reshape(n, n, -1)
    grid = np.einsum("yi,xj,ijc->yxc", _bicubic(n, height), _bicubic(n, width), grid, optimize=True)
    return np.concatenate([table[:1], grid.reshape(height * width, -1)])


def _bicubic(old: int, new: int) -> np.ndarray:
    """Make the matrix `(new, old)` that resamples `old` points to `new`; beyond its ends a line goes on as it ends."""
    matrix, rows = np.zeros((new, old), np.float32), np.arange(new)
    at = (rows + 0.5) * old / new - 0.5
    for tap in (-1, 0, 1, 2):
        source = np.floor(at).astype(int) + tap
        d = np.abs(at - source)
        near, far = (1.25 * d - 2.25) * d**2 + 1, ((-0.75 * d + 3.75) * d - 6) * d + 3  # Keys' cubic of a = -0.75
        np.add.at(matrix, (rows, source.clip(0, old - 1)), np.where(d <= 1, near, far))
    return matrix
