"""What a disk takes: how much there is room for, and what cannot be written, as a sentence."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator

REMEDIES = {errno.ENOSPC: "make room", errno.EDQUOT: "raise the quota", errno.EFBIG: "raise the limit of a file's size"}


class WriteError(OSError):
    """Says in a sentence what cannot be written, why, and of a full disk how much is needed there and how much is free.

    Args:
        error: what the system said.
        path: what was being written.
        needed: bytes that it takes, as far as they are known.
    """

    def __init__(self, error: OSError, path: str | os.PathLike, needed: int = 0):
        found = re.search(r"errno = (\d+)", str(error))  # HDF5 says in its own words what the system said
        number = error.errno or (found and int(found[1]))
        super().__init__(number, os.strerror(number) if number else str(error), os.fspath(path))
        self.needed, self.free = max(1, needed), room(path)

    def __str__(self) -> str:
        reason = f"{self.filename} cannot be written ({self.strerror})"
        if self.errno == errno.ENOSPC and _is_full_of_files(self.filename):
            return f"{reason}: there are as many files on that disk as it can hold: remove some, or choose another place."
        folder = os.path.dirname(os.path.realpath(self.filename))
        if self.errno == errno.ENOENT and not os.path.isdir(folder):
            return f"{reason}: there is no folder {folder}: make it, or choose another place."
        if self.errno not in REMEDIES:
            return f"{reason}: choose another place, or make it one that can be written."
        need = f"it needs {in_bytes(self.needed)} or more, and {in_bytes(self.free)} are free there"
        return f"{reason}: {need}: {REMEDIES[self.errno]}, or choose another place."


def in_bytes(count: float) -> str:
    """Write a number of bytes in words: "0 bytes", "312 kB", "1.5 GB"."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= 0.9995 * size:
            return f"{count / size:.3g} {unit}"
    return "1 byte" if count == 1 else f"{count:.0f} bytes"


def room(path: str | os.PathLike) -> int:
    """Count the bytes that are free where a path is, or will be; 0 if the system does not say."""
    try:
        return shutil.disk_usage(_there(path)).free
    except OSError:
        return 0


def _there(path: str | os.PathLike) -> str:
    """Find the nearest folder, or file, that exists on the way to a path."""
    place = os.path.abspath(path)
    while not os.path.exists(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    return place


def _is_full_of_files(path: str) -> bool:
    """Whether a disk has no place for one file more, however much room."""
    try:
        status = os.statvfs(_there(path))
    except (AttributeError, OSError):  # there is none on Windows
        return False
    return bool(status.f_files) and not status.f_favail


def require_room(path: str | os.PathLike, needed: int) -> None:
    """Make sure, before anything is written, that so many bytes fit there.

    Raises:
        WriteError: they do not.
    """
    if needed > room(path):
        raise WriteError(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), path, needed)


@contextlib.contextmanager
def written(path: str | os.PathLike, needed: int = 0) -> Iterator[None]:
    """Have what the system says while the block writes name the path, which a file that is open already does not.

    Raises:
        WriteError: in place of any other OSError.
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(error, path, needed) from error
