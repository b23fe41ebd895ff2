"""How a model is compiled on each backend: in one place, for all that is trained or computed by Keras."""

import contextlib
import hashlib
import os
from typing import Literal

from recipes.compute.machine import instructions
from zoo.files import cache_folder


def jit() -> bool | Literal["auto"]:
    """Choose what `compile(jit_compile=…)` is given: whatever is fastest on Keras' backend, by measurement.

    JAX without compilation runs every operation by itself, twenty times slower. TensorFlow compiles its graph in any case: XLA
    is slower than that on a CPU, and takes minutes to compile a network. PyTorch is fast as it is: `torch.compile`, too, takes
    minutes, and needs a compiler of C++. docs/performance.md has the numbers (`benchmarks/backends.py`).
    """
    import keras

    return "auto" if keras.backend.backend() == "jax" else False


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
