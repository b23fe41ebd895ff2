"""Bring a file of the catalog to this machine: cached, resumed, verified, safe with many processes at once.

Environment: `ZOO_CACHE` moves the cache folder (default `~/.cache/zoo`); `ZOO_MIRROR`, a folder or an address, is asked
for the file by its name instead of the catalog's address.
"""

import contextlib
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from zoo.files import cache_folder, lock, publish, sha256, write_text
from zoo.progress import Progress
from zoo.weights.catalog import Entry
from zoo.weights.files import WeightsError, open_tensors

CHUNK = 1 << 20


def fetch(entry: Entry) -> Path:
    """Get the path of the entry's verified file: shipped with the package, in the cache, or downloaded now.

    A download goes to `NAME.part` and goes on where it was cut off; only a verified file gets its final name. Beside it
    `NAME.sha256` keeps the digest, against which every later use is checked.

    Raises:
        WeightsError: the file cannot be had, or is not what its hash says; damaged files are removed.
    """
    if "://" not in entry.url:
        return Path(__file__).parent.parent / "pretrained" / entry.url
    target = cache_folder("weights") / entry.file
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(target):
            if not _cached(target, entry):
                _download(entry, target)
    except urllib.error.URLError as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise WeightsError(
            f"{entry.model} weights {entry.tag!r}: no copy in {target} and {_address(entry)} cannot be reached "
            f"({getattr(error, 'reason', error)}): download it elsewhere and put it there, as {target}."
        ) from None
    except PermissionError as error:
        raise WeightsError(f"The cache folder {target.parent} is not writable: set ZOO_CACHE to one that is.") from error
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(
            f"{entry.model} weights {entry.tag!r}: the download of {_address(entry)} broke off ({error}): "
            "the same command goes on where it stopped."
        ) from error
    return target


def is_local(entry: Entry) -> bool:
    """Tell whether `fetch` needs no network: the file is shipped with the package or in the cache."""
    return "://" not in entry.url or (cache_folder("weights") / entry.file).exists()


def _cached(target: Path, entry: Entry) -> bool:
    """Tell whether a good copy is there: one that was downloaded, or one that the user put there by hand."""
    if not target.exists():
        return False
    note = target.with_name(target.name + ".sha256")
    if note.exists():
        if note.read_text().strip() == sha256(target):
            return True
        note.unlink()
        target.unlink()
        return False
    _verify(target, entry)
    with contextlib.suppress(OSError):  # in a read-only cache it is verified every time
        _remember(target)
    return True


def _download(entry: Entry, target: Path) -> None:
    part = target.with_name(target.name + ".part")
    part.open("ab").close()  # a folder that cannot be written is told before anything is asked for
    have = part.stat().st_size
    request = urllib.request.Request(_address(entry), headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        error.close()  # it is the server's answer, with an open connection
        if error.code != 416:  # the part is complete, or longer than the file
            raise
        part.unlink()
        response = urllib.request.urlopen(_address(entry), timeout=30)
        have = 0
    with response:
        # A server, or file://, that does not know ranges sends the whole file again.
        have = have if getattr(response, "status", None) == 206 else 0
        length = int(response.headers.get("Content-Length") or 0)
        with open(part, "ab" if have else "wb") as out, Progress(target.name, have + length, "MB", 1e-6) as progress:
            progress.skip(have)
            while chunk := response.read(CHUNK):
                out.write(chunk)
                progress.advance(len(chunk))
        if length and part.stat().st_size < have + length:
            raise OSError(f"{part.stat().st_size:,} of {have + length:,} bytes came")
    _verify(part, entry)
    publish(part, target)
    _remember(target)


def _verify(path: Path, entry: Entry) -> None:
    """Compare with the published hash; a file that differs is removed, so that no later run trusts it."""
    kind, _, published = entry.hash.partition(":")
    if kind == "none":
        return _verify_kind(path, entry)
    digest = sha256(path) if kind.startswith("sha256") else hashlib.md5(path.read_bytes()).hexdigest()
    if not digest.startswith(published):
        path.unlink()
        raise WeightsError(
            f"{entry.model} weights {entry.tag!r}: the file from {_address(entry)} has the {kind} {digest}, not "
            f"{published}: it was removed; something between here and there sent another file."
        )


def _verify_kind(path: Path, entry: Entry) -> None:
    """See at least that a file without a published hash is weights, and no page that asks for a login."""
    try:
        with open_tensors(path):
            pass
    except WeightsError:
        path.unlink()
        raise WeightsError(
            f"{entry.model} weights {entry.tag!r}: the file from {_address(entry)} holds no weights: it was removed; "
            "something between here and there sent another file."
        ) from None


def _remember(target: Path) -> None:
    write_text(target.with_name(target.name + ".sha256"), sha256(target) + "\n")


def _address(entry: Entry) -> str:
    mirror = os.environ.get("ZOO_MIRROR")
    if not mirror:
        return entry.url
    if "://" not in mirror:
        mirror = Path(mirror).absolute().as_uri()
    return f"{mirror.rstrip('/')}/{entry.file}"


@contextlib.contextmanager
def _one_at_a_time(target: Path) -> Iterator[None]:
    """Let one process download and the others wait; in a read-only cache nothing is downloaded, so nobody need wait."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(lock(target.with_name(target.name + ".lock")))
        yield
