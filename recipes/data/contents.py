"""Digests of files, remembered until the files change: what a command has read once, the next one knows by a look at its times.

A file is the same while its size, inode and times are. A change of content always changes the time of the inode (`ctime`),
which no program can set; but its clock may tick slowly, so a file that has changed in the last seconds is read again.
"""

import contextlib
import hashlib
import os
import stat
import threading
import time
from pathlib import Path

import numpy as np

from recipes.data.images import read_bytes
from recipes.data.key_index import DIGEST_BYTES, digests_of
from zoo.disk import WriteError
from zoo.files import cache_folder, replace

# No file system's clock ticks more slowly (FAT: 2 s).
SLOWEST_TICK = 3.0
# What is known of a file: a digest of its path; size, inode and the two times; the SHA-256 of what it holds.
ROW = np.dtype([("path", f"S{DIGEST_BYTES}"), ("state", "int64", 4), ("digest", "V32")])


class Contents:
    """SHA-256 digests of the files below a root, by relative path. Threads may share one, but for `save`."""

    def __init__(self, root: Path):
        name = hashlib.sha256(os.path.realpath(root).encode(errors="surrogateescape")).hexdigest()[:24]
        self._root, self._file = root, cache_folder("contents") / f"{name}.npy"
        self._known, self._read = np.empty(0, ROW), bytearray()  # sorted by path; what was read since, row by row
        self._lock = threading.Lock()
        with contextlib.suppress(OSError, ValueError, EOFError):  # damaged, it is made anew
            known = np.load(self._file)
            self._known = known if known.dtype == ROW and known.ndim == 1 else self._known
        self._paths = self._known["path"].copy()  # side by side, to be searched

    def __len__(self) -> int:
        """Count the files that are known and saved."""
        return len(self._known)

    def digest(self, path: str) -> str | None:
        """Give the digest of a file that has not changed since an earlier command read it; None for any other."""
        (wanted,) = digests_of([path])
        place = int(np.searchsorted(self._paths, wanted))
        if place == len(self._paths) or self._paths[place] != wanted:
            return None
        row = self._known[place]
        return row["digest"].tobytes().hex() if row["state"].tolist() == _state(os.path.join(self._root, path)) else None

    def read(self, path: str) -> tuple[bytes, str]:
        """Read a file, and remember the digest of what it holds; returns both. Raises ImageError."""
        full = os.path.join(self._root, path)
        before = _state(full)
        data = read_bytes(full)
        digest = hashlib.sha256(data)
        if before and before == _state(full) and time.time() - before[3] / 1e9 > SLOWEST_TICK:
            row = np.array((digests_of([path])[0], before, digest.digest()), ROW)
            with self._lock:
                self._read += row.tobytes()
        return data, digest.hexdigest()

    def save(self, at_least: int = 1) -> None:
        """Keep what was learnt for the next command; where that cannot be written, the next one reads again.

        Args:
            at_least: files; fewer new ones than that are not worth it yet.
        """
        if len(self._read) < at_least * ROW.itemsize:
            return
        rows = np.concatenate([np.frombuffer(self._read, ROW), self._known])  # what is newer comes first
        rows = rows[np.unique(rows["path"], return_index=True)[1]]
        with contextlib.suppress(WriteError, OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            replace(self._file, lambda new: np.save(new, rows), rows.nbytes, is_durable=False)
        self._known, self._paths, self._read = rows, rows["path"].copy(), bytearray()


def _state(path: str) -> list[int] | None:
    """Find what changes with a file's content; None for what is no regular file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    inode = found.st_ino % 2**63  # of some file systems it takes all 64 bits
    return [found.st_size, inode, found.st_mtime_ns, found.st_ctime_ns] if stat.S_ISREG(found.st_mode) else None
