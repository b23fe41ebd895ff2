"""Bring a file of the catalog to this machine: cached, resumed, verified, safe with many processes at once.

Environment: `ZOO_CACHE` moves the cache folder (default `~/.cache/zoo`); `ZOO_MIRROR`, a folder or an address, is asked
for the file by its name instead of the catalog's address.
"""

import contextlib
import http.client
import os
import sys
import urllib.error
from collections.abc import Iterator, Mapping
from pathlib import Path

from zoo.files import lock, publish, sha256
from zoo.weights import digests, packages
from zoo.weights.catalog import Entry
from zoo.weights.downloading import answer, receive
from zoo.weights.files import open_tensors
from zoo.weights.formats.tensors import WeightsError
from zoo.weights.places import place

# A file that nobody states the size of has at most so many bytes for a parameter, and these besides.
MAX_PARAMETER_BYTES = 16
MAX_OTHER_BYTES = 64 << 20
MAX_NOTE_BYTES = 1000

# Licences that limit what weights may be used for, and where they can be read: said before a file is fetched.
LIMITING = {
    "CC-BY-NC-4.0": "https://creativecommons.org/licenses/by-nc/4.0",
    "DINOv3-License": "https://ai.meta.com/resources/models-and-libraries/dinov3-license",
}


def fetch(entry: Entry) -> Path:
    """Get the path of the entry's verified file: of an installed package, in the cache, or downloaded now.

    A download goes to `NAME.part` and goes on where it was cut off; only a verified file gets its final name. Beside it
    `NAME.sha256` keeps the digest, against which every later use and every later download is checked. A licence that limits
    what the weights may be used for is said on standard error before they are asked for.

    Raises:
        WeightsError: the file cannot be had, or is not what its hash says; damaged files are removed.
    """
    if entry.package:
        return packages.find(entry)
    target = place(entry)
    if "://" not in entry.url:
        return target  # compared with the catalog when it is opened
    try:
        _make(target.parent)
        with _one_at_a_time(target):
            if not _cached(target, entry):
                _download(entry, target)
    except urllib.error.URLError as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise WeightsError(
            f"{entry.model} weights {entry.tag!r}: no copy in {target} and {_address(entry)} cannot be reached "
            f"({getattr(error, 'reason', error)}): download it elsewhere and put it there, as {target}; "
            f"{packages.instead(entry)}."
        ) from None
    except PermissionError as error:
        raise _unwritable(target.parent) from error
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(
            f"{entry.model} weights {entry.tag!r}: the download of {_address(entry)} broke off ({error}): "
            "the same command goes on where it stopped."
        ) from error
    return target


def _make(folder: Path) -> None:
    """Make the cache folder. Raises WeightsError where there can be none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except PermissionError as error:
        raise _unwritable(folder) from error
    except OSError as error:
        raise WeightsError(f"The cache folder {folder} cannot be made ({error.strerror}): set ZOO_CACHE to another.") from error


def _unwritable(folder: Path) -> WeightsError:
    return WeightsError(f"The cache folder {folder} is not writable: set ZOO_CACHE to one that is.")


def _cached(target: Path, entry: Entry) -> bool:
    """Tell whether a good copy is there: one that was downloaded, or one that the user put there by hand."""
    if not target.exists():
        return False
    pinned, own = _pinned(target), sha256(target)
    kind, _, published = entry.hash.partition(":")
    if pinned and own != (published if kind == "sha256" else pinned):
        target.unlink()
        return False
    if not pinned:
        _verify(target, entry, _claims(entry, target, None))
    if pinned != own:
        with contextlib.suppress(OSError):  # in a read-only cache it is verified every time
            digests.write(target)
    return True


def _pinned(target: Path) -> str | None:
    """Read the digest of the first download; None if there was none, or it cannot be read."""
    try:
        return digests.noted(target)
    except WeightsError:
        return None


def _claims(entry: Entry, target: Path, stated: str | None) -> dict[str, str]:
    """Collect what the file must be: who says so, and the digest, written as the catalog writes it."""
    if entry.hash.startswith("sha256:"):
        found = {"its publisher": stated}
    else:
        found = {
            "its publisher": stated or (_of_mirror(entry) if entry.hash == "none" else None),
            f"{digests.note(target)} of the first download": _pinned(target),
        }
    claims = {who: f"sha256:{digits}" for who, digits in found.items() if digits}
    return claims if entry.hash == "none" else {"the catalog": entry.hash} | claims


def _download(entry: Entry, target: Path) -> None:
    part = target.with_name(target.name + ".part")
    try:
        part.open("ab").close()  # a folder that cannot be written is told before anything is asked for
    except OSError as error:  # no PermissionError on a file system that is mounted to be read
        raise _unwritable(target.parent) from error
    if entry.license in LIMITING:
        said = f"the licence {entry.license} limits what they may be used for: {LIMITING[entry.license]}"
        print(f"{entry.model} weights {entry.tag!r}: {said}", file=sys.stderr, flush=True)
    most = MAX_PARAMETER_BYTES * entry.parameters + MAX_OTHER_BYTES
    with answer(_address(entry), part.stat().st_size) as (response, stated, start):
        claims = _claims(entry, target, stated.sha256)
        if len({claim for claim in claims.values() if claim.startswith("sha256:")}) > 1:
            part.unlink()
            listed = ", ".join(f"{who} has {claim}" for who, claim in claims.items())
            raise _refusal(entry, f"was changed ({listed}): it was not read; what is out of date must be removed first.")
        try:
            receive(response, part, start, stated.size, most, target.name)
        except WeightsError as error:
            raise _refusal(entry, f"{error}: it was not kept; something between here and there sent another file.") from None
    _verify(part, entry, claims)
    publish(part, target)
    digests.write(target)


def _of_mirror(entry: Entry) -> str | None:
    """Read the digest that another machine's cache, which is this one's mirror, has beside its file."""
    if not os.environ.get("ZOO_MIRROR"):
        return None
    try:
        with answer(f"{_address(entry)}.sha256", 0) as (response, _, _):
            return digests.first(response.read(MAX_NOTE_BYTES).decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException):
        return None


def _verify(path: Path, entry: Entry, claims: Mapping[str, str]) -> None:
    """Compare with all that is known; a file that differs is removed, so that no later run trusts it."""
    for who, claim in claims.items():
        same, own = digests.agrees(path, claim)
        if not same:
            path.unlink()
            kind, _, digits = claim.partition(":")
            raise _refusal(
                entry,
                f"has the {kind} {own}, not {digits} as {who} has it: it was removed; something between here and there sent "
                "another file.",
            )
    if not claims:
        _verify_kind(path, entry)


def _verify_kind(path: Path, entry: Entry) -> None:
    """See at least that a file without any digest is weights, and no page that asks for a login."""
    try:
        with open_tensors(path):
            pass
    except WeightsError:
        path.unlink()
        raise _refusal(entry, "holds no weights: it was removed; something between here and there sent another file.") from None


def _refusal(entry: Entry, what: str) -> WeightsError:
    return WeightsError(f"{entry.model} weights {entry.tag!r}: the file from {_address(entry)} {what}")


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
