"""Threads that compute blocks of NumPy's work side by side, in place of those of its BLAS.

BLAS divides each product among its threads, which wait for one another by spinning: on a machine that others use, too, a small
product takes several times the processor time. Threads of our own take whole blocks, element by element work included.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

# More would hold more blocks than bounded memory allows.
MAX_THREADS = 8

Given, Made = TypeVar("Given"), TypeVar("Made")


def count() -> int:
    """Count the threads that may compute at once: the processors that this process may use."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MAX_THREADS, processors)


@contextlib.contextmanager
def own() -> Iterator[None]:
    """Keep BLAS to the thread that calls it."""
    with threadpool_limits(1, user_api="blas"):
        yield


def mapped(compute: Callable[[Given], Made], parts: Sequence[Given]) -> Iterator[Made]:
    """Give what `compute` makes of each part, in order; no more are computed, or kept, at once than there are threads."""
    with ThreadPoolExecutor(count(), "block") as pool:
        for first in range(0, len(parts), count()):  # `itertools.batched` came with Python 3.12
            yield from pool.map(compute, parts[first : first + count()])
