"""One pass of pictures through an engine: read, cut, computed and kept, each in time for the next."""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from recipes.compute.engines import CALLERS, Engine
from recipes.compute.pipeline import batched, in_order
from recipes.data.images import Framing
from recipes.data.store import Rows, Store
from recipes.data.views import View, crop

SHARD_BYTES = 64e6


@dataclass(frozen=True)
class Shown:
    """A view of a picture that is to be passed: the place of its pixels, and its key among the features."""

    pixels: Rows
    place: int
    view: View
    key: str = ""


@dataclass(frozen=True)
class Passed:
    """A batch that was passed: keys, and an array `(batch, ...)` for each output of the engine."""

    keys: list[str]
    outputs: list[np.ndarray]


def passed(engine: Engine, framing: Framing, pictures: Iterable[Shown]) -> Generator[Passed]:
    """Pass pictures batch by batch, in their order, as they come.

    Threads read, cut and pass a batch each, so that every core has work while one of them waits.
    """

    def one(part: list[Shown]) -> Passed:
        # The last batch is filled up with its own first picture: another size would compile the graph again.
        padded = [*part, *[part[0]] * (engine.batch_size - len(part))]
        pixels = np.stack([crop(shown.pixels[[shown.place]][0], framing, shown.view) for shown in padded])
        return Passed([shown.key for shown in part], [output[: len(part)] for output in engine.run(pixels)])

    return in_order(one, batched(pictures, engine.batch_size), CALLERS)


def counted(batches: Generator[Passed], advance: Callable[[int], None], rates: list[float] | None = None) -> Generator[Passed]:
    """Count the pictures of each batch, and into `rates` how many a second that was."""
    times, sizes = [time.monotonic()], []
    with closing(batches):
        for batch in batches:
            times.append(time.monotonic())
            sizes.append(len(batch.keys))
            if rates is not None:  # so many batches are on their way at once
                rates.append(sum(sizes[-CALLERS:]) / (times[-1] - times[-1 - len(sizes[-CALLERS:])]))
            advance(len(batch.keys))
            yield batch


def keep(stores: Sequence[Store], batches: Generator[Passed]) -> None:
    """Write each output's rows into its store, as far as that lacks them, a shard at a time.

    Raises:
        UserError: the cache cannot be written.
    """
    most = max(1, int(SHARD_BYTES / max(store.row_bytes for store in stores)))
    waiting: list[Passed] = []
    with closing(batches):
        for batch in batches:
            waiting.append(batch)
            if sum(len(each.keys) for each in waiting) >= most:
                _keep(stores, waiting)
                waiting = []
    if waiting:
        _keep(stores, waiting)


def _keep(stores: Sequence[Store], batches: Sequence[Passed]) -> None:
    """Write one shard into each store that lacks a row of it."""
    keys = [key for batch in batches for key in batch.keys]
    for store, outputs in zip(stores, zip(*(batch.outputs for batch in batches), strict=True), strict=True):
        new = [row for row, key in enumerate(keys) if key not in store]  # the pass may be for another cut's sake
        if new:
            store.add([keys[row] for row in new], np.concatenate(outputs)[new])
