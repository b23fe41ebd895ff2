"""Features of pictures that are still being read: the pass begins with the first that are decoded.

Which picture is trained on is known only when all have been read, for copies of one stay together. But every picture is seen
once as evaluation sees it, and what a frozen network says of it hangs on no division: that much is computed meanwhile, and is
in the cache when it is asked for.
"""

import itertools
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from types import TracebackType

import keras
import numpy as np

import zoo
from recipes.compute import engines
from recipes.data.images import Framing
from recipes.data.store import Rows, Store
from recipes.data.views import CENTER
from recipes.evaluation.tasks import Task
from recipes.settings.finetune import Recipe
from recipes.settings.shared import EngineName
from recipes.transfer.combined import parts_of
from recipes.transfer.features import Cut, key_of, label, lacking, stores_of, up_to, vector_cut
from recipes.transfer.passes import Passing, Shown, counted, here, keep
from recipes.transfer.strategies import probed
from zoo.progress import Progress

LOOK_SECONDS = 0.1
# Strategies of which it is known beforehand that the head's features alone are taken of the center of each picture.
OF_HEADS = ("small", "large", "lp_ft", "gradual")


class _Cancelled(Exception):
    """Raised in the thread when nobody waits for its features any more."""


class Ahead:
    """Computes, in a thread, the features of pictures that are announced; leaving the block waits until all are kept.

    Args:
        cuts: where they are taken; without any, nothing is done.
        count: pictures that may be announced, at most.
        passing: in this process, or on a cluster, which begins when all have been announced.

    Raises:
        UserError: on leaving the block, if the cache cannot be written, or the engine cannot be had.
    """

    def __init__(
        self,
        model: keras.Model,
        cuts: Sequence[Cut],
        framing: Framing,
        count: int,
        batch_size: int,
        engine: EngineName,
        passing: Passing = here,
    ):
        self._networks, self._cuts, self._framing = parts_of(model) or (model,), cuts, framing
        # Built here, since in another thread Keras would name its operations anew, as others in the network are called.
        self._bodies = [up_to(network, cuts) for network in self._networks if cuts]
        self._batch_size, self._engine, self._passing = batch_size, engine, passing
        self._announced: list[tuple[Sequence[str], Rows]] = []
        self._changed, self._is_complete, self._is_cancelled = threading.Condition(), False, False
        self._found = self._asked = self._computed = 0  # pictures that the cache had, those that it lacked, those done
        self._progress = Progress(label(model, cuts), count * len(self._networks), "views")
        self._pool = ThreadPoolExecutor(1)

    def add(self, digests: Sequence[str], pixels: Rows) -> None:
        """Announce pictures that have been decoded, by the digests of their files."""
        if self._cuts:
            with self._changed:
                self._announced.append((digests, pixels))
                self._changed.notify()

    def __enter__(self) -> "Ahead":
        self._work = self._pool.submit(self._compute) if self._cuts else None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._changed:
            self._is_complete, self._is_cancelled = True, kind is not None
            self._changed.notify()
        try:
            if self._work and kind is None:
                self._wait()
        finally:
            self._is_cancelled = True
            self._pool.shutdown()

    def _wait(self) -> None:
        """Show the progress until all is done. Raises what the thread has raised."""
        wait([self._work], LOOK_SECONDS)
        if self._work.done() and not self._asked:
            return self._work.result()
        found = computed = 0
        with self._progress as progress:
            while wait([self._work], LOOK_SECONDS).not_done or computed < self._computed:
                now = self._found, self._computed
                progress.skip(now[0] - found)
                progress.advance(now[1] - computed)
                found, computed = now
            self._work.result()
        return None

    def _compute(self) -> None:
        """Compute what the cache lacks, of one network after the other."""
        for network, body in zip(self._networks, self._bodies, strict=True):
            self._pass(network, body, self._engine)

    def _pass(self, network: keras.Model, body: keras.Model, engine: EngineName) -> None:
        """Pass the pictures through a network as they come."""
        name = engines.planned(engine, network)
        stores = stores_of(network, self._cuts, self._framing, name)
        todo = self._lacking(stores)
        first = next(todo, None)
        if first is None:
            return
        way = self._passing(body, self._batch_size, engine)
        if way.name != name:  # it was planned, and cannot compute this network
            self._pass(network, body, engines.KERAS)
        else:
            keep(stores, counted(way.passed(self._framing, itertools.chain([first], todo)), self._count))

    def _lacking(self, stores: Sequence[Store]) -> Iterator[Shown]:
        """Give the pictures that a store lacks."""
        asked: set[str] = set()
        for digests, pixels in self._shards():
            keys = [key_of(digest, CENTER) for digest in digests]
            # A copy of one in an earlier shard is on its way.
            todo = [place for place in np.flatnonzero(lacking(stores, keys)) if digests[place] not in asked]
            asked.update(digests[place] for place in todo)
            self._found += len(digests) - len(todo)
            for place in todo:
                self._asked += 1
                yield Shown(pixels, int(place), CENTER, keys[place])

    def _shards(self) -> Iterator[tuple[Sequence[str], Rows]]:
        """Give the pictures as they were announced, waiting for more until all are."""
        for number in itertools.count():
            with self._changed:
                self._changed.wait_for(lambda number=number: number < len(self._announced) or self._is_complete)
                if number == len(self._announced):
                    return
            yield self._announced[number]

    def _count(self, computed: int) -> None:
        """Count pictures whose features are computed. Raises _Cancelled."""
        if self._is_cancelled:
            raise _Cancelled
        self._computed += computed


def cuts_ahead(recipe: Recipe, model: keras.Model, cut: Cut, task: Task) -> list[Cut]:
    """List where the features of every picture's center are taken whatever is chosen later; none if that is not known.

    Args:
        cut: of the head.
    """
    is_pretrained = model.origin.weights is not None
    if recipe.budget:  # which may not last for all pictures
        return []
    if recipe.strategy == "auto" and not parts_of(model):
        if not is_pretrained:
            return []
        return [vector_cut(model, name) for name in probed(zoo.stages(model))] if task.one_label else [cut]
    is_judged = recipe.strategy == "full" and is_pretrained and task.one_label
    return [cut] if is_judged or recipe.strategy in ("auto", *OF_HEADS) else []
