"""Digests of weights files: what a file must be if somebody has said so, before anything in it is believed.

`NAME.sha256`, beside a file, holds the 64 digits of what was written, as this project and the program `sha256sum` write them.
A file that has the name of one in the catalog has its published digest.
"""

import hashlib
import os
import re
from pathlib import Path

from zoo.files import sha256, write_text
from zoo.weights import catalog
from zoo.weights.formats.tensors import WeightsError

BY_NAME = {entry.file: entry for entry in catalog.ENTRIES}


def note(path: str | os.PathLike) -> Path:
    """Name the file beside another that holds its digest."""
    return Path(f"{os.fspath(path)}.sha256")


def write(path: str | os.PathLike) -> Path:
    """Write a file's digest beside it."""
    return write_text(note(path), sha256(path) + "\n")


def noted(path: str | os.PathLike) -> str | None:
    """Read the digest beside a file; None without one.

    Raises:
        WeightsError: what is there holds none.
    """
    try:
        text = note(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    if digits := first(text):
        return digits
    raise WeightsError(f"has {note(path).name} beside it, which holds no sha256: remove that, or write it again.")


def first(text: str) -> str | None:
    """Find the first sha256 in a text; None if there is none."""
    found = re.search(r"\b[0-9a-f]{64}\b", text.lower())
    return found and found[0]


def agrees(path: str | os.PathLike, published: str) -> tuple[bool, str]:
    """Compare a file with a digest as the catalog writes it: (whether it agrees, the file's own digest)."""
    kind, _, digits = published.partition(":")
    if kind == "md5":
        with open(path, "rb") as file:
            own = hashlib.file_digest(file, "md5").hexdigest()
    else:
        own = sha256(path)
    return own.startswith(digits), own


def check(path: str | os.PathLike) -> None:
    """Compare a file with the digest beside it, or, without one, with that of the catalog's file of the same name.

    Raises:
        WeightsError: it is not the file that the digest was made of; the sentence goes on behind the file's name.
    """
    if digits := noted(path):
        same, own = agrees(path, f"sha256:{digits}")
        if not same:
            raise WeightsError(
                f"is not what was written: its sha256 is {own}, in {note(path).name} beside it stands {digits}: "
                "write it again, or remove that note if you changed the file yourself."
            )
        return
    entry = BY_NAME.get(os.path.basename(path))
    if entry and entry.hash != "none":
        same, own = agrees(path, entry.hash)
        kind, _, published = entry.hash.partition(":")
        if not same:
            raise WeightsError(
                f"is not the file of that name in the catalog ({entry.model}, {entry.tag!r}): its {kind} is {own}, published "
                f"is {published}: fetch it again, or rename it if it is one of your own."
            )
