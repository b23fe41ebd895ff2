"""Zip archives whose declared sizes are compared before anything is unpacked: `.npz`, `.keras`, `.pth`."""

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from zoo.weights.formats.tensors import WeightsError, require_proportion

CHUNK = 1 << 20


@contextmanager
def opened(path: str | os.PathLike) -> Iterator[zipfile.ZipFile]:
    """Open an archive that unpacks to no more than its size allows.

    Raises:
        WeightsError: it declares far more than its bytes can hold, or is packed in a way that cannot be bounded.
    """
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise WeightsError(f"keeps {member.filename!r} packed as no program writes weights: write it again.")
        require_proportion(sum(member.file_size for member in archive.infolist()), os.fspath(path))
        yield archive


def content(archive: zipfile.ZipFile, name: str) -> bytes:
    """Unpack a member whole, in pieces: it cannot give more than it declares, and its checksum is compared."""
    size, found = archive.getinfo(name).file_size, bytearray()
    with archive.open(name) as file:
        while piece := file.read(CHUNK):
            found += piece
    if len(found) != size:
        raise WeightsError(f"ends within {name!r}: fetch or write it again.")
    return bytes(found)
