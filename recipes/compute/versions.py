"""Versions of the programs that numbers depend on, besides data and seeds."""

import contextlib
import platform
from importlib import metadata

PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "pillow", "scikit-learn")


def versions() -> dict[str, str]:
    """Collect the versions of Python, of this project and of the packages it computes with, and the name of the backend."""
    import keras

    import zoo

    found = {"python": platform.python_version(), "zoo": zoo.__version__, "backend": keras.backend.backend()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
