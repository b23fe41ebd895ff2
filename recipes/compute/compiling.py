"""How a model is compiled on each backend: in one place, for all that is trained or computed by Keras."""

from typing import Literal


def jit() -> bool | Literal["auto"]:
    """Choose what `compile(jit_compile=…)` is given: whatever is fastest on Keras' backend, by measurement.

    JAX without compilation runs every operation by itself, twenty times slower. TensorFlow compiles its graph in any case: XLA
    is slower than that on a CPU, and takes minutes to compile a network. PyTorch is fast as it is: `torch.compile`, too, takes
    minutes, and needs a compiler of C++. docs/performance.md has the numbers (`benchmarks/backends.py`).
    """
    import keras

    return "auto" if keras.backend.backend() == "jax" else False
