"""Files that are whole at any time, whoever is killed: the only atomic writer, the only lock, and who is still alive.

A file is written beside its place under a name of its own, flushed to the disk, and renamed: a reader finds the old one or
the new one, and after a power cut, too. What cannot be written raises a `WriteError`, which is a sentence.
"""

import contextlib
import csv
import errno
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from zoo.disk import WriteError, written

# A list of numbers in indented JSON; no line ends inside of a string there.
NUMBERS = re.compile(r"\[(\n *[-+.\deE]+,?)+\n *\]")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
# What a writer on another machine has left is taken for a dead one's after a day.
STALE_SECONDS = 24 * 3600
# As `Process.token` writes it.
_TOKEN = re.compile(r"(\d+)-(\d+|None)-[0-9a-f]{8}")


def cache_folder(kind: str) -> Path:
    """Where files of a kind ("weights", "pixels", "features", "training") are kept: under `ZOO_CACHE`, or ~/.cache/zoo.

    Raises:
        OSError: neither is known.
    """
    try:
        return Path(os.environ.get("ZOO_CACHE") or Path.home() / ".cache" / "zoo") / kind
    except RuntimeError:
        raise OSError("This user has no home folder for the cache: set ZOO_CACHE to a folder, or HOME.") from None


def sha256(path: str | os.PathLike) -> str:
    """Compute the digest of a file's bytes, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def replacing(path: str | os.PathLike, size: int = 0, is_durable: bool = True) -> Iterator[Path]:
    """Give a path to write to; its file takes the place of `path` at the end of the block, as a whole or, if it raises, not.

    A link stays, and what it leads to is replaced; what is replaced keeps its permissions. What killed writers have left beside
    it is removed.

    Args:
        size: bytes that it takes, if they are known before.
        is_durable: whether a power cut leaves the old file or the new one; without, which is faster, it may leave neither.

    Raises:
        WriteError: it cannot be written.
    """
    place = Path(os.path.realpath(path))
    _remove_left_overs(place.parent)
    # The ending stays: some writers choose the format by it.
    new = place.with_name(f".{this_process().token}.{uuid.uuid4().hex[:8]}{place.suffix}")
    try:
        yield new
        with contextlib.suppress(FileNotFoundError):
            new.chmod(place.stat().st_mode & 0o777)
        publish(new, place) if is_durable else os.replace(new, place)
    except BaseException as error:
        reached = 0
        with contextlib.suppress(OSError):
            reached = new.stat().st_size
            new.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, WriteError) and error.filename in (None, str(new)):
            raise WriteError(error, path, max(size, reached + 1)) from error
        raise


def replace(path: str | os.PathLike, write: Callable[[Path], object], size: int = 0, is_durable: bool = True) -> Path:
    """Put what `write` makes at the path it is given into the place of `path`, as `replacing` does. Raises WriteError."""
    with replacing(path, size, is_durable) as new:
        write(new)
    return Path(path)


def publish(new: str | os.PathLike, path: str | os.PathLike) -> None:
    """Give a file that is complete the name of another, which it replaces, and see both onto the disk."""
    flush(new)
    os.replace(new, path)
    flush(Path(path).parent)


@functools.cache
def _remove_left_overs(folder: Path) -> None:
    """Remove the files that killed writers have left in a folder; once in a process."""
    with contextlib.suppress(OSError):
        for file in folder.glob(".*-*-*.????????*"):
            if re.fullmatch(r"[0-9a-f]{8}", file.name.split(".")[2]) and is_left_over(file, file.name.split(".")[1]):
                file.unlink(missing_ok=True)


def make_folder(path: str | os.PathLike, fill: Callable[[Path], object]) -> Path:
    """Make a folder of what `fill` puts into the one it is given, as a whole or, if it raises, not at all.

    One that is there already is left as it is: so its name must say what is in it. What killed writers have left beside it is
    removed.

    Raises:
        WriteError: it cannot be written.
    """
    place = Path(path)
    if place.is_dir():
        return place
    new = _beside(place)
    try:
        _begin(new, place)
        fill(new)
        if hasattr(os, "sync"):  # there may be too many files to flush each
            os.sync()
        try:
            os.rename(new, place)
        except OSError as error:
            if not place.is_dir():  # by another process, meanwhile
                raise WriteError(error, place) from error
        flush(place.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return place


def _beside(place: Path) -> Path:
    """Name a folder beside a place, of this process alone."""
    return place.with_name(f".{this_process().token}.{uuid.uuid4().hex[:8]}")


def _begin(new: Path, place: Path) -> None:
    """Make the folder that will become `place`, and remove what killed writers have left beside it. Raises WriteError."""
    with written(place):
        new.mkdir(parents=True)
    for folder in place.parent.glob(".*-*-*.????????"):
        if is_left_over(folder, folder.name.split(".")[1]):
            shutil.rmtree(folder, ignore_errors=True)


def replace_folder(path: str | os.PathLike, fill: Callable[[Path], object]) -> Path:
    """Put a folder that `fill` makes into the place of another, as a whole or, if it raises, not at all.

    What killed writers have left beside it is removed.

    Raises:
        WriteError: it cannot be written.
    """
    place = Path(os.path.realpath(path))
    new, aside = _beside(place), _beside(place)
    try:
        _begin(new, place)
        fill(new)
        with written(place):
            for file in new.rglob("*"):
                flush(file)
            if place.exists():
                os.rename(place, aside)
            os.rename(new, place)
        flush(place.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if aside.exists() and not place.exists():  # ended between the two renames
            os.rename(aside, place)
        shutil.rmtree(aside, ignore_errors=True)
    return place


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Write a whole file of text, in UTF-8."""
    return write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike, data: bytes) -> Path:
    """Write a whole file."""
    return replace(path, lambda new: new.write_bytes(data), len(data))


def write_json(path: str | os.PathLike, value: object) -> Path:
    """Write a whole JSON file, a list of numbers in one line.

    Raises:
        ValueError: a number is not finite, for which JSON has no word.
    """
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    return write_text(path, NUMBERS.sub(lambda found: "".join(found[0].split()).replace(",", ", "), text))


def as_cell(value: object) -> object:
    """Guard text that a spreadsheet would take for a formula by an apostrophe before it; a reader takes one off again.

    That is text that begins with one of =+-@, also in full width, a tab or a line break, and, so that nothing is lost, with an
    apostrophe. Numbers stay numbers.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def from_cell(text: str) -> str:
    """Take off the apostrophe by which `as_cell`, or a spreadsheet, has guarded a cell's text."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA) else text


def write_csv(path: str | os.PathLike, rows: Iterable[Mapping]) -> Path:
    """Write a whole table, of rows with one set of keys, its cells as `as_cell` does.

    Names that are not UTF-8 are kept as the bytes they are.
    """

    def write(new: Path) -> None:
        with open(new, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            writer, names = csv.writer(file), None
            for row in rows:
                if names is None:
                    names = list(row)
                    writer.writerow(map(as_cell, names))
                if list(row) != names and row.keys() != set(names):
                    raise ValueError(f"A table's rows have one set of keys, {names}, found {list(row)}.")
                writer.writerow([as_cell(row[name]) for name in names])

    return replace(path, write)


def append_line(path: str | os.PathLike, line: str) -> None:
    """Add a line to a journal and flush it to the disk; one that a kill cut off before is ended, not continued.

    Raises:
        WriteError: it cannot be written.
    """
    data = f"\n{line}".encode()
    with written(path, len(data)), open(path, "ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def flush(path: str | os.PathLike) -> None:
    """Have the system put a file, or the list of a folder's files, onto the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # Windows opens no folders, and flushes their lists by itself
        return
    try:
        os.fsync(descriptor)
    except OSError as error:  # as on some network file systems, for folders
        if not os.path.isdir(path):
            raise WriteError(error, path) from error
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def lock(path: str | os.PathLike, wait: bool = True) -> Iterator[None]:
    """Hold a file that no two processes hold at once; the system frees it when the process ends, however it does.

    On systems without `fcntl`, and on file systems without locks, nothing is held and nobody waits.

    Args:
        wait: until it is free.

    Raises:
        BlockingIOError: another process holds it, and `wait` is False.
        OSError: the file cannot be made.
    """
    with open(path, "a") as file:
        _hold(file.fileno(), wait)
        yield


@contextlib.contextmanager
def occupied(path: str | os.PathLike) -> Iterator[None]:
    """Hold a file as `lock` does, with a note of this process in it; it is there only as long as it is held.

    Raises:
        BlockingIOError: another process holds it; the message is its note.
        OSError: the file cannot be made.
    """
    while True:
        file = open(path, "a+", encoding="utf-8")
        try:
            _hold(file.fileno(), wait=False)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                    break
        except BlockingIOError:
            file.seek(0)
            note = file.read()
            file.close()
            raise BlockingIOError(note or "another process") from None
        except BaseException:
            file.close()
            raise
        file.close()  # its holder has removed it meanwhile: there is, or may be, another one
    with file:
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}, begun {time.strftime('%Y-%m-%d %H:%M:%S')}")
            file.flush()
            yield
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)  # while it is held, so that nobody holds what is no longer there


def _hold(descriptor: int, wait: bool) -> None:
    """Lock an open file, where that is possible."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise


@dataclass(frozen=True)
class Process:
    """A process, told from a later one of the same number, from other machines' and from other containers'."""

    host: str
    machine: str
    pid: int
    began: str | None  # by the kernel's clock; None where there is no way to tell

    def as_dict(self) -> dict:
        """Values for JSON; `Process(**values)` reads them."""
        return asdict(self)

    @property
    def token(self) -> str:
        """The process as a part of a file's name; `is_left_over` reads it."""
        machine = hashlib.sha256(self.machine.encode()).hexdigest()[:8]
        return f"{self.pid}-{self.began}-{machine}"

    @property
    def is_alive(self) -> bool | None:
        """Whether it still runs; None if that cannot be seen from here, for it is another machine's."""
        if self.machine != machine_id():
            return None
        if self.began is not None:
            return start_time(self.pid) == self.began
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            return True
        return True


def this_process() -> Process:
    """Identify the process that asks."""
    return Process(platform.node(), machine_id(), os.getpid(), start_time(os.getpid()))


def is_token(text: str) -> bool:
    """Whether a part of a name may be a process's token."""
    return _TOKEN.fullmatch(text) is not None


def is_left_over(path: Path, token: str) -> bool:
    """Whether a process whose token is in the path's name has left it and is dead; one of another machine, after a day."""
    if not (found := _TOKEN.fullmatch(token)):
        return False
    began = None if found[2] == "None" else found[2]
    writer = Process(platform.node(), machine_id(), int(found[1]), began)
    if token == writer.token:
        return not writer.is_alive
    return time.time() - path.lstat().st_mtime > STALE_SECONDS


@functools.cache
def machine_id() -> str:
    """Name this machine, apart from others, from its earlier starts, and from containers with processes of their own."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")
    except OSError:  # no Linux
        return platform.node()


def start_time(pid: int) -> str | None:
    """Read when a process began, by its kernel; None if there is none, or none that still runs, or no way to tell."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else rest[18]
