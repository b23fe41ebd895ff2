"""All pictures of a listing decoded once, into the cache: those of more than 8 bits in one range for the whole folder."""

import contextlib
import itertools
import os
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from recipes.data.appearances import Appearances
from recipes.data.contents import Contents
from recipes.data.depth import FLOAT, INTEGER, Depth, smallest_range
from recipes.data.images import DECODER_VERSION, Examined, Framing, examine, measure
from recipes.data.sources.listing import File, Listing
from recipes.data.store import Rows, Store
from recipes.errors import ImageError, UserError, shown
from zoo.files import cache_folder
from zoo.progress import Progress

SHARD_IMAGES = 256
KINDS = (INTEGER, FLOAT)
# Between the largest values of two classes: a step from one range to the next is about 4.
MAX_RATIO = 3

# Called with the digests of files that have been decoded, and their pixels.
Announce = Callable[[Sequence[str], Rows], None]


@dataclass(frozen=True)
class Decoded:
    """What is known of a listing's files: the digest of each that is a picture, and why the others are none.

    The framing has the ranges of the folder; `findings` say them.
    """

    framing: Framing
    digests: dict[File, str]
    problems: list[tuple[File, str]]
    findings: list[str]
    keys: dict[File, str]  # in the store of pixels
    store: Store
    appearances: Appearances

    def rows(self, files: Sequence[File]) -> Rows:
        """Find the pixels of some files."""
        return self.store.rows([self.keys[file] for file in files])

    def note(self, file: File) -> str:
        """Say what the user should know of a picture; "" if there is nothing."""
        return self.store.texts.get(self.keys[file], "")


@contextlib.contextmanager
def quiet_threads() -> Iterator[ThreadPoolExecutor]:
    """Give two threads a core, with Pillow's warnings about odd metadata, which become findings, off the screen."""
    with warnings.catch_warnings(), ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")
        yield pool


def in_threads(function: Callable, items: Sequence) -> Iterator:
    """Map in `quiet_threads`."""
    with quiet_threads() as pool:
        yield from pool.map(function, items)


def decode_all(
    folder: Listing,
    framing: Framing,
    needs_pixels: bool = True,
    has_ranges: bool = False,
    announce: Announce | None = None,
) -> Decoded:
    """Decode what no earlier run has decoded.

    Args:
        needs_pixels: whether pixels will be read; if not, those that are kept are not looked at, which takes longest.
        has_ranges: whether the framing is a finished run's, whose ranges hold for these pictures, too.
        announce: told of pictures of 8 bits, shard by shard, until a shard holds one with more: that changes the framing.

    Raises:
        UserError: the values of deep pictures are on no scale, or the cache cannot be written or has too little room.
    """
    kind = f"v{DECODER_VERSION}-{framing.size}-{framing.resize}-{framing.channels}-{framing.interpolation}"
    pixels = Store(cache_folder("pixels") / kind, (framing.resize, framing.resize, framing.channels), "uint8")
    depths, appearances = Store(cache_folder("depths") / f"v{DECODER_VERSION}", (2,), "float64"), Appearances()
    pixels.require_room(len(folder.files))
    digests: dict[File, str] = {}
    problems: list[tuple[File, str]] = []

    def is_known(digest: str) -> bool:
        has_pixels = digest in pixels if needs_pixels else pixels.lists(digest)
        return (has_pixels and digest in appearances) or digest in depths

    def look(digest: str, data: bytes) -> Depth | Examined | None:
        return None if is_known(digest) else measure(data) or examine(data, framing)

    contents, is_plain = Contents(folder.root), True
    for shard in _in_shards(contents, folder.files, look, "reading", is_known):
        problems += [(file, str(found)) for file, _, found in shard if isinstance(found, ImageError)]
        digests |= {file: digest for file, digest, found in shard if not isinstance(found, ImageError)}
        _add_pixels(pixels, appearances, {digest: found for _, digest, found in shard if isinstance(found, Examined)})
        _add_depths(depths, {digest: found for _, digest, found in shard if isinstance(found, Depth)})
        is_plain = is_plain and _announced(shard, pixels, appearances, announce)
    deep = _depths(depths, {file: digest for file, digest in digests.items() if digest not in appearances})
    ranges, findings = ({}, []) if has_ranges else _ranges(folder, deep)
    framing = replace(framing, **ranges)
    keys = digests | {file: f"{digests[file]} 0 to {framing.ranges[found.kind]}" for file, found in deep.items()}
    new = [file for file in deep if not is_known(keys[file])]
    contents.save()
    for shard in _in_shards(contents, new, lambda _, data: examine(data, framing), "reading more than 8 bits"):
        gone = {file: str(found) for file, _, found in shard if isinstance(found, ImageError)}  # it has changed since
        problems += gone.items()
        digests = {file: digest for file, digest in digests.items() if file not in gone}
        _add_pixels(pixels, appearances, {keys[file]: found for file, _, found in shard if isinstance(found, Examined)})
    return Decoded(framing, digests, problems, findings + _warned(digests, deep), keys, pixels, appearances)


def _in_shards(
    contents: Contents,
    files: Sequence[File],
    work: Callable[[str, bytes], object],
    what: str,
    is_known: Callable[[str], bool] = lambda digest: False,
) -> Iterator[list[tuple[File, str, object]]]:
    """Read files, and yield in shards each one's digest and what `work(digest, data)` returns, or the ImageError.

    A file that has not changed since an earlier command read it is not read again if its digest `is_known`: it gives None.
    """

    def read(file: File) -> tuple[File, str, object]:
        digest = ""
        try:
            data, digest = contents.read(file.path)
            return file, digest, work(digest, data)
        except ImageError as error:
            return file, digest, error

    def known(file: File) -> tuple[File, str, object] | None:
        digest = contents.digest(file.path)
        return (file, digest, None) if digest and is_known(digest) else None

    if not files:
        return
    with Progress(what, len(files), "images") as progress:
        for start in range(0, len(files), SHARD_IMAGES):
            those = files[start : start + SHARD_IMAGES]
            found = {file: known(file) for file in those}
            progress.advance(sum(item is not None for item in found.values()))
            for item in in_threads(read, [file for file in those if found[file] is None]):
                found[item[0]] = item
                progress.advance()
            yield [found[file] for file in those]


def _announced(
    shard: Sequence[tuple[File, str, object]], pixels: Store, appearances: Appearances, announce: Announce | None
) -> bool:
    """Tell of a shard's pictures, unless one has more than 8 bits; returns whether none has."""
    read = [digest for _, digest, found in shard if not isinstance(found, ImageError)]
    is_plain = all(digest in appearances for digest in read)
    if announce and is_plain and read:
        announce(read, pixels.rows(read))
    return is_plain


def _add_pixels(store: Store, appearances: Appearances, examined: Mapping[str, Examined]) -> None:
    """Keep pictures, their notes, and what they look like."""
    if examined:
        found = examined.values()
        store.add(list(examined), [one.pixels for one in found], ["; ".join(one.notes) for one in found])
        appearances.add(examined)


def _add_depths(store: Store, depths: Mapping[str, Depth]) -> None:
    """Keep what deep pictures hold, as pairs of the kind's number and the largest value."""
    if depths:
        store.add(list(depths), np.array([(KINDS.index(depth.kind), depth.high) for depth in depths.values()]))


def _depths(store: Store, digests: Mapping[File, str]) -> dict[File, Depth]:
    """Find what deep pictures hold."""
    rows = store.rows(list(digests.values()))[:] if digests else ()
    return {file: Depth(KINDS[int(kind)], float(high)) for file, (kind, high) in zip(digests, rows, strict=True)}


def _ranges(folder: Listing, deep: Mapping[File, Depth]) -> tuple[dict[str, int], list[str]]:
    """Choose the range of each kind of values in the folder, as fields of a framing, and say it.

    Raises:
        UserError: they are on no scale.
    """
    ranges, findings = {}, []
    for kind in KINDS:
        those = {file: depth for file, depth in deep.items() if depth.kind == kind}
        if not those:
            continue
        file = max(those, key=lambda file: those[file].high)
        try:
            top = smallest_range(those[file])
        except ImageError as error:
            raise UserError(
                f"The largest values of {len(those):,} pictures with more than 8 bits in {shown(folder.root)} are on no scale: "
                f"{shown(file.path)} {error}, and the others alike."
            ) from error
        ranges[f"{kind}_range"] = top
        findings.append(
            f"Pictures of {kind}s with more than 8 bits: {len(those):,}, with values up to {those[file].high:g}: read as 0 to "
            f"{top}, here and in predictions."
        )
    return ranges, findings


def _warned(files: Iterable[File], deep: Mapping[File, Depth]) -> list[str]:
    """Warn of what tells classes apart."""
    found = _what_tells_classes_apart(files, deep)
    for finding in found:
        print(f"warning: {finding}", file=sys.stderr)
    return found


def _what_tells_classes_apart(files: Iterable[File], deep: Mapping[File, Depth]) -> list[str]:
    """Find whether the way in which pictures were stored gives their classes away."""
    kinds, highs = defaultdict(set), defaultdict(dict)
    for file in files:
        depth = deep.get(file)
        for label in [file.label] if isinstance(file.label, str) else file.label:
            kinds[label].add(depth.kind if depth else "8 bits")
            if depth:
                highs[depth.kind][label] = max(depth.high, highs[depth.kind].get(label, 0))
    findings = []
    if any(one.isdisjoint(other) for one, other in itertools.combinations(kinds.values(), 2)):
        stored = ", ".join(f"{shown(label)} ({' and '.join(sorted(kinds[label]))})" for label in sorted(kinds)[:5])
        findings.append(
            f"Classes are stored with different kinds of values, {stored}: what recorded them may tell them apart, not what "
            "they show."
        )
    for kind, by_label in highs.items():
        low, high = min(by_label, key=by_label.get), max(by_label, key=by_label.get)
        if MAX_RATIO * by_label[low] <= by_label[high]:
            findings.append(
                f"Values of class {shown(low)} reach {by_label[low]:g}, those of {shown(high)} {by_label[high]:g}, read in one "
                f"range: unless one shows so much darker things, they were recorded differently: convert the {kind}s alike."
            )
    return findings
