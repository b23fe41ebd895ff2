"""The arrays that are computed with: NumPy's, or those of Keras' backend where that has a GPU.

`keras.ops` has NumPy's names and arguments, so that one program serves both: it calls `arrays.ops.exp` and the like, sends
what it reads and fetches what it gives.
"""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from recipes.compute import devices


@dataclass(frozen=True)
class Arrays:
    """A library of arrays: its functions by NumPy's names, and the ways to it and back."""

    ops: ModuleType

    @property
    def is_numpy(self) -> bool:
        """Whether what is sent stays where it is."""
        return self.ops is np

    @property
    def name(self) -> str:
        """The library's name: others round otherwise."""
        if self.is_numpy:
            return "numpy"
        import keras

        return keras.backend.backend()

    def send(self, array: np.ndarray) -> Any:
        """Give a float32 array to the library, on its device."""
        array = np.asarray(array, "float32")
        return array if self.is_numpy else self.ops.convert_to_tensor(array)

    def fetch(self, array: Any) -> np.ndarray:
        """Give an array of the library to NumPy."""
        return np.asarray(array) if self.is_numpy else self.ops.convert_to_numpy(array)

    @contextlib.contextmanager
    def precise(self) -> Iterator[None]:
        """Multiply in float32 as a whole: TensorFlow and JAX round to 10 bits first on GPUs that do so faster."""
        if self.name == "jax":
            import jax

            with jax.default_matmul_precision("highest"):
                yield
        elif self.name == "tensorflow":
            import tensorflow as tf

            was = tf.config.experimental.tensor_float_32_execution_enabled()
            tf.config.experimental.enable_tensor_float_32_execution(False)
            try:
                yield
            finally:
                tf.config.experimental.enable_tensor_float_32_execution(was)
        else:  # NumPy has no other precision, and PyTorch multiplies in float32 unless told otherwise
            yield


NUMPY = Arrays(np)


def fastest() -> Arrays:
    """Choose the backend's arrays where Keras is loaded and sees a GPU, otherwise NumPy's; loads nothing by itself."""
    if "keras" not in sys.modules or not devices.gpus():
        return NUMPY
    import keras

    return Arrays(keras.ops)
