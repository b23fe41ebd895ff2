"""Versions of the programs that numbers depend on, besides data and seeds."""

import contextlib
import platform
from importlib import metadata

import zoo

PACKAGES = ("keras", "tensorflow", "jax", "torch", "openvino", "numpy", "pillow", "scikit-learn")


def versions() -> dict[str, str]:
    """Collect the versions of Python, of this project and of what it computes with, and how Keras is set to compute."""
    import keras

    return {
        "python": platform.python_version(),
        "zoo": zoo.__version__,
        "backend": keras.backend.backend(),
        "dtype_policy": keras.config.dtype_policy().name,
        "image_data_format": keras.config.image_data_format(),
        **packages(),
    }


def packages() -> dict[str, str]:
    """Collect the versions of what is installed; nothing is imported."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
