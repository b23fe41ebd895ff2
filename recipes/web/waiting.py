"""Pictures wait for a network, which takes all that wait at once: batches grow with the load, and nobody waits for a batch.

One thread computes for all runs, batch by batch in turn, since a network uses every core by itself. A batch is filled up to
one of a few sizes, because frameworks compile a network anew for each size that they have not seen.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from recipes.web.refusals import busy

SIZES = (1, 2, 4, 8, 16)
# Requests of the largest size whose bytes may lie in memory at once.
LARGEST_REQUESTS = 8


@dataclass
class Room:
    """Counts what has been taken and not been answered yet; the pictures and the bytes have a bound each.

    Bytes count as they come, and a picture when it has come: who dawdles over an upload keeps nobody else out.
    """

    pictures: int
    bytes: int
    taken_pictures: int = 0
    taken_bytes: int = 0

    def check(self, pictures: int, size: int) -> None:
        """See that there is room for so many more. Raises Refusal."""
        if self.taken_pictures + pictures > self.pictures or self.taken_bytes + size > self.bytes:
            raise busy("There are as many pictures waiting as may wait: come again in a moment.")

    @contextmanager
    def place(self, pictures: int) -> Iterator[None]:
        """Hold room for so many pictures. Raises Refusal where there is none."""
        self.check(pictures, 0)
        self.taken_pictures += pictures
        try:
            yield
        finally:
            self.taken_pictures -= pictures

    @contextmanager
    def coming(self) -> Iterator[Callable[[int], None]]:
        """Hold room for bytes; what is given takes so many more, and raises Refusal where there is no room for them."""
        held = 0

        def take(size: int) -> None:
            nonlocal held
            self.check(0, size)
            self.taken_bytes += size
            held += size

        try:
            yield take
        finally:
            self.taken_bytes -= held


class Line:
    """Pictures that wait for one network.

    Args:
        compute: gives of pictures `(batch, height, width, channels)` what each is told, in order; it runs in `thread`.
        thread: an executor with one thread.
        observe: is told the number of pictures of each batch.
    """

    def __init__(self, compute: Callable[[np.ndarray], Sequence], thread: Executor, observe: Callable[[int], None]):
        self._compute, self._thread, self._observe = compute, thread, observe
        self._waiting: deque[tuple[np.ndarray, asyncio.Future]] = deque()
        self._worker: asyncio.Task | None = None

    async def ask(self, pixels: np.ndarray) -> object:
        """Wait for the answer to a picture `(height, width, channels)`; whoever is cancelled leaves the line."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((pixels, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        """Answer batch after batch until nobody waits."""
        while batch := self._next():
            pixels = padded([pixels for pixels, _ in batch])
            self._observe(len(batch))
            try:
                told = await asyncio.get_running_loop().run_in_executor(self._thread, self._compute, pixels)
            except Exception as error:  # each who waits is told, and the next batch is tried all the same
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), answer in zip(batch, told[: len(batch)], strict=True):
                if not future.done():
                    future.set_result(answer)

    def _next(self) -> list[tuple[np.ndarray, asyncio.Future]]:
        """Take the pictures of the next batch, without those for which nobody waits any more."""
        batch = []
        while self._waiting and len(batch) < SIZES[-1]:
            pixels, future = self._waiting.popleft()
            if not future.done():
                batch.append((pixels, future))
        return batch


def padded(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Stack pictures, and repeat the last one up to the next of `SIZES`."""
    size = next(size for size in SIZES if size >= len(pictures))
    return np.stack([*pictures, *[pictures[-1]] * (size - len(pictures))])
