"""What every test gets: a cache folder of its own, a quiet TensorFlow, and the shared data where they are."""

import os
import tempfile
from pathlib import Path

import pytest

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # read when TensorFlow is imported, which is later than this


def pytest_configure(config):
    """No test reads or fills the user's cache, whatever it forgets to say."""
    folder = tempfile.TemporaryDirectory(prefix="zoo-cache-")
    config.add_cleanup(folder.cleanup)
    os.environ["ZOO_CACHE"] = folder.name
    os.environ.pop("ZOO_MIRROR", None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real weights and pictures; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("ZOO_SHARED") or Path(__file__).parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip(f"the shared data are not in {folder}: set ZOO_SHARED")
    return folder
