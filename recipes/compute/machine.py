"""The machine that a command runs on, and how fast a network is on it."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from recipes.compute import devices

TIMED_CALLS = 3
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


def speed(call: Callable[[np.ndarray], object], pixels: np.ndarray) -> dict:
    """Time a compiled network on pictures, as a user's own `predict` would be.

    Args:
        call: passes pictures through the network.
        pixels: `(batch, height, width, channels)`, as it has passed them before.

    Returns:
        "one", the seconds for a single picture, and "many", those for each of the "batch"; medians of a few calls.
    """
    call(pixels[:1])  # which may compile it for one picture
    return {
        "one": _seconds(call, pixels[:1]),
        "many": _seconds(call, pixels) / len(pixels),
        "batch": len(pixels),
    }


def _seconds(call: Callable[[np.ndarray], object], pixels: np.ndarray) -> float:
    """Time a call: the median of a few."""
    taken, began = [], time.monotonic()
    while len(taken) < TIMED_CALLS and (not taken or time.monotonic() - began < MAX_TIMED_SECONDS):
        start = time.monotonic()
        call(pixels)
        taken.append(time.monotonic() - start)
    return statistics.median(taken)


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
