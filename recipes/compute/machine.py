"""The machine that a command runs on, and how fast a network is on it."""

import os
import platform
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recipes.compute import devices

if TYPE_CHECKING:
    import keras

TIMED_CALLS = 5
MAX_TIMED_SECONDS = 1.0


def machine() -> dict:
    """Describe the machine without its name: processor, cores that may be used, memory, system, graphics cards."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "gpus": len(devices.gpus()),
    }


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def speed(model: "keras.Model", pixels: np.ndarray) -> dict:
    """Time a network on pictures that it has just seen, called as a user would call the saved one.

    Args:
        pixels: `(batch, height, width, channels)`.

    Returns:
        "one", the seconds for a single picture, and "many", those for each of the "batch"; medians of a few calls.
    """
    return {
        "one": _seconds(model, pixels[:1]),
        "many": _seconds(model, pixels) / len(pixels),
        "batch": len(pixels),
    }


def _seconds(model: "keras.Model", pixels: np.ndarray) -> float:
    """Time a call: the median of a few after the first, which may compile."""
    import keras

    taken, began = [], time.monotonic()
    while len(taken) <= TIMED_CALLS and (len(taken) < 2 or time.monotonic() - began < MAX_TIMED_SECONDS):
        start = time.monotonic()
        keras.ops.convert_to_numpy(model(pixels, training=False))
        taken.append(time.monotonic() - start)
    return statistics.median(taken[1:])


def instructions() -> str:
    """Tell processors apart by what they can compute: their kind and, where the system lists them, their instructions."""
    listed = next((line for line in _cpuinfo() if line.lower().startswith(("flags", "features"))), "")
    return f"{platform.machine()} {_processor()} {listed}"


def _processor() -> str:
    """Name the processor as its maker does."""
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cpuinfo() -> list[str]:
    """Read what Linux says of the processor; nothing elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _memory() -> int | None:
    """Count the bytes of memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
