"""Work in threads that goes ahead of who takes its results, in order and in bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

# Items that wait for a thread, or results for who takes them, per thread.
AHEAD = 2
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Generator[Result]:
    """Map in threads: results in the order of the items, of which no more are taken than the threads have work for.

    Where the taker stops, or an item fails, what waits is dropped; what has begun is waited for.
    """
    pool, waiting = ThreadPoolExecutor(threads), deque[Future]()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Group items by so many, as they come; the last group may be smaller."""
    source = iter(items)
    while group := list(islice(source, size)):
        yield group
