"""The tests of the callbacks once more, under JAX and under PyTorch, where these are installed."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from helpers import ROOT


@pytest.mark.deep  # not of a deep network, but four minutes: every fast test of the callbacks again, twice
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_same_tests(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: the callbacks cannot be run on it")
    assert keras.backend.backend() != backend
    files = sorted(map(str, set((ROOT / "tests" / "callbacks").glob("test_callbacks_*.py")) - {Path(__file__)}))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *files]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
