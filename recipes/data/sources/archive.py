"""Archives of pictures, .zip and .tar: unpacked once into the cache, by content, and then a folder as any other.

Nothing is unpacked of an archive that would write outside its folder, holds links, devices or two members of one name, is
encrypted or damaged, or is a bomb: larger than the disk has room for, or than any pictures are.
"""

import bz2
import gzip
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_IFMT, S_ISDIR, S_ISREG
from typing import IO

from recipes.data.sources.listing import plain
from recipes.data.sources.walk import SYSTEM_NAMES
from recipes.errors import UserError, shown
from zoo.disk import in_bytes, room, written
from zoo.files import cache_folder, make_folder, sha256
from zoo.progress import Progress

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
# More than pictures shrink; what is below the least is no bomb in any case.
MAX_RATIO = 100
MIN_BOMB_BYTES = 1_000_000_000
MAX_MEMBERS = 10_000_000
# Behind the last member of a tar archive stand zeros, no more than these.
MAX_END = 10_000_000
PACKINGS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
# What a damaged archive raises.
DAMAGES = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError)


@dataclass(frozen=True)
class Member:
    """A file or folder in an archive, and the bytes of a file."""

    name: str
    size: int
    kind: str  # "file", "folder", or what else it is, in words
    content: IO[bytes] | None = None


def is_archive(path: Path) -> bool:
    """Whether a path is that of an archive by its ending, and no folder."""
    return path.name.lower().endswith(ENDINGS) and not path.is_dir()


def unpacked(archive: Path) -> Path:
    """Unpack an archive into the cache, unless that has been done, and return the folder.

    Raises:
        UserError: it cannot be read, is damaged, or is not unpacked for one of the reasons above.
    """
    name = re.sub(r"(\.tar)?\.\w+$", "", archive.name) or "archive"
    try:
        key = sha256(archive)[:24]
    except FileNotFoundError:
        raise UserError(f"{shown(archive)} does not exist: give an archive of images.") from None
    except OSError as error:
        raise UserError(f"{shown(archive)} cannot be read ({error.strerror}): give an archive of images.") from error
    try:
        return make_folder(cache_folder("archives") / key, lambda folder: _unpack(archive, folder / name)) / name
    except OSError as error:
        raise UserError(f"The cache: {shown(error)} Or set ZOO_CACHE to one.") from error


def without_wrappers(folder: Path) -> Path:
    """Go down to the folder that holds more than one folder, as archives hold one that is called like them."""
    while True:
        inside = [e for e in os.scandir(folder) if not e.name.startswith(".") and e.name.lower() not in SYSTEM_NAMES]
        if len(inside) != 1 or not inside[0].is_dir():
            return folder
        folder = Path(inside[0].path)


def _unpack(archive: Path, folder: Path) -> None:
    """Write all members below a folder. Raises UserError for what is not unpacked, OSError for what cannot be written."""
    packed, total, count = os.path.getsize(archive), 0, 0
    free, names = room(folder), _Names(archive)
    with written(folder):
        folder.mkdir(parents=True)
    with Progress(f"unpacking {shown(archive.name)}", packed, "MB", 1e-6) as progress:
        for member in _members(archive):
            place = folder / names.checked(member)
            total, count = total + member.size, count + 1
            _check_size(archive, packed, total, count, free)
            if member.kind == "folder":
                with written(place):
                    place.mkdir(parents=True, exist_ok=True)
                continue
            with written(place.parent):
                place.parent.mkdir(parents=True, exist_ok=True)
            _write(archive, member, place)
            progress.advance(member.size)


def _write(archive: Path, member: Member, place: Path) -> None:
    """Write a member, no more of it than it says. Raises UserError for one that is damaged, OSError."""
    left = member.size
    with written(place, member.size), open(place, "xb") as file:
        while left:
            try:
                chunk = member.content.read(min(left, 1 << 20))
            except (*DAMAGES, OSError, RuntimeError) as error:
                raise _damaged(archive, error, member.name) from error
            if not chunk:
                raise _damaged(archive, EOFError("it ends too early"), member.name)
            file.write(chunk)
            left -= len(chunk)


def _members(archive: Path) -> Iterator[Member]:
    """Read the members one after the other. Raises UserError for an archive that is damaged, or encrypted."""
    members = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
    try:
        yield from members(archive)
    except (*DAMAGES, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damaged(archive, error) from error


def _zip_members(archive: Path) -> Iterator[Member]:
    """Read the members of a zip archive."""
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            mode = info.external_attr >> 16
            if info.flag_bits & 1:
                raise UserError(
                    f"{shown(archive)} is encrypted ({shown(info.filename)}): unpack it yourself, and give the folder."
                )
            if info.is_dir() or S_ISDIR(mode):
                yield Member(info.filename, 0, "folder")
            elif S_IFMT(mode) and not S_ISREG(mode):
                yield Member(info.filename, 0, "a link or a device")
            else:
                with file.open(info) as content:
                    yield Member(info.filename, info.file_size, "file", content)


def _tar_members(archive: Path) -> Iterator[Member]:
    """Read the members of a tar archive, packed in whatever way. Raises EOFError for one that is cut off."""
    with open(archive, "rb") as packed:
        magic = packed.read(6)
        packed.seek(0)
        opened = next((opened for mark, opened in PACKINGS.items() if magic.startswith(mark)), None)
        stream = _Stream(opened(packed) if opened else packed)
        with tarfile.open(fileobj=stream, mode="r|") as file:
            for info in file:
                if info.isdir():
                    yield Member(info.name, 0, "folder")
                elif info.isreg():
                    yield Member(info.name, info.size, "file", file.extractfile(info))
                else:
                    yield Member(info.name, 0, "a link" if info.issym() or info.islnk() else "a device or a pipe")
        stream.check_end()


class _Stream:
    """A stream of which the end is known: that of a tar archive is zeros, and `tarfile` takes one that is cut off for whole."""

    def __init__(self, file: IO[bytes]):
        self._file, self._last = file, b""

    def read(self, size: int) -> bytes:
        """Read so many bytes, fewer at the end."""
        data = self._file.read(size)
        self._last = (self._last + data)[-tarfile.BLOCKSIZE :]
        return data

    def check_end(self) -> None:
        """Read what is left, which is little. Raises EOFError if it does not end in zeros."""
        for _ in range(MAX_END // tarfile.RECORDSIZE):
            if not self.read(tarfile.RECORDSIZE):
                break
        if self._last != bytes(tarfile.BLOCKSIZE):
            raise EOFError("it ends too early")


class _Names:
    """Checks the names of an archive's members."""

    def __init__(self, archive: Path):
        self._archive, self._files, self._spelled = shown(archive), set(), {}

    def checked(self, member: Member) -> str:
        """Give the path below the folder. Raises UserError for one that leads elsewhere, or comes twice."""
        name, path = shown(member.name), member.name.replace("\\", "/")
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in parts or "\0" in path or not parts:
            if member.kind == "folder" and not parts and not path.startswith("/"):  # "./", as tar writes the folder itself
                return "."
            raise UserError(
                f"{self._archive} holds a member whose name leads out of its folder, {name}: nothing of it is unpacked; pack "
                "it with names below one folder."
            )
        if member.kind not in ("file", "folder"):
            raise UserError(
                f"{self._archive} holds {member.kind}, {name}, which is not unpacked: pack what it leads to (tar -h, or zip "
                "without -y)."
            )
        for i in range(len(parts)):
            self._check_spelling("/".join(parts[: i + 1]))
        path = "/".join(parts)
        if member.kind == "file":
            if path in self._files:
                raise UserError(f"{self._archive} holds {name} twice: pack it once.")
            self._files.add(path)
        return path

    def _check_spelling(self, path: str) -> None:
        """Refuse names that some disks cannot tell apart, with a UserError."""
        other = self._spelled.setdefault(plain(path), path)
        if other != path:
            raise UserError(
                f"{self._archive} holds {ascii(other)} and {ascii(path)}, which differ only by case or Unicode form and would "
                "be one on some disks: rename one."
            )


def _check_size(archive: Path, packed: int, total: int, count: int, free: int) -> None:
    """Refuse an archive that is too large, as soon as that is known, with a UserError."""
    if total > MIN_BOMB_BYTES and total > MAX_RATIO * packed or count > MAX_MEMBERS:
        raise UserError(
            f"{shown(archive)} of {in_bytes(packed)} holds {in_bytes(total)} or more in {count:,} members, which no pictures "
            f"do ({MAX_RATIO} times as much, or {MAX_MEMBERS:,} members, is the most): if it is right, unpack it yourself."
        )
    if total > 0.9 * free:
        raise UserError(
            f"{shown(archive)} holds {in_bytes(total)} or more, and {in_bytes(free)} are free in the cache: make room, or set "
            "ZOO_CACHE to a folder on a larger disk."
        )


def _damaged(archive: Path, error: Exception, member: str = "") -> UserError:
    """Make the error of an archive that cannot be read."""
    where = f" at {shown(member)}" if member else ""
    return UserError(
        f"{shown(archive)} is damaged, cut off or no such archive{where} ({shown(error) or type(error).__name__}): fetch or "
        "pack it again."
    )
