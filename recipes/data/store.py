"""A content-addressed store of equally shaped arrays on disk, memory-mapped, shared by runs and processes.

A store is a folder of shards. A shard is an array file and a list of its rows' keys, both written to a temporary name
and renamed, the list last, and never changed again. So a killed process leaves whole shards and loses at most the one
that it was writing; two processes that compute the same rows write the same thing twice and disturb nobody; and one
added picture adds one row.
"""

import hashlib
import json
import shutil
import threading
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from recipes.errors import UserError, shown
from zoo.disk import in_bytes
from zoo.files import replace, write_text


class Rows:
    """Rows of a store in a chosen order, on disk: `rows[indices]` reads some as one array."""

    def __init__(self, shards: list[np.ndarray], places: np.ndarray):
        self._shards, self._places = shards, places  # places: (rows, 2), the shard and the row in it
        self.shape = (len(places), *shards[0].shape[1:])

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, indices: np.ndarray | Sequence[int] | slice) -> np.ndarray:
        places = self._places[indices]
        out = np.empty((len(places), *self.shape[1:]), self._shards[0].dtype)
        for shard in np.unique(places[:, 0]):
            chosen = places[:, 0] == shard
            out[chosen] = self._shards[shard][places[chosen, 1]]
        return out

    def take(self, indices: np.ndarray) -> "Rows":
        """Choose some of the rows, in another order, without reading them."""
        return Rows(self._shards, self._places[indices])


class Store:
    """Arrays of one `shape` and `dtype` under `folder`, by key; each may carry a short text.

    Raises:
        UserError: the folder cannot be made or written, or has too little room.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: str):
        self._folder, self._shape, self._dtype = folder, shape, np.dtype(dtype)
        self._index: dict[str, tuple[Path, int]] = {}
        self.texts: dict[str, str] = {}
        self._open: dict[Path, np.ndarray] = {}
        self._opening = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"The cache folder {folder} cannot be made ({error.strerror}): set ZOO_CACHE.") from error
        for listing in sorted(folder.glob("[!.]*.json")):  # a dot begins the name of what is being written
            self._add_listing(listing)

    def __contains__(self, key: str) -> bool:
        return key in self._index and self._shard(self._index[key][0]) is not None

    def require_room(self, rows: int) -> None:
        """Make sure, before any work, that so many more rows fit on the disk. Raises UserError if they do not."""
        need, free = rows * self._row_bytes, shutil.disk_usage(self._folder).free
        if need > 0.9 * free:
            raise UserError(
                f"The cache needs {in_bytes(need)} in {self._folder} and {in_bytes(free)} are free: "
                "make room, or set ZOO_CACHE to a folder on a larger disk."
            )

    @property
    def _row_bytes(self) -> int:
        """The bytes of one row."""
        return int(np.prod(self._shape)) * self._dtype.itemsize

    def add(self, keys: Sequence[str], rows: np.ndarray, texts: Iterable[str] = ()) -> None:
        """Write one shard: `rows` `(keys, *shape)`, and a text for each key, or none."""
        rows = np.ascontiguousarray(rows, self._dtype)
        name = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:32]
        listing = {"keys": list(keys), "texts": list(texts), "crc32": zlib.crc32(rows)}
        try:
            replace(self._folder / f"{name}.npy", lambda new: np.save(new, rows), rows.nbytes)
            path = write_text(self._folder / f"{name}.json", json.dumps(listing))
        except OSError as error:
            raise UserError(f"The cache: {shown(error)} Or set ZOO_CACHE to one.") from error
        self._add_listing(path)

    def rows(self, keys: Sequence[str]) -> Rows:
        """Find the rows of these keys, all of which must be there."""
        paths = list(dict.fromkeys(self._index[key][0] for key in keys))
        number = {path: i for i, path in enumerate(paths)}
        places = np.array([(number[self._index[key][0]], self._index[key][1]) for key in keys])
        return Rows([self._shard(path) for path in paths], places)

    def _add_listing(self, path: Path) -> None:
        """Know the rows of a shard from its list of keys; a damaged list counts for nothing."""
        try:
            listing = json.loads(path.read_bytes())
            keys, texts = listing["keys"], listing["texts"]
        except (OSError, ValueError, KeyError):
            return  # cut off by a crash of the machine: its rows are simply made again
        self._index |= {key: (path, row) for row, key in enumerate(keys)}
        self.texts |= dict(zip(keys, texts, strict=False))

    def _shard(self, path: Path) -> np.ndarray | None:
        """Open a shard as a memory-mapped array, checked once; gives None, and forgets it, if it is damaged."""
        with self._opening:  # once, whichever thread asks first; and CPython 3.11 parses NumPy's headers in one thread only
            return self._opened(path)

    def _opened(self, path: Path) -> np.ndarray | None:
        """Load and check a shard; the caller holds the lock."""
        if path not in self._open:
            try:
                array = np.load(path.with_suffix(".npy"), mmap_mode="r")
                whole = array.shape[1:] == self._shape and array.dtype == self._dtype
                good = whole and zlib.crc32(np.ascontiguousarray(array)) == json.loads(path.read_bytes())["crc32"]
            except (OSError, ValueError):
                good = False
            if not good:
                self._index = {key: place for key, place in self._index.items() if place[0] != path}
                return None
            self._open[path] = array
        return self._open[path]
