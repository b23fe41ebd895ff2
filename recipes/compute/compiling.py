"""How a model is compiled on each backend: in one place, for all that is trained or computed by Keras."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from recipes.compute.machine import instructions
from zoo.files import cache_folder

if TYPE_CHECKING:
    import keras

# Pictures that a compiled network is called on at once.
BATCH_SIZE = 16

# From pictures `(pictures, height, width, channels)`, 0 to 255, in any number, to a network's outputs, `(pictures, ...)` each.
Call = Callable[[np.ndarray], list[np.ndarray]]


def jit() -> bool | Literal["auto"]:
    """Choose what `compile(jit_compile=…)` is given: whatever is fastest on Keras' backend, by measurement.

    JAX without compilation runs, and first compiles, every operation by itself: the first step of MobileNet 0.25 took 38
    processor seconds and not 10, each later one 2.6 and not 1.6. TensorFlow compiles its graph in any case, and XLA took 1.7
    where that takes 0.3 (`python benchmarks/backends.py . --steps`). PyTorch is left as Keras has it: `torch.compile` needs a
    compiler of C++, and was not measured to gain.
    """
    import keras

    return "auto" if keras.backend.backend() == "jax" else False


def compiled(model: "keras.Model") -> Call:
    """Compile a network, to be called on a few pictures several times; its weights may change in between.

    A network that is called by itself keeps, on TensorFlow, what each of its operations gives until the last has answered,
    80 MB a picture of MobileNetV2 (docs/performance.md), and Keras' `predict` is traced for each of two sizes.
    """
    import keras

    run = _of_tensorflow(model) if keras.backend.backend() == "tensorflow" else model.predict_on_batch

    def call(pixels: np.ndarray) -> list[np.ndarray]:
        parts = []
        for start in range(0, len(pixels), BATCH_SIZE):
            part = pixels[start : start + BATCH_SIZE]
            outputs = keras.tree.flatten(run(_filled(part)))
            parts.append([keras.ops.convert_to_numpy(output)[: len(part)] for output in outputs])
        return [np.concatenate(output) for output in zip(*parts, strict=True)]

    return call


def _of_tensorflow(model: "keras.Model") -> Callable:
    """Trace a network once for batches of all sizes."""
    import keras
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), "float32")]
    function = tf.function(lambda x: keras.tree.flatten(model(x, training=False)), signature, autograph=False)
    return lambda pixels: function(pixels.astype("float32"))


def _filled(pixels: np.ndarray) -> np.ndarray:
    """Fill a batch up with its first picture, but for one picture alone, where JAX would compile for each size."""
    import keras

    if keras.backend.backend() != "jax" or len(pixels) == 1:
        return pixels
    return np.concatenate([pixels, np.repeat(pixels[:1], BATCH_SIZE - len(pixels), axis=0)])


def keep_compiled() -> None:
    """Let JAX keep what it compiles in the cache, for this process's children and for later ones.

    Loading a network compiles an initialiser a shape, and a run compiles its networks' passes: with what an earlier process
    has left this takes a sixth of the time. A folder of the user's own, JAX_COMPILATION_CACHE_DIR, is left as it is; a cache
    that cannot be written is done without.
    """
    import jax

    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    with contextlib.suppress(OSError):
        # What is compiled for one processor may be more than another understands, and machines may share a cache.
        folder = cache_folder("jax") / hashlib.sha256(instructions().encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            return
        settings = {
            "jax_compilation_cache_dir": str(folder),
            "jax_persistent_cache_min_compile_time_secs": 0.0,
            "jax_persistent_cache_min_entry_size_bytes": -1,
        }
        for name, value in settings.items():
            jax.config.update(name, value)
            os.environ[name.upper()] = str(value)
