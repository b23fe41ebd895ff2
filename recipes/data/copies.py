"""Copies and near-duplicates among the pictures of a source: in one class, under different labels, in different parts."""

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from recipes.data.appearances import Appearances
from recipes.data.duplicates import DUPLICATES_VERSION, Found, Pair, grouped, near_duplicates
from recipes.data.findings import Finding
from recipes.data.sources.listing import PARTS, File
from recipes.errors import shown
from zoo.disk import WriteError
from zoo.files import cache_folder, replace


def near_pairs(keys: Sequence[str], appearances: Appearances) -> Found:
    """Find the pairs of near-duplicates among pictures with these keys, each another; kept by their content."""
    order = np.argsort(keys)
    content = hashlib.sha256("\n".join([f"v{DUPLICATES_VERSION}", *(keys[i] for i in order)]).encode()).hexdigest()[:24]
    file = cache_folder("duplicates") / f"{content}.npy"
    try:
        usual, *rows = np.load(file)
        found = Found([Pair(int(i), int(j), float(x), bool(m)) for i, j, x, m in rows], int(usual[0]))
    except (OSError, ValueError):  # not there, or damaged
        found = near_duplicates(appearances.thumbnails([keys[i] for i in order]))
        rows = [(found.usual, 0, 0, 0), *((pair.first, pair.second, pair.likeness, pair.mirrored) for pair in found.pairs)]
        table = np.array(rows, "float64")
        with contextlib.suppress(OSError, WriteError):  # then it is computed again
            file.parent.mkdir(parents=True, exist_ok=True)
            replace(file, lambda new: np.save(new, table), table.nbytes, is_durable=False)
    pairs = [Pair(*sorted((int(order[p.first]), int(order[p.second]))), p.likeness, p.mirrored) for p in found.pairs]
    return Found(pairs, found.usual)


class Copies:
    """Which files are copies of one another, to the byte or nearly.

    Args:
        files: those that are pictures.
        keys: of each file's content.
        appearances: what they look like.
        kept: paths of pictures of which a person has said that they are no near-duplicates.
    """

    def __init__(self, files: Sequence[File], keys: Sequence[str], appearances: Appearances, kept: Collection[str] = ()):
        self._files, self._keys = files, list(dict.fromkeys(keys))
        self._by_key: dict[str, list[File]] = defaultdict(list)
        for file, key in zip(files, keys, strict=True):
            self._by_key[key].append(file)
        for those in self._by_key.values():
            those.sort(key=_order)
        kept_keys = {key for file, key in zip(files, keys, strict=True) if file.path in kept}
        found = near_pairs(self._keys, appearances)
        self._usual = found.usual
        self._pairs = [pair for pair in found.pairs if kept_keys.isdisjoint((self._keys[pair.first], self._keys[pair.second]))]
        self._of = dict(zip(files, keys, strict=True))

    def groups(self) -> list[str]:
        """Name the group of near-duplicates of each file, by the content of one of them; "" where there is no other."""
        first = grouped(self._pairs, len(self._keys))
        sizes = np.bincount(first, minlength=len(first))
        names = {key: self._keys[group] if sizes[group] > 1 else "" for key, group in zip(self._keys, first, strict=True)}
        return [names[self._of[file]] for file in self._files]

    def findings(self) -> Iterator[Finding]:
        """Say of each file but the first of its copies what it is a copy of; of the earlier part, if parts differ."""
        for those in self._by_key.values():
            for file in those[1:]:
                yield from _found(file, [those[0]], "", "is a copy of")
        partners: dict[tuple[str, File], list[tuple[float, File]]] = defaultdict(list)
        for pair in self._pairs:
            first, second = sorted((self._by_key[self._keys[i]][0] for i in (pair.first, pair.second)), key=_order)
            for kind in _kinds(first, second):
                partners[kind, second].append((pair.likeness, first))
        for (kind, file), found in partners.items():
            others = [other for _, other in sorted(found, key=lambda one: (-one[0], one[1].path))]
            yield from _found(file, others, "near ", "is nearly", only=kind)
        if self._usual:
            yield Finding("alike", "", _alike(self._usual))


def _order(file: File) -> tuple[int, str]:
    """Give what files are ordered by: the part, training first, and the path."""
    return PARTS.index(file.split), file.path


def _kinds(first: File, second: File) -> list[str]:
    """Say what a copy of another file is: a leak, under another label, both, or only a copy."""
    kinds = ["leak"] if first.split and second.split and first.split != second.split else []
    kinds += ["conflict"] if first.label != second.label else []
    return kinds or ["copy"]


def _found(file: File, others: Sequence[File], near: str, words: str, only: str = "") -> Iterator[Finding]:
    """Make the findings on a file that is a copy of others, the likeliest of which comes first."""
    first = others[0]
    more = f" and {len(others) - 1:,} more" if others[1:] else ""
    for kind in [only] if only else _kinds(first, file):
        where = {"leak": f", of {first.split}", "conflict": f", which is labelled {_label(first)}", "copy": ""}[kind]
        action, to = ("group", first.path) if near and kind == "copy" else ("leave out", "")
        reason = f"{words} {shown(first.path)}{more}{where}"
        yield Finding(f"{near}{kind}", file.path, reason, tuple(other.path for other in others), action, to)


def _alike(pairs: int) -> str:
    """Say that some pictures may be near-duplicates, and cannot be told from those that are alike by chance."""
    many = f"{pairs:,} pairs of pictures look" if pairs > 1 else "1 pair of pictures looks"
    return (
        f"{many} nearly the same, but no more so than pictures of this folder do by chance: near-duplicates cannot be told "
        "from others there, and none is taken for one. If there are bursts or videos, name them with --groups."
    )


def _label(file: File) -> str:
    """Write a file's label."""
    return shown(file.label) if isinstance(file.label, str) else shown("; ".join(file.label)) or "without one"
