"""Threads that compute blocks of NumPy's work side by side, in place of those of its BLAS.

BLAS divides each product among its threads, which wait for one another by spinning: on a machine that others use, too, a small
product takes several times the processor time. Threads of our own take whole blocks, element by element work included.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

from recipes.compute.machine import cores
from recipes.compute.pipeline import batched

# More would hold more blocks than bounded memory allows.
MAX_THREADS = 8

Given, Made = TypeVar("Given"), TypeVar("Made")


def count() -> int:
    """Count the threads that may compute at once: the processors that this process may use."""
    return min(MAX_THREADS, cores())


@contextlib.contextmanager
def own() -> Iterator[None]:
    """Keep BLAS to the thread that calls it."""
    with threadpool_limits(1, user_api="blas"):
        yield


def mapped(compute: Callable[[Given], Made], parts: Sequence[Given]) -> Iterator[Made]:
    """Give what `compute` makes of each part, in order; no more are computed, or kept, at once than there are threads."""
    with ThreadPoolExecutor(count(), "block") as pool:
        for some in batched(parts, count()):
            yield from pool.map(compute, some)
