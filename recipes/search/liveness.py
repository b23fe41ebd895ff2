"""Who is dead of the workers of a search: told by the process where it can be seen, by signs of life that stay away anywhere.

No clock is compared with another's, nor any time with another: what counts is for how long whoever looks has seen the same
sign, while it was awake itself and the storage answered. So a server that was away, a clock that was set or a laptop that
slept with all its workers makes no living one look dead; and one that stands still is replaced, though its process exists.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass

from zoo.files import Process, this_process

BEAT_SECONDS = 10
# A worker that is silent for longer is replaced.
GRACE_SECONDS = 60


@dataclass(frozen=True)
class Unfinished:
    """A trial that waits or runs, as it is now."""

    id: int
    waits: bool
    run: Mapping
    """Its worker, how often it was begun, and how many workers died in it."""
    silent: float
    """Seconds for which its worker's last sign of life has been watched and none has followed."""

    @property
    def is_lost(self) -> bool:
        """Whether its worker is dead, or hangs."""
        worker = Process(**{name: self.run[name] for name in ("host", "machine", "pid", "began")})
        is_seen_dead = worker.began is not None and worker.is_alive is False
        return is_seen_dead or worker == this_process() or self.silent > GRACE_SECONDS  # who asks for a trial runs none


class Watch:
    """Tells for how long workers have been silent."""

    def __init__(self):
        self._awake, self._last = 0.0, time.monotonic()
        self._signs: dict[int, tuple[object, float]] = {}

    def stay_awake(self) -> None:
        """Count the time since this was last called, which must be every few seconds: of a longer pause no more than that."""
        now = time.monotonic()
        self._awake += min(now - self._last, 1.5 * BEAT_SECONDS)
        self._last = now

    def silence(self, trial: int, sign: object) -> float:
        """Tell for how many seconds a trial's last sign of life has been the same."""
        known, since = self._signs.get(trial, (None, 0.0))
        if known != sign:
            since = self._awake
            self._signs[trial] = sign, since
        return self._awake - since

    def forget_all_but(self, trials: Set[int]) -> None:
        """Forget the signs of other trials."""
        self._signs = {trial: sign for trial, sign in self._signs.items() if trial in trials}


@contextlib.contextmanager
def beating(beat: Callable[[], object]) -> Iterator[None]:
    """Give signs of life from a thread."""
    ended = threading.Event()

    def keep_beating():
        while not ended.wait(BEAT_SECONDS):
            with contextlib.suppress(Exception):  # a server that is away for a moment: the next one may pass
                beat()

    thread = threading.Thread(target=keep_beating, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
