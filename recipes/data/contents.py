"""Digests of files, remembered until the files change: what a command has read once, the next one knows by a look at its times.

A file is the same while its size, inode and times are. A change of content always changes the time of the inode (`ctime`),
which no program can set; but its clock may tick slowly, so a file that has changed in the last seconds is read again.
"""

import contextlib
import hashlib
import json
import os
import stat
import threading
import time
from pathlib import Path

from recipes.data.images import read_bytes
from zoo.disk import WriteError
from zoo.files import cache_folder, write_text

# No file system's clock ticks more slowly (FAT: 2 s).
SLOWEST_TICK = 3.0


class Contents:
    """SHA-256 digests of the files below a root, by relative path. Threads may share one."""

    def __init__(self, root: Path):
        name = hashlib.sha256(os.path.realpath(root).encode(errors="surrogateescape")).hexdigest()[:24]
        self._root, self._file = root, cache_folder("contents") / f"{name}.json"
        self._known: dict[str, list] = {}  # path: [size, inode, mtime, ctime, digest]
        self._lock, self._changed = threading.Lock(), False
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):  # damaged, it is made anew
            known = json.loads(self._file.read_bytes())
            self._known = {path: row for path, row in known.items() if len(row) == 5}

    def digest(self, path: str) -> str | None:
        """Give the digest of a file that has not changed since it was read; None for any other."""
        row = self._known.get(path)
        return row[4] if row and row[:4] == _state(os.path.join(self._root, path)) else None

    def read(self, path: str) -> tuple[bytes, str]:
        """Read a file, and remember the digest of what it holds; returns both. Raises ImageError."""
        full = os.path.join(self._root, path)
        before = _state(full)
        data = read_bytes(full)
        digest = hashlib.sha256(data).hexdigest()
        if before and before == _state(full) and time.time() - before[3] / 1e9 > SLOWEST_TICK:
            with self._lock:
                self._known[path] = [*before, digest]
                self._changed = True
        return data, digest

    def save(self) -> None:
        """Keep what was learnt for the next command; where that cannot be written, the next one reads again."""
        if self._changed:
            with contextlib.suppress(WriteError, OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_text(self._file, json.dumps(self._known))
            self._changed = False


def _state(path: str) -> list[int] | None:
    """Find what changes with a file's content; None for what is no regular file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns] if stat.S_ISREG(found.st_mode) else None
