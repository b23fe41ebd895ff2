"""What numbers depend on besides data and seeds."""

import contextlib
import platform
from importlib import metadata

PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "pillow", "scikit-learn")


def versions() -> dict[str, str]:
    """What numbers depend on besides data and seeds."""
    import keras

    import zoo

    found = {"python": platform.python_version(), "zoo": zoo.__version__, "backend": keras.backend.backend()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
