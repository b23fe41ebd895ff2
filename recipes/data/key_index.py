"""Where the rows of keys are, in 28 bytes a key: digests of the keys and three numbers each, in sorted arrays.

Keys come a shard at a time and are looked up many at once. What has come is sorted when somebody looks for it, and arrays are
merged when one has become about as long as the one before: so a lookup searches few arrays, and a key is moved few times.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

# Of each key 128 bits are compared: among 10 ** 9 keys two are alike with a chance of 10 ** -21.
DIGEST_BYTES = 16
MERGE_RATIO = 4
NOWHERE = -1


@dataclass(frozen=True)
class _Run:
    """Keys in order, `(keys,)`, and where each is: `(keys, 3)`, int32, as `KeyIndex.find` gives it."""

    keys: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, keys: np.ndarray, places: np.ndarray) -> "_Run":
        """Sort keys; of the same ones the last counts."""
        order = np.argsort(keys, kind="stable")
        is_last = np.append(keys[order][1:] != keys[order][:-1], True)
        return cls(keys[order[is_last]], places[order[is_last]])

    def merged(self, later: "_Run") -> "_Run":
        """Add what has come later."""
        return _Run.of(np.concatenate([self.keys, later.keys]), np.concatenate([self.places, later.places]))


class KeyIndex:
    """Places of keys: a shard's number, a row in it, and the number of a text. Threads may share one."""

    def __init__(self):
        self._runs: list[_Run] = []  # in the order in which they came
        self._new: list[tuple[np.ndarray, np.ndarray]] = []  # not sorted yet
        self._lock = threading.Lock()

    def add(self, keys: Sequence[str], shard: int, texts: np.ndarray) -> None:
        """Know the keys of a shard, row by row; `texts` are numbers `(keys,)`. A key that is known has moved."""
        places = np.stack([np.full(len(keys), shard), np.arange(len(keys)), texts], axis=1).astype("int32")
        with self._lock:
            self._new.append((digests_of(keys), places))

    def find(self, keys: Sequence[str]) -> np.ndarray:
        """Find keys: shard, row and text of each, `(keys, 3)`, int32; the shard is NOWHERE for one that is not known."""
        wanted, found = digests_of(keys), np.full((len(keys), 3), NOWHERE, "int32")
        with self._lock:
            self._sort()
            runs = list(self._runs)
        for run in runs:
            places = np.minimum(np.searchsorted(run.keys, wanted), len(run.keys) - 1)
            there = run.keys[places] == wanted
            found[there] = run.places[places[there]]
        return found

    def discard(self, shard: int) -> None:
        """Forget the keys of a shard."""
        with self._lock:
            self._sort()
            kept = ((run, run.places[:, 0] != shard) for run in self._runs)
            self._runs = [_Run(run.keys[rows], run.places[rows]) for run, rows in kept if rows.any()]

    def _sort(self) -> None:
        """Sort what is new, and merge arrays that are not much shorter than the next."""
        if self._new:
            self._runs.append(_Run.of(*map(np.concatenate, zip(*self._new, strict=True))))
            self._new = []
        while len(self._runs) > 1 and len(self._runs[-2].keys) < MERGE_RATIO * len(self._runs[-1].keys):
            later = self._runs.pop()
            self._runs.append(self._runs.pop().merged(later))


def digests_of(keys: Sequence[str]) -> np.ndarray:
    """Compute digests of keys, `(keys,)`."""
    found = (blake2b(key.encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).digest() for key in keys)
    return np.frombuffer(b"".join(found), f"S{DIGEST_BYTES}")
