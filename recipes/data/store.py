"""A content-addressed store of equally shaped arrays on disk, read as they are needed, shared by runs and processes.

A store is a folder of shards. A shard is an array file and a list of its rows' keys, both written to a temporary name
and renamed, the list last, and never changed again. So a killed process leaves whole shards and loses at most the one
that it was writing; two processes that compute the same rows write the same thing twice and disturb nobody; and one
added picture adds one row.
"""

import contextlib
import errno
import hashlib
import json
import sys
import threading
import uuid
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes.compute.pipeline import batched
from recipes.data.key_index import NOWHERE, KeyIndex
from recipes.errors import UserError, refuse_shortage, shown
from zoo.disk import in_bytes, room
from zoo.files import replace

# Keys that are looked for at once, out of more than need be in memory.
KEYS_AT_ONCE = 16_384
# About, of a key in a list.
KEY_BYTES = 75
# Unreadable shards that are named, of one store.
MAX_SAID = 3


@dataclass(frozen=True)
class _Shard:
    """A shard that has been checked: where its rows begin in the file, and what each is."""

    path: Path
    start: int
    shape: tuple[int, ...]
    dtype: np.dtype

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Read some rows, `(rows, *shape)`, from the file, which is open for that long only.

        Neither a descriptor nor a mapping is held: a store may have more shards than a process may have open files.
        """
        out = np.empty((len(rows), *self.shape), self.dtype)
        size, content = out.nbytes // len(rows), out.reshape(-1).view(np.uint8)
        with open(self.path, "rb", buffering=0) as file:
            done = 0
            for run in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
                file.seek(self.start + int(run[0]) * size)
                if file.readinto(content[done : done + len(run) * size]) != len(run) * size:
                    raise OSError(errno.EIO, "the file ends too early", str(self.path))
                done += len(run) * size
        return out


class Rows:
    """Rows of a store in a chosen order, on disk: `rows[indices]` reads some as one array.

    Raises:
        UserError: when they are read, if the cache has been taken away meanwhile, or no file can be opened.
    """

    def __init__(self, shards: list[_Shard], places: np.ndarray):
        self._shards, self._places = shards, places  # places: (rows, 2), int32, the shard and the row in it
        self.shape = (len(places), *shards[0].shape)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, indices: np.ndarray | Sequence[int] | slice) -> np.ndarray:
        places = self._places[indices]
        out = np.empty((len(places), *self.shape[1:]), self._shards[0].dtype)
        for shard in np.unique(places[:, 0]):
            chosen = places[:, 0] == shard
            try:
                out[chosen] = self._shards[shard].read(places[chosen, 1])
            except OSError as error:
                path = self._shards[shard].path
                refuse_shortage(error, path)
                raise UserError(
                    f"{shown(path)} of the cache cannot be read any more ({error.strerror}): run the command again."
                ) from error
        return out

    def take(self, indices: np.ndarray) -> "Rows":
        """Choose some of the rows, in another order, without reading them."""
        return Rows(self._shards, self._places[indices])

    def __reduce__(self) -> tuple:
        """Go to another process without the shards of others' rows."""
        used, numbers = np.unique(self._places[:, 0], return_inverse=True)
        places = np.stack([numbers, self._places[:, 1]], axis=1)
        return Rows, ([self._shards[shard] for shard in used], places)


class SideBySide(Rows):
    """Vectors of several stores, those of a row one behind the other."""

    def __init__(self, columns: Sequence[Rows]):
        self._columns = columns
        self.shape = (len(columns[0]), sum(rows.shape[1] for rows in columns))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: np.ndarray | Sequence[int] | slice) -> np.ndarray:
        return np.concatenate([rows[indices] for rows in self._columns], axis=1)

    def take(self, indices: np.ndarray) -> "SideBySide":
        """Choose some of the rows, in another order, without reading them."""
        return SideBySide([rows.take(indices) for rows in self._columns])


class Store:
    """Arrays of one `shape` and `dtype` under `folder`, by key; each may carry a short text.

    What is unreadable in it is forgotten, removed, and said: its rows are to be computed again.

    Raises:
        UserError: the folder cannot be made or written, or has too little room; no file can be opened.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: str):
        self._folder, self._shape, self._dtype = folder, shape, np.dtype(dtype)
        self._index = KeyIndex()
        self._texts, self._text_numbers = [""], {"": 0}
        self._shards: dict[Path, int] = {}  # the number of each, by its list of keys
        self._listed: dict[Path, tuple[int, int]] = {}  # rows and checksum of each shard
        self._checked: dict[Path, _Shard] = {}
        self._checking = threading.Lock()
        self._forgotten = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Not by `glob`, which finds nothing where it may not look, from Python 3.13 on. A dot begins the name of what is
            # being written.
            listings = sorted(path for path in folder.iterdir() if path.suffix == ".json" and path.name[0] != ".")
        except OSError as error:
            refuse_shortage(error, folder)
            raise UserError(f"The cache folder {folder} cannot be made ({error.strerror}): set ZOO_CACHE.") from error
        for listing in listings:
            self._add_listing(listing)

    def __contains__(self, key: str) -> bool:
        return bool(self.has([key])[0])

    def has(self, keys: Sequence[str]) -> np.ndarray:
        """Whether there are rows of these keys, `(keys,)`, whose shards are whole."""
        shards = self._index.find(keys)[:, 0]
        paths = list(self._shards)
        for number in set(shards.tolist()) - {NOWHERE}:
            if self._shard(paths[number]) is None:
                shards[shards == number] = NOWHERE
        return shards != NOWHERE

    def lists(self, keys: Sequence[str]) -> np.ndarray:
        """Whether rows of these keys are listed, `(keys,)`; they are not looked at, so that they may be damaged."""
        return self._index.find(keys)[:, 0] != NOWHERE

    def texts(self, keys: Sequence[str]) -> list[str]:
        """Give the texts of some keys; "" for one that has none, or is not known."""
        return [self._texts[max(number, 0)] for number in self._index.find(keys)[:, 2].tolist()]

    def require_room(self, rows: int) -> None:
        """Make sure, before any work, that so many more rows fit on the disk. Raises UserError if they do not."""
        need, free = rows * self.stored_bytes, room(self._folder)
        if not self.has_room(rows):
            raise UserError(
                f"The cache needs {in_bytes(need)} in {self._folder} and {in_bytes(free)} are free: "
                "make room, or set ZOO_CACHE to a folder on a larger disk."
            )

    def has_room(self, rows: int) -> bool:
        """Whether so many more rows fit on the disk."""
        return rows * self.stored_bytes <= 0.9 * room(self._folder)

    @property
    def row_bytes(self) -> int:
        """The bytes that a row takes."""
        return int(np.prod(self._shape)) * self._dtype.itemsize

    @property
    def stored_bytes(self) -> int:
        """The bytes that a row takes on the disk, with its key in the list of its shard."""
        return self.row_bytes + KEY_BYTES

    def add(self, keys: Sequence[str], rows: np.ndarray | Sequence[np.ndarray], texts: Iterable[str] = ()) -> None:
        """Write one shard: a row `shape` and a text for each key, or no texts; rows in a list are not put together for it.

        Raises:
            UserError: it cannot be written.
            ValueError: the rows are not one a key, or of another shape.
        """
        shapes = {np.shape(row) for row in rows}
        if shapes != {self._shape} or len(rows) != len(keys):
            raise ValueError(f"add expects {len(keys)} rows of shape {self._shape}; found {len(rows)} of {shapes}.")
        checksum = 0

        def write(new: Path) -> None:
            nonlocal checksum
            with open(new, "wb") as file:
                header = {"descr": self._dtype.str, "fortran_order": False, "shape": (len(keys), *self._shape)}
                np.lib.format.write_array_header_1_0(file, header)
                for row in rows:
                    content = np.ascontiguousarray(row, self._dtype)
                    checksum = zlib.crc32(content, checksum)
                    file.write(content)

        name = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:32]
        try:  # what a power cut takes, the checksum tells
            replace(self._folder / f"{name}.npy", write, len(keys) * self.row_bytes, is_durable=False)
            listing = json.dumps({"keys": list(keys), "texts": list(texts), "crc32": checksum}).encode()
            path = self._folder / f"{name}.json"
            replace(path, lambda new: new.write_bytes(listing), len(listing), is_durable=False)
        except OSError as error:
            raise UserError(f"The cache: {shown(error)} Or set ZOO_CACHE to one.") from error
        self._add_listing(path)

    def rows(self, keys: Iterable[str]) -> Rows:
        """Find the rows of these keys, all of which must be there."""
        found = np.concatenate([self._index.find(some)[:, :2] for some in batched(keys, KEYS_AT_ONCE)])
        numbers, found[:, 0] = np.unique(found[:, 0], return_inverse=True)
        paths = list(self._shards)
        shards = [self._shard(paths[number]) if number != NOWHERE else None for number in numbers]
        if None in shards:  # the disk does not keep what was written a moment ago
            raise UserError(f"The cache in {shown(self._folder)} was damaged while it was in use: run the command again.")
        return Rows(shards, found)

    def _add_listing(self, path: Path) -> None:
        """Know the rows of a shard from its list of keys."""
        try:
            listing = json.loads(path.read_bytes())
            keys, checksum = [str(key) for key in listing["keys"]], int(listing["crc32"])
            texts = [self._number_of(str(text)) for text in listing["texts"][: len(keys)]]
            self._listed[path] = len(keys), checksum
            number = self._shards.setdefault(path, len(self._shards))
            self._index.add(keys, number, np.array([*texts, *[0] * (len(keys) - len(texts))]))
        except Exception as error:  # damaged, it may hold anything
            self._forget(path, error)

    def _number_of(self, text: str) -> int:
        """Find the number of a text: equal ones are kept once."""
        number = self._text_numbers.setdefault(text, len(self._texts))
        if number == len(self._texts):
            self._texts.append(text)
        return number

    def _shard(self, path: Path) -> _Shard | None:
        """Find a shard, checked once; gives None, and forgets it, if it is damaged."""
        with self._checking:  # once, whichever thread asks first; and CPython 3.11 parses NumPy's headers in one thread only
            if path in self._checked or path not in self._listed:
                return self._checked.get(path)
            try:
                array, (rows, checksum) = np.load(path.with_suffix(".npy"), mmap_mode="r"), self._listed[path]
                if (array.shape, array.dtype) != ((rows, *self._shape), self._dtype) or not array.flags.c_contiguous:
                    raise ValueError("other rows than those listed")
                if zlib.crc32(array) != checksum:
                    raise ValueError("another checksum than the one listed")
                self._checked[path] = _Shard(path.with_suffix(".npy"), array.offset, self._shape, self._dtype)
            except Exception as error:  # damaged, it may hold anything
                self._forget(path, error)
            return self._checked.get(path)

    def _forget(self, path: Path, error: Exception) -> None:
        """Forget and remove a shard that cannot be read, and say so. Raises UserError for what is no fault of the files."""
        if isinstance(error, OSError):
            refuse_shortage(error, path)
        self._listed.pop(path, None)
        if path in self._shards:
            self._index.discard(self._shards[path])
        for file in (path, path.with_suffix(".npy")):
            try:
                file.unlink(missing_ok=True)
            except OSError:  # a folder in its place, which is set aside under a name that is not looked at
                with contextlib.suppress(OSError):
                    file.rename(file.with_name(f".{uuid.uuid4().hex}"))
        self._forgotten += 1
        if self._forgotten <= MAX_SAID:
            more = "; others like it are not named" if self._forgotten == MAX_SAID else ""
            reason = getattr(error, "strerror", None) or error
            print(f"warning: {shown(path)} of the cache is unreadable ({reason}): computed again{more}.", file=sys.stderr)
