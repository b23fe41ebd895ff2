"""Noticing pixels that are not in 0..255, where a look costs nothing beside what follows.

A network of the zoo scales its pixels itself. Pixels in 0..1, or standardised for another library's network, give an answer,
too, only a worse one. So the first batches that a builder's network is given with values to look at, in an eager call or as
the array of `fit`, `evaluate` or `predict`, are looked at; models that `split`, `features` and `new_head` make of it are looked
at as it is. Nothing of that is in a saved, cloned or loaded model, in a compiled function, or in what follows the first
batches.
"""

import functools
import sys
import warnings
from pathlib import Path

import keras
import numpy as np

# Batches that are looked at, and pictures of each.
MAX_BATCHES = 8
MAX_PICTURES = 4
# Resampling with sharp filters goes beyond the range of its pixels by less than this share of it.
MAX_OVERSHOOT = 0.25
# Methods that take arrays of pixels.
METHODS = ("fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch")
# Code between the user's and the first look, whose lines no warning should name.
OTHERS = (str(Path(keras.__file__).parent), __file__)


def watch(model: keras.Model) -> None:
    """Warn once if the built network gets pixels that are not in 0..255, itself or inside another model."""
    watcher, first = _Watcher(model.name), model.layers[1]  # sees the pixels, also where the network lies in another model
    first.call = watcher.around(first.call)
    watcher.take(model)


def watch_part(part: keras.Model, model: keras.Model) -> None:
    """Watch a model that begins as this one does, if this one is watched."""
    if watcher := getattr(model, "pixel_watcher", None):
        watcher.take(part)


def complaint(pixels: np.ndarray) -> str | None:
    """Say what pixels `(batch, height, width, channels)` look like that are not in 0..255; None if they may be.

    A black picture says nothing, and neither do whole numbers from 0 up.
    """
    low, high = float(pixels.min()), float(pixels.max())
    if low < -MAX_OVERSHOOT * max(high, 0):
        return "in -1..1" if max(-low, high) <= 1 else "standardised"
    if 0 < high <= 1 + MAX_OVERSHOOT and (pixels % 1).any():
        return "in 0..1"
    return None


class _Watcher:
    """Looks at what a network is given until it has seen enough, or has warned."""

    def __init__(self, name: str):
        self._name, self._left = name, MAX_BATCHES

    def take(self, model: keras.Model) -> None:
        """Look at the arrays that a model is given."""
        model.pixel_watcher = self
        for name in METHODS:
            setattr(model, name, self.around(getattr(model, name)))

    def around(self, method):
        """Make a method that looks at its first argument, named `x` or not, before it does what `method` does."""

        @functools.wraps(method)
        def looking(*arguments, **options):
            if self._left:
                self._look(arguments[0] if arguments else options.get("x"))
            return method(*arguments, **options)

        return looking

    def _look(self, given: object) -> None:
        if isinstance(given, dict | list | tuple) and len(given) == 1:  # by the name of the only input, or in a list
            given = next(iter(given.values() if isinstance(given, dict) else given))
        pixels = _values(given)
        if pixels is None or pixels.ndim != 4 or not pixels.any():
            return
        self._left -= 1
        if found := complaint(pixels):
            self._left = 0
            warnings.warn(
                f"{self._name} takes pixels in 0..255, RGB or grey, and scales them itself, but those it was given seem to be "
                f"{found} (from {pixels.min():.3g} to {pixels.max():.3g}): give them as they are in the picture's file, "
                "without preprocess_input, ToTensor or a division by 255.",
                stacklevel=_stacklevel(),
            )


def _stacklevel() -> int:
    """Count the frames from the caller of this to the user's code, as `warnings.warn` counts them there."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(OTHERS):
        level, frame = level + 1, frame.f_back
    return level


def _values(given: object) -> np.ndarray | None:
    """Take the values of some pictures; None of what has none yet, since a function is being traced, or is no tensor."""
    if not isinstance(given, np.ndarray):
        if not keras.ops.is_tensor(given):
            return None
        try:
            given = _READ[keras.backend.backend()](given)
        except (AttributeError, RuntimeError, TypeError):
            return None
    return given[:MAX_PICTURES].astype("float32") if given.dtype.kind in "fiuV" else None


# What Keras' own conversion does, without a warning where there are no values.
_READ = {
    "jax": np.asarray,
    "tensorflow": lambda tensor: tensor.numpy(),
    "torch": lambda tensor: tensor.detach().float().cpu().numpy(),
}
