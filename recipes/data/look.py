"""All that can be found about the pictures of a source without a network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recipes.data.copies import Copies
from recipes.data.decoding import Decoded
from recipes.data.differences import Described, differences, small_classes
from recipes.data.findings import Finding
from recipes.data.images import Framing
from recipes.data.quality import remarks
from recipes.data.sources.listing import File, Listing
from recipes.errors import shown

# As the network that is chosen where none is named sees pictures: what is read here is read for it, too.
FRAMING = Framing(224, 256, 3, "bicubic")


@dataclass(frozen=True)
class Look:
    """What was found about a source.

    Args:
        files: those that are pictures.
        groups: of near-duplicates, one a file; "" for one that has none.
        sizes: width and height of each file's picture, upright, `(files, 2)`.
        findings: on files, and on classes and parts.
    """

    files: tuple[File, ...]
    groups: tuple[str, ...]
    sizes: np.ndarray
    findings: tuple[Finding, ...]


def look(listing: Listing, decoded: Decoded) -> Look:
    """Look at all that was read of a listing; what a person wants to keep as it is, is not remarked on."""
    files, keys, copies = _copies(listing, decoded)
    numbers = decoded.appearances.numbers(keys)
    sizes = numbers[:, :2].astype("int32")
    findings = [
        *(Finding("unreadable", path, reason, action="leave out") for path, reason in listing.left_out),
        *(Finding("unreadable", file.path, reason, action="leave out") for file, reason in decoded.problems),
        *copies.findings(),
        *_odd(files, numbers),
        *(Finding("content", file.path, note) for file, note in zip(files, decoded.notes(files), strict=True) if note),
        *_of_classes(files, sizes, decoded.appearances.cameras(keys)),
        *(Finding("source", "", sentence) for sentence in (*listing.findings, *decoded.findings)),
    ]
    chosen = [finding for finding in findings if finding.path not in listing.kept]
    return Look(tuple(files), tuple(copies.groups()), sizes, tuple(chosen))


def near_groups(listing: Listing, decoded: Decoded) -> dict[File, str]:
    """Name the group of near-duplicates of each picture; "" for one that has none."""
    files, _, copies = _copies(listing, decoded)
    return dict(zip(files, copies.groups(), strict=True))


def _copies(listing: Listing, decoded: Decoded) -> tuple[list[File], list[str], Copies]:
    """List the pictures of a listing, with the keys of what was read, and look for copies among them."""
    files = [file for file in listing.files if file in decoded.digests]
    keys = [decoded.keys[file] for file in files]
    return files, keys, Copies(files, keys, decoded.appearances, listing.kept)


def _odd(files: Sequence[File], numbers: np.ndarray) -> Iterator[Finding]:
    """Say what is odd about single pictures."""
    for remark in remarks(numbers):
        yield Finding(remark.kind, files[remark.picture].path, remark.reason, action="leave out")


def _of_classes(files: Sequence[File], sizes: np.ndarray, cameras: Sequence[str]) -> Iterator[Finding]:
    """Say which classes are small, and what gives classes and parts away; of pictures with one label each."""
    described = [
        Described(file.label, file.split, *size, camera)
        for file, size, camera in zip(files, sizes.tolist(), cameras, strict=True)
        if isinstance(file.label, str)
    ]
    for label, count in small_classes(described).items():
        yield Finding("small class", "", f"{shown(label)} has {count:,} to train on")
    for difference in differences(described):
        yield Finding("difference", "", difference.sentence)
