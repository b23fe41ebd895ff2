"""One pass of pictures through an engine: read, cut, computed and kept, each in time for the next.

A `Passing`, which is `here` or, for a cluster, `on`, makes of a network a `Way`. That passes what is `Shown` and gives batches
that are `Passed`; `counted` counts them for the progress, and `keep` writes their rows into the cache.
"""

import functools
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from recipes.compute import engines
from recipes.compute.cluster import Cluster
from recipes.compute.engines import CALLERS, Engine, EngineName
from recipes.compute.pipeline import batched, in_order
from recipes.data.images import Framing
from recipes.data.store import Rows, Store
from recipes.data.views import View, crop

if TYPE_CHECKING:
    import keras

SHARD_BYTES = 64e6
# What an actor of a cluster is given at once, and has to compute again if it is killed.
BATCHES_A_PART = 8


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


class Way(Protocol):
    """How pictures are passed through a network: batch by batch, in their order, as `name` computes it."""

    @property
    def name(self) -> str:
        """The engine's name, as the cache's keys have it."""

    def passed(self, framing: Framing, pictures: Iterable[Shown]) -> Generator[Passed]:
        """Pass pictures."""


# Makes the way through a network, for batches of a size at most, by an engine.
Passing = Callable[["keras.Model", int, EngineName], Way]


@dataclass(frozen=True)
class _Here:
    """Passes pictures, as they come, through an engine of this process."""

    engine: Engine

    @property
    def name(self) -> str:
        return self.engine.name

    def passed(self, framing: Framing, pictures: Iterable[Shown]) -> Generator[Passed]:
        return passed(self.engine, framing, pictures)


def here(network: "keras.Model", batch_size: int, engine: EngineName) -> Way:
    """Have pictures passed in this process. Raises UserError where the engine cannot be had."""
    return _Here(engines.build(network, batch_size, engine))


@dataclass(frozen=True)
class _Elsewhere:
    """Passes pictures, once all have come, through the same engine on the actors of a cluster."""

    cluster: Cluster
    network: "keras.Model"
    engine: Engine

    @property
    def name(self) -> str:
        return self.engine.name

    def passed(self, framing: Framing, pictures: Iterable[Shown]) -> Generator[Passed]:
        size = self.engine.batch_size
        parts = list(batched(pictures, BATCHES_A_PART * size))
        read = functools.partial(cut, framing=framing)
        with closing(self.cluster.map(self.network, self.engine, read, [_alone(part) for part in parts])) as answers:
            for part, outputs in zip(parts, answers, strict=True):
                for batch, output in zip(batched(part, size), outputs, strict=True):
                    yield Passed([shown.key for shown in batch], output)


def on(cluster: Cluster, network: "keras.Model", batch_size: int, engine: EngineName) -> Way:
    """Have pictures passed on a cluster, by this machine's engine. Raises UserError where that cannot be had."""
    return _Elsewhere(cluster, network, engines.build(network, batch_size, engine))


def _alone(part: list[Shown]) -> list[Shown]:
    """Take pictures out of the rows that they lie among."""
    return [replace(shown, pixels=shown.pixels.take(np.array([shown.place])), place=0) for shown in part]


def passed(engine: Engine, framing: Framing, pictures: Iterable[Shown]) -> Generator[Passed]:
    """Pass pictures batch by batch, in their order, as they come.

    Threads read, cut and pass a batch each, so that every core has work while one of them waits.
    """

    def one(part: list[Shown]) -> Passed:
        return Passed([shown.key for shown in part], engine.outputs(cut(part, framing)))

    return in_order(one, batched(pictures, engine.batch_size), CALLERS)


def cut(pictures: Sequence[Shown], framing: Framing) -> np.ndarray:
    """Read and cut pictures, `(pictures, size, size, channels)`, uint8."""
    return np.stack([crop(shown.pixels[[shown.place]][0], framing, shown.view) for shown in pictures])


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
    try:
        with closing(batches):
            for batch in batches:
                waiting.append(batch)
                if sum(len(each.keys) for each in waiting) >= most:
                    full, waiting = waiting, []
                    _keep(stores, full)
    finally:  # also when somebody has interrupted it: a smaller shard is as good
        if waiting:
            _keep(stores, waiting)


def _keep(stores: Sequence[Store], batches: Sequence[Passed]) -> None:
    """Write one shard into each store that lacks a row of it."""
    keys = [key for batch in batches for key in batch.keys]
    for store, outputs in zip(stores, zip(*(batch.outputs for batch in batches), strict=True), strict=True):
        new = [row for row, key in enumerate(keys) if key not in store]  # the pass may be for another cut's sake
        if new:
            store.add([keys[row] for row in new], np.concatenate(outputs)[new])
