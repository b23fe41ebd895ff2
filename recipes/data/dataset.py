"""From a listing to a `Dataset`, ready to train on: decoded once, divided, with all that was found on the way."""

import contextlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from recipes.data import notes, split
from recipes.data.check.findings import grouped
from recipes.data.check.look import look
from recipes.data.contents import Contents
from recipes.data.decoding import decode_all, in_threads
from recipes.data.images import Framing, center
from recipes.data.sources.listing import File, Listing
from recipes.data.store import Rows
from recipes.errors import ImageError, UserError, shown
from recipes.evaluation.tasks import MULTI_CLASS, Task

SPLITS = ("train", "validation", "test")
HELD_OUT_SHARE = 0.25
# Kinds of findings: what is left out is listed by itself, and notes that differ in a number alone are one.
LEAKS = {"leak", "near leak"}
SAID_OTHERWISE = LEAKS | {"unreadable", "content", "source"}


@dataclass(frozen=True)
class Dataset:
    """Pictures that can be used, one entry each in `paths`, `labels`, `splits`, `digests` and `pixels`."""

    root: Path
    classes: tuple[str, ...]
    paths: list[str]
    labels: np.ndarray  # `(images,)` or `(images, classes)`, as `task` encodes them
    splits: np.ndarray  # `(images,)`, of "train", "validation" and "test"
    digests: list[str]  # SHA-256 of the files
    pixels: Rows  # `(images, resize, resize, channels)`, uint8
    framing: Framing
    left_out: list[tuple[str, str]]  # (path, reason)
    findings: list[str]
    source_splits: list[str] = field(default_factory=list, repr=False)  # of each file; "" where the source names none
    split_shares: dict[str, float] = field(default_factory=dict)  # to hold out, by split
    task: Task = MULTI_CLASS
    notes: dict[str, str] = field(default_factory=dict, repr=False)  # on the content of files, by digest
    corrections: dict | None = None  # as `Listing` has it
    groups: list[str] | None = None  # names of what is never divided, copies as well; None: nothing but copies
    weights: np.ndarray | None = None  # `(images,)`, how much each counts; None: all the same

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each picture, by its path."""
        return {path: i for i, path in enumerate(self.paths)}

    def picture(self, path: str) -> np.ndarray | None:
        """Cut a picture as evaluation sees it, `(height, width, channels)`, uint8; None for a path that is none of these."""
        place = self.places.get(path)
        return None if place is None else center(self.pixels[[place]], self.framing)[0]

    def part(self, name: str) -> np.ndarray:
        """Find the indices of a split's pictures, `(pictures,)`."""
        return np.flatnonzero(self.splits == name)

    def counts(self, name: str) -> dict[str, int]:
        """Count a split's pictures in each class."""
        return dict(zip(self.classes, self.task.count(self.labels[self.part(name)], len(self.classes)), strict=True))

    def divided(self, seed: int) -> "Dataset":
        """Draw the parts that are split off by another seed, of the same pictures."""
        strata = self.task.strata(self.labels)
        splits = split.assign(strata, self.digests, self.source_splits, self.split_shares, seed, self.groups)
        return replace(self, splits=np.array(splits))

    def groups_of(self, images: np.ndarray) -> np.ndarray | None:
        """Take the groups of some pictures, `(pictures,)`; None if there are none."""
        return None if self.groups is None else np.array(self.groups)[images]

    def weights_of(self, images: np.ndarray) -> np.ndarray | None:
        """Take the weights of some pictures, `(pictures,)`, 1 on average; None where all count the same."""
        if self.weights is None or not len(images):
            return None
        return self.weights[images] / self.weights[images].mean()

    def inner(self, seed: int, name: str = "validation") -> "Dataset":
        """Take the training part alone, and hold a quarter of it out under that name: for choosing inside it.

        Copies of a picture, and groups, stay together; of two that a class has, none is held out.
        """
        train = self.part("train")
        digests, strata = [self.digests[i] for i in train], self.task.strata(self.labels[train])
        shares = {name: HELD_OUT_SHARE}
        return self.training(np.array(split.assign(strata, digests, [""] * len(train), shares, seed, self.groups_of(train))))

    def training(self, splits: np.ndarray) -> "Dataset":
        """Take the training part alone, divided anew: `splits` says how, `(training pictures,)`."""
        train = self.part("train")
        return replace(
            self,
            labels=self.labels[train],
            digests=[self.digests[i] for i in train],
            splits=splits,
            paths=[self.paths[i] for i in train],
            pixels=self.pixels.take(train),
            groups=None if self.groups is None else [self.groups[i] for i in train],
            weights=None if self.weights is None else self.weights[train],
        )


def prepare(folder: Listing, framing: Framing, validation: float, test: float, seed: int, keep_leaks: bool = False) -> Dataset:
    """Decode and divide what a source has listed; unreadable pictures are left out, named and counted.

    Args:
        validation: share of a class's pictures to split off, where the listing has no such part.
        test: the same.
        keep_leaks: keep pictures of which an earlier part of the listing holds a copy; they are left out otherwise.

    Raises:
        UserError: a class has too few pictures, or the cache cannot be written or has too little room.
    """
    decoded = decode_all(folder, framing)
    digests = decoded.digests
    left_out = [*folder.left_out, *((file.path, reason) for file, reason in decoded.problems)]
    _warn(folder.root, left_out)
    seen = look(folder, decoded)
    near = dict(zip(seen.files, seen.groups, strict=True))
    files = list(seen.files)
    leaks = _leaks(folder.root, files, [file.path if keep_leaks else digests[file] for file in files], near)
    left_out += [(file.path, _leaking(file, first, digests)) for file, first in leaks.items()]
    files = [file for file in files if file not in leaks]
    keys = [digests[file] for file in files]
    groups = _units(files, keys, near)
    if not any(file.group for file in files) and len(set(groups)) == len(set(keys)):
        groups = None  # nothing is left but copies
    labels, paths = [file.label for file in files], [file.path for file in files]
    divided, fractions = _missing_parts([file.split for file in files], validation, test)
    _check_counts(folder, files, keys, divided, fractions)
    if groups:
        _check_counts(folder, files, groups, divided, fractions, "groups")
    weights = np.array([file.weight for file in files])
    findings = [*folder.findings, *decoded.findings]
    told = SAID_OTHERWISE - (LEAKS if keep_leaks else set())
    findings += [*grouped(f for f in seen.findings if f.kind not in told), *_said(leaks, files)]
    findings += notes.grouped((file.path, decoded.note(file)) for file in files)
    undivided = Dataset(
        folder.root,
        folder.classes,
        paths,
        folder.task.encode(labels, folder.classes),
        np.array(divided),
        keys,
        decoded.rows(files),
        decoded.framing,
        left_out,
        findings,
        divided,
        fractions,
        folder.task,
        {digests[file]: note for file in files if (note := decoded.note(file))},
        folder.corrections,
        groups,
        weights if np.ptp(weights) else None,
    )
    return undivided.divided(seed)


def _units(files: Sequence[File], keys: Sequence[str], near: Mapping[File, str]) -> list[str]:
    """Name what is never divided, one a file: what the source groups, copies, and near-duplicates."""
    return split.united(split.united(keys, [file.group for file in files]), [near[file] for file in files])


def _leaks(root: Path, files: Sequence[File], keys: Sequence[str], near: Mapping[File, str]) -> dict[File, File]:
    """Find {leaking file: one in an earlier part that it is a copy of, nearly, or of the same group}.

    Raises:
        UserError: a part holds nothing else.
    """
    given = [file.split for file in files]
    units = _units(files, keys, near)
    found = {files[i]: files[first] for i, first in split.leaks(given, units).items()}
    for part in set(given) - {file.split for file in files if file not in found}:
        grouped = any(file.group for file in files)
        kind = "a copy of one in an earlier part, or of its group" if grouped else "a copy of one in an earlier part"
        keep = "correct the groups" if grouped else "give --keep-leaks"
        raise UserError(
            f"Each of the {given.count(part)} pictures that {shown(root)} gives for {part} is {kind}, so that nothing would be "
            f"measured: give other pictures, take the part away, or {keep}."
        )
    return found


def _leaking(file: File, first: File, digests: Mapping[File, str]) -> str:
    """Say why a picture of a part is left out."""
    if digests[file] == digests[first]:
        return f"is a copy of {shown(first.path)}, of another part"
    if not file.group or file.group != first.group:
        return f"is nearly {shown(first.path)}, of another part"
    return f"is of the group {shown(file.group)}, as is {shown(first.path)}, of another part"


def _said(leaks: Mapping[File, File], kept: Sequence[File]) -> list[str]:
    """Say which pictures are left out because an earlier part holds them, and which classes a part has lost by that."""
    if not leaks:
        return []
    left = {(file.split, file.label) for file in kept}
    lost = sorted(
        {f"{shown(f.label)} in {f.split}" for f in leaks if isinstance(f.label, str) and (f.split, f.label) not in left}
    )
    counts = Counter(file.split for file in leaks)
    parts = ", ".join(f"{counts[part]} of {part}" for part in SPLITS if counts[part])
    pairs = [f"{shown(file.path)} = {shown(first.path)}" for file, first in list(leaks.items())[:3]]
    kind = "a copy, left out of what is measured (--keep-leaks keeps them)"
    if any(file.group for file in leaks):
        kind = "a copy, or others of their group, left out of what is measured"
    return [
        f"Pictures of which an earlier part holds {kind}: {parts} "
        f"({'; '.join(pairs)}{'; ...' if len(leaks) > 3 else ''})."
        + (f" No other picture is there of: {', '.join(lost)}." if lost else "")
    ]


def training_files(folder: Listing, validation: float, test: float, seed: int) -> list[File]:
    """List the files that `prepare` would train on, if all are whole; none is decoded."""
    divided, fractions = _missing_parts([file.split for file in folder.files], validation, test)
    if not fractions:
        return [file for file, part in zip(folder.files, divided, strict=True) if part == "train"]

    contents = Contents(folder.root)

    def digest(file: File) -> str:
        with contextlib.suppress(ImageError):
            return contents.digest(file.path) or contents.read(file.path)[1]
        return ""

    digests = list(in_threads(digest, folder.files))
    contents.save()
    names = [digest or file.path for file, digest in zip(folder.files, digests, strict=True)]
    units = split.united(names, [file.group for file in folder.files])
    leaks = split.leaks([file.split if digest else "" for file, digest in zip(folder.files, digests, strict=True)], units)
    known = [row for i, row in enumerate(zip(folder.files, digests, divided, units, strict=True)) if row[1] and i not in leaks]
    files, digests, divided, units = map(list, zip(*known, strict=True))
    splits = split.assign([file.label for file in files], digests, divided, fractions, seed, units)
    return [file for file, part in zip(files, splits, strict=True) if part == "train"]


def _missing_parts(given: list[str], validation: float, test: float) -> tuple[list[str], dict[str, float]]:
    """Say which files are still to be divided, "" in the list, and which share goes into which part.

    A folder with val/ and no test/ keeps all of train/ to train on: val/ is then what the run reports.
    """
    there = set(given)
    fractions = {}
    if "validation" not in there:
        fractions["validation"] = validation
        if "test" not in there:
            fractions["test"] = test
    fractions = {name: share for name, share in fractions.items() if share}
    return ["" if part in ("", "train") and fractions else part or "train" for part in given], fractions


def _check_counts(
    folder: Listing,
    files: list[File],
    keys: list[str],
    divided: list[str],
    fractions: dict[str, float],
    what: str = "pictures",
) -> None:
    """Refuse a class with too few different pictures, or groups, and a folder without any, with a UserError."""
    pictures: dict[str, set[str]] = {label: set() for label in folder.classes}
    for file, key, part in zip(files, keys, divided, strict=True):
        if part in ("", "train"):
            for label in [file.label] if isinstance(file.label, str) else file.label:
                pictures[label].add(key)
    split.check_counts({label: len(keys) for label, keys in pictures.items()}, split.minimum(fractions), folder.root, what)
    if not files:
        raise UserError(f"{shown(folder.root)} holds no readable picture.")


def _warn(root: Path, left_out: list[tuple[str, str]]) -> None:
    """Print the first files that are left out, and the number of the others."""
    for path, reason in left_out[:20]:
        print(f"warning: {shown(root / path)} {reason}: left out.", file=sys.stderr)
    if len(left_out) > 20:
        print(f"warning: {len(left_out) - 20} more files were left out, see files.csv.", file=sys.stderr)
