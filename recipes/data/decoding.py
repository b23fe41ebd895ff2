"""All pictures of a listing decoded once, into the cache: those of more than 8 bits in one range for the whole folder."""

import contextlib
import itertools
import sys
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from recipes.compute.machine import cores
from recipes.compute.pipeline import batched
from recipes.data.appearances import Appearances
from recipes.data.contents import Contents
from recipes.data.depth import FLOAT, INTEGER, RANGES, Depth, smallest_range
from recipes.data.images import DECODER_VERSION, Examined, Framing, examine, measure
from recipes.data.sources.listing import File, Listing
from recipes.data.store import KEY_BYTES, Rows, Store
from recipes.errors import ImageError, UserError, shown
from zoo.files import cache_folder
from zoo.progress import Progress

# Kept at once, while the next as many are decoded: no more than a pass has work for before it begins.
SHARD_IMAGES = 128
# What is known of files is saved when so many are new, and at least as many as all before.
SAVED_FILES = 4_096
KINDS = (INTEGER, FLOAT)
# Two thumbnails, five numbers, keys in three lists, and what is remembered of the file.
BYTES_BESIDE_PIXELS = 2_048 + 40 + 3 * KEY_BYTES + 80
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

    def notes(self, files: Sequence[File]) -> list[str]:
        """Say what the user should know of some pictures; "" of one if there is nothing."""
        return self.store.texts([self.keys[file] for file in files])


@contextlib.contextmanager
def quiet_threads() -> Iterator[ThreadPoolExecutor]:
    """Give a thread for each core, with Pillow's warnings about odd metadata, which become findings, off the screen.

    With two for each, decoding takes half as long again: they wait for each other where Python runs one at a time.
    """
    pool = ThreadPoolExecutor(cores())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


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
    pixels, contents, is_plain = _pixels(framing), Contents(folder.root), True
    depths, appearances = Store(cache_folder("depths") / f"v{DECODER_VERSION}", (2,), "float64"), Appearances()
    _require_room(folder, contents, pixels)
    digests: dict[File, str] = {}
    problems: list[tuple[File, str]] = []

    def are_known(keys: Sequence[str]) -> np.ndarray:
        has_pixels = pixels.has(keys) if needs_pixels else pixels.lists(keys)
        return (has_pixels & appearances.has(keys)) | depths.has(keys)

    def look(digest: str, data: bytes) -> Depth | Examined | None:
        return None if are_known([digest])[0] else measure(data) or examine(data, framing)

    for shard in _in_shards(contents, folder.files, look, "reading", are_known):
        problems += [(file, str(found)) for file, _, found in shard if isinstance(found, ImageError)]
        digests |= {file: digest for file, digest, found in shard if not isinstance(found, ImageError)}
        _add_pixels(pixels, appearances, {digest: found for _, digest, found in shard if isinstance(found, Examined)})
        _add_depths(depths, {digest: found for _, digest, found in shard if isinstance(found, Depth)})
        is_plain = is_plain and _announced(shard, pixels, appearances, announce)
        contents.save(at_least=max(SAVED_FILES, len(contents)))  # what is killed after hours has not read for nothing
    deep = _depths(depths, digests, appearances)
    ranges, findings = ({}, []) if has_ranges else _ranges(folder, deep)
    framing = replace(framing, **ranges)
    in_ranges = {file: _in_range(digests[file], framing.ranges[found.kind]) for file, found in deep.items()}
    keys = digests | in_ranges if deep else digests
    new = [file for file in deep if not are_known([keys[file]])[0]]
    contents.save()
    for shard in _in_shards(contents, new, lambda _, data: examine(data, framing), "reading more than 8 bits"):
        gone = {file: str(found) for file, _, found in shard if isinstance(found, ImageError)}  # it has changed since
        problems += gone.items()
        digests = {file: digest for file, digest in digests.items() if file not in gone}
        _add_pixels(pixels, appearances, {keys[file]: found for file, _, found in shard if isinstance(found, Examined)})
    return Decoded(framing, digests, problems, findings + _warned(digests, deep), keys, pixels, appearances)


def kept(folder: Listing, framing: Framing) -> list[str]:
    """List the digests of the files that an earlier command has decoded, as far as they have not changed. Raises UserError."""
    return _kept(folder, Contents(folder.root), _pixels(framing))


def bytes_a_picture(framing: Framing) -> int:
    """Compute what a picture takes in the cache: pixels, thumbnails, numbers and names."""
    return framing.resize**2 * framing.channels + BYTES_BESIDE_PIXELS


def _pixels(framing: Framing) -> Store:
    """Open the place of decoded pictures in the cache. Raises UserError where that cannot be written."""
    kind = f"v{DECODER_VERSION}-{framing.size}-{framing.resize}-{framing.channels}-{framing.interpolation}"
    return Store(cache_folder("pixels") / kind, (framing.resize, framing.resize, framing.channels), "uint8")


def _kept(folder: Listing, contents: Contents, pixels: Store) -> list[str]:
    """List the digests of unchanged files whose pixels are kept, in whichever range."""
    known = [digest for file in folder.files if (digest := contents.digest(file.path))]
    listed = pixels.lists(known)
    for top in RANGES:
        listed = listed | pixels.lists([_in_range(digest, top) for digest in known])
    return list(itertools.compress(known, listed))


def _require_room(folder: Listing, contents: Contents, pixels: Store) -> None:
    """Make sure that the pixels that are not kept fit on the disk. Raises UserError if they do not."""
    if not pixels.has_room(len(folder.files)):
        pixels.require_room(len(folder.files) - len(_kept(folder, contents, pixels)))


def _in_range(digest: str, top: int | None) -> str:
    """Name the pixels of a picture with more than 8 bits that was read in a range."""
    return f"{digest} 0 to {top}"


def _in_shards(
    contents: Contents,
    files: Sequence[File],
    work: Callable[[str, bytes], object],
    what: str,
    are_known: Callable[[Sequence[str]], np.ndarray] = lambda digests: np.zeros(len(digests), bool),
) -> Iterator[list[tuple[File, str, object]]]:
    """Read files, and yield in shards each one's digest and what `work(digest, data)` returns, or the ImageError.

    One that has not changed since an earlier command read it gives None, unread, if `are_known` says that its digest is.
    """

    def read(file: File) -> tuple[File, str, object]:
        digest = ""
        try:
            data, digest = contents.read(file.path)
            return file, digest, work(digest, data)
        except ImageError as error:
            return file, digest, error

    if not files:
        return

    def begin(those: Sequence[File], pool: ThreadPoolExecutor) -> list[Future]:
        unchanged = {file: digest for file in those if (digest := contents.digest(file.path))}
        known = dict(itertools.compress(unchanged.items(), are_known(list(unchanged.values()))))
        return [_done((file, known[file], None)) if file in known else pool.submit(read, file) for file in those]

    def end(shard: list[Future]) -> Iterator[tuple[File, str, object]]:
        for future in shard:
            yield future.result()
            progress.advance()

    with Progress(what, len(files), "images") as progress, quiet_threads() as pool:
        begun = deque[list[Future]]()
        for those in batched(files, SHARD_IMAGES):
            begun.append(begin(those, pool))
            if len(begun) > 1:
                yield list(end(begun.popleft()))
        yield list(end(begun.popleft()))


def _done(result: object) -> Future:
    """Make a future of what is known."""
    future: Future = Future()
    future.set_result(result)
    return future


def _announced(
    shard: Sequence[tuple[File, str, object]], pixels: Store, appearances: Appearances, announce: Announce | None
) -> bool:
    """Tell of a shard's pictures, unless one has more than 8 bits; returns whether none has."""
    read = [digest for _, digest, found in shard if not isinstance(found, ImageError)]
    is_plain = bool(appearances.has(read).all())
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


def _depths(store: Store, digests: Mapping[File, str], appearances: Appearances) -> dict[File, Depth]:
    """Find what deep pictures hold: those of which nobody knows what they look like without it."""
    are_deep = ~appearances.has(list(digests.values()))
    deep = dict(itertools.compress(digests.items(), are_deep))
    rows = store.rows(list(deep.values()))[:] if deep else ()
    return {file: Depth(KINDS[int(kind)], float(high)) for file, (kind, high) in zip(deep, rows, strict=True)}


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
