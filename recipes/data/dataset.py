"""From a listing to a `Dataset`, ready to train on: decoded once, divided, with all that was found on the way."""

import sys
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from recipes.console import quantity
from recipes.data import notes, split
from recipes.data.decoding import Announce, Decoded, decode_all
from recipes.data.division import Division, divide, leaking, missing_parts, told
from recipes.data.findings import grouped
from recipes.data.images import Framing, center
from recipes.data.look import FRAMING, look, near_groups
from recipes.data.sources.listing import File, Listing
from recipes.data.store import Rows
from recipes.errors import shown, some
from recipes.evaluation.tasks import MULTI_CLASS, Task

HELD_OUT_SHARE = 0.25
MAX_REASONS = 20
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
    kept: frozenset[str] = frozenset()  # as `Listing` has it

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


def prepare(
    folder: Listing,
    framing: Framing,
    validation: float,
    test: float,
    seed: int,
    keep_leaks: bool = False,
    announce: Announce | None = None,
) -> Dataset:
    """Decode and divide what a source has listed; unreadable pictures are left out, named and counted.

    Args:
        validation: share of a class's pictures to split off, where the listing has no such part.
        test: the same.
        keep_leaks: keep pictures of which an earlier part of the listing holds a copy; they are left out otherwise.
        announce: as `decode_all` takes it.

    Raises:
        UserError: a class has too few pictures, or the cache cannot be written or has too little room.
    """
    decoded = decode_all(folder, framing, announce=announce)
    digests = decoded.digests
    left_out = [*folder.left_out, *((file.path, reason) for file, reason in decoded.problems)]
    warn_of_left_out(folder.root, left_out)
    seen = look(folder, decoded)
    near = dict(zip(seen.files, seen.groups, strict=True))
    division = divide(folder, digests, near, validation, test, keep_leaks)
    left_out += [(file.path, leaking(file, first, digests)) for file, first in division.leaks.items()]
    findings = [*folder.findings, *decoded.findings, *grouped(f for f in seen.findings if f.kind not in SAID_OTHERWISE)]
    if keep_leaks and (kept := [f"{f.path} {f.reason}" for f in seen.findings if f.kind in LEAKS]):
        findings.append(f"Measured although they lie in two parts, so that results on them say nothing: {some(kept, 2)}.")
    findings += [*told(division, digests), *division.findings]
    findings += notes.grouped(zip((file.path for file in division.files), decoded.notes(division.files), strict=True))
    return _undivided(folder, decoded, division, left_out, findings).divided(seed)


def _undivided(
    folder: Listing, decoded: Decoded, division: Division, left_out: list[tuple[str, str]], findings: list[str]
) -> Dataset:
    """Put together what was decoded, in the parts that the source gives."""
    files, weights = division.files, np.array([file.weight for file in division.files])
    return Dataset(
        folder.root,
        folder.classes,
        [file.path for file in files],
        folder.task.encode([file.label for file in files], folder.classes),
        np.array(division.given),
        division.digests,
        decoded.rows(files),
        decoded.framing,
        left_out,
        findings,
        division.given,
        division.shares,
        folder.task,
        {digest: note for digest, note in zip(division.digests, decoded.notes(files), strict=True) if note},
        folder.corrections,
        division.groups,
        weights if np.ptp(weights) else None,
        folder.kept,
    )


def training_files(folder: Listing, validation: float, test: float, seed: int, keep_leaks: bool = False) -> list[File]:
    """List the files that `prepare` would train on; none is read at another size than `zoo check` reads them.

    Raises:
        UserError: as `prepare` does.
    """
    divided, shares = missing_parts([file.split for file in folder.files], validation, test)
    if not shares:  # what can be read among them is left to who reads them
        return [file for file, part in zip(folder.files, divided, strict=True) if part == "train"]
    decoded = decode_all(folder, FRAMING, needs_pixels=False)
    division = divide(folder, decoded.digests, near_groups(folder, decoded), validation, test, keep_leaks)
    strata = folder.task.strata(folder.task.encode([file.label for file in division.files], folder.classes))
    splits = split.assign(strata, division.digests, division.given, division.shares, seed, division.groups)
    return [file for file, part in zip(division.files, splits, strict=True) if part == "train"]


def warn_of_left_out(root: Path, left_out: list[tuple[str, str]], table: str = "files.csv") -> None:
    """Print which files are left out, those for one reason in one line; `table` is the file that names all, "" for none."""
    where = f", see {table}" if table else ""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for path, reason in left_out:
        by_reason.setdefault(notes.NUMBER.sub("#", reason), []).append((path, reason))
    for those in list(by_reason.values())[:MAX_REASONS]:
        (path, reason), more = those[0], len(those) - 1
        others = f", and so {'is' if more == 1 else 'are'} {quantity(more, 'more file')}{where}" if more else ""
        print(f"warning: {shown(root / path)} {reason}: left out{others}.", file=sys.stderr)
    if len(by_reason) > MAX_REASONS:
        print(f"warning: and others for other reasons{where}.", file=sys.stderr)
