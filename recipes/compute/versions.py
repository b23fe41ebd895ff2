"""Versions of the programs that numbers depend on, besides data and seeds."""

import contextlib
import platform
from importlib import metadata

PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "pillow", "scikit-learn")


def versions() -> dict[str, str]:
    """Collect the versions of Python, of this project and of what it computes with, and how Keras is set to compute."""
    import keras

    import zoo

    found = {
        "python": platform.python_version(),
        "zoo": zoo.__version__,
        "backend": keras.backend.backend(),
        "dtype_policy": keras.config.dtype_policy().name,
        "image_data_format": keras.config.image_data_format(),
    }
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
