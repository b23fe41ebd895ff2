"""Pictures on which a finished run is measured: of its classes, seen as it sees them, and none that it was trained on."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from recipes.data import notes
from recipes.data.copies import near_pairs
from recipes.data.dataset import Dataset, warn_of_left_out
from recipes.data.decoding import Decoded, decode_all
from recipes.data.findings import grouped
from recipes.data.images import Framing
from recipes.data.look import look
from recipes.data.sources.listing import File, Listing, plain
from recipes.data.split import united
from recipes.errors import UserError, shown, some
from recipes.evaluation.tasks import Task

TEST, VALIDATION, TRAIN = "test", "validation", "train"
# All parts of DATA together.
EVERYTHING = "evaluated"
PARTS = {"test": TEST, "val": VALIDATION, "train": TRAIN, "all": EVERYTHING}
# What is said of these would be about learning from the pictures.
OF_LEARNING = {"unreadable", "source", "content", "small class", "part", "difference", "leak", "near leak"}
TRAINED_ON = "the run was trained on it"


def prepare(
    listing: Listing,
    classes: Sequence[str],
    task: Task,
    framing: Framing,
    split: str | None,
    trained: Mapping[str, str] | None,
    keep_trained: bool,
) -> Dataset:
    """Choose, check and decode the pictures to measure; what cannot be read is left out, named and counted.

    Args:
        listing: with the run's classes first, see `recipes.data.sources.chosen.listed`.
        classes: the run's, in the order of its outputs.
        framing: the run's.
        split: a key of PARTS; None: test, or validation, or all.
        trained: the part of the run that each picture was in, by its digest; None where nobody knows.
        keep_trained: measure pictures that the run was trained on, too.

    Raises:
        UserError: there is no such part, a picture has no class of the run, or none is left.
    """
    if not listing.files:
        raise UserError(f"{shown(listing.root)} holds no picture in its class folders: give one that does.")
    part, files = _chosen(listing, split)
    listing = replace(listing, files=tuple(_labelled(file, task, listing) for file in files), classes=tuple(classes), task=task)
    _check_classes(listing, classes)
    decoded = decode_all(listing, framing, has_ranges=True)
    digests = decoded.digests
    left_out = [*listing.left_out, *((file.path, reason) for file, reason in decoded.problems)]
    learnt = set() if keep_trained else {digest for digest, part in (trained or {}).items() if part == TRAIN}
    seen = {file: None for file in digests if digests[file] in learnt}
    left_out += [(file.path, TRAINED_ON) for file in seen]
    warn_of_left_out(listing.root, [one for one in left_out if one[1] != TRAINED_ON])
    kept = [file for file in digests if file not in seen]
    if not kept:
        raise UserError(_nothing_left(listing, len(seen)))
    findings = [
        *_said(listing, decoded),
        *_known_pictures(kept, len(seen), digests, trained, keep_trained),
        *_nearly_known(kept, decoded, trained or {}),
    ]
    return _dataset(listing, decoded, kept, part, left_out, findings)


def _dataset(
    listing: Listing, decoded: Decoded, files: list[File], part: str, left_out: list[tuple[str, str]], findings: list[str]
) -> Dataset:
    """Put together what was decoded."""
    weights, digests = np.array([file.weight for file in files]), [decoded.digests[file] for file in files]
    has_groups, said = any(file.group for file in files), decoded.notes(files)
    return Dataset(
        root=listing.root,
        classes=listing.classes,
        paths=[file.path for file in files],
        labels=listing.task.encode([file.label for file in files], listing.classes),
        splits=np.array([part] * len(files)),
        digests=digests,
        pixels=decoded.rows(files),
        framing=decoded.framing,
        left_out=left_out,
        findings=[*findings, *notes.grouped((file.path, note) for file, note in zip(files, said, strict=True))],
        task=listing.task,
        notes={digest: note for digest, note in zip(digests, said, strict=True) if note},
        corrections=listing.corrections,
        groups=united(digests, [file.group for file in files]) if has_groups else None,
        weights=weights if np.ptp(weights) else None,
        kept=listing.kept,
    )


def _chosen(listing: Listing, split: str | None) -> tuple[str, list[File]]:
    """Choose a part, and its files: pictures of which the source names no part are a test. Raises UserError for none."""
    counts = Counter(file.split or TEST for file in listing.files)
    if split:
        part = PARTS[split]
    else:
        part = next((name for name in (TEST, VALIDATION) if counts[name]), EVERYTHING)
    chosen = [file for file in listing.files if part in (EVERYTHING, file.split or TEST)]
    if not chosen:
        there = some(f"{name} ({counts[PARTS[name]]:,} pictures)" for name in PARTS if counts[PARTS[name]])
        raise UserError(f"--split {split}: {shown(listing.root)} has no such part, but {there}: choose one of these.")
    return part, chosen


def _labelled(file: File, task: Task, listing: Listing) -> File:
    """Write a file's label as the run's task takes it. Raises UserError where that cannot be."""
    if not task.one_label:
        return replace(file, label=(file.label,)) if isinstance(file.label, str) else file
    if isinstance(file.label, str):
        return file
    if len(file.label) != 1:
        found = f"{len(file.label)} labels ({some(file.label)})" if file.label else "no label"
        raise UserError(
            f"{shown(listing.root)} gives {shown(file.path)} {found}, and the run tells classes apart that exclude each other: "
            "give each picture one, or measure a run that was trained with any number of labels."
        )
    return replace(file, label=file.label[0])


def _check_classes(listing: Listing, classes: Sequence[str]) -> None:
    """Refuse pictures of classes that the run does not have, with a UserError that names them."""
    counts = Counter(name for file in listing.files for name in ([file.label] if isinstance(file.label, str) else file.label))
    foreign = {name: count for name, count in sorted(counts.items()) if name not in classes}
    if not foreign:
        return
    known = {plain(name): name for name in classes}
    pairs = [(name, known[near[0]]) for name in foreign if (near := get_close_matches(plain(name), known, 1, 0.8))]
    hint = f" Is {shown(pairs[0][0])} what it calls {shown(pairs[0][1])}?" if pairs else ""
    named = some(f"{name} ({count:,})" for name, count in foreign.items())
    raise UserError(
        f"{shown(listing.root)} holds pictures of classes that the run does not have: {named}. It has {some(classes, 10)}, and "
        "cannot be right about others: name them as it does, or leave them out (take the folders away, or --corrections)."
        f"{hint}"
    )


def _nothing_left(listing: Listing, trained: int) -> str:
    """Say why there is nothing to measure."""
    if trained:
        return (
            f"Each of the {trained:,} pictures that could be read was trained on, so that nothing would be measured: give "
            "others, or --keep-trained."
        )
    return f"{shown(listing.root)} holds no picture that can be read."


def _said(listing: Listing, decoded: Decoded) -> list[str]:
    """Say what the source and the pictures show, as far as it is about measuring."""
    seen = look(listing, decoded)
    return [*listing.findings, *decoded.findings, *grouped(one for one in seen.findings if one.kind not in OF_LEARNING)]


def _known_pictures(
    files: Sequence[File], left_out: int, digests: Mapping[File, str], trained: Mapping[str, str] | None, keep_trained: bool
) -> list[str]:
    """Say how many of the pictures the run has seen before."""
    if trained is None:
        print("warning: the run has no files.csv that says what it was trained on: none is left out for that.", file=sys.stderr)
        return ["Which pictures the run was trained on is not known: its files.csv does not say it."]
    parts = Counter(trained.get(digests[file], "") for file in files)
    sentences = []
    if left_out:
        sentences.append(f"Pictures that the run was trained on, left out (--keep-trained keeps them): {left_out:,}.")
    if keep_trained and parts[TRAIN]:
        sentences.append(f"Measured although the run was trained on them, so that they say nothing: {parts[TRAIN]:,} pictures.")
    if parts[VALIDATION] or parts[TEST]:
        held = ", ".join(f"{parts[name]:,} of {name}" for name in (VALIDATION, TEST) if parts[name])
        sentences.append(f"Pictures that the run itself has held out, and measured: {held}.")
    return sentences


def _nearly_known(files: Sequence[File], decoded: Decoded, trained: Mapping[str, str]) -> list[str]:
    """Say which pictures are nearly ones that the run was trained on, as far as it is still known what those look like.

    They are measured: what the cache holds must not change a number.
    """
    learnt = [digest for digest, part in trained.items() if part == TRAIN]
    ours = dict.fromkeys(decoded.keys[file] for file in files)
    kept = decoded.appearances.has(learnt)
    known = [digest for digest, is_kept in zip(learnt, kept, strict=True) if is_kept and digest not in ours]
    if not known:
        return []
    keys = [*ours, *known]
    pairs = ((pair.first, pair.second) for pair in near_pairs(keys, decoded.appearances).pairs)
    near = {keys[min(pair)] for pair in pairs if min(pair) < len(ours) <= max(pair)}
    named = [file.path for file in files if decoded.keys[file] in near]
    if not named:
        return []
    among = "" if len(known) == len(learnt) else f", of which {len(known):,} of {len(learnt):,} could be compared"
    return [
        f"Pictures that are nearly ones that the run was trained on{among}: {len(named):,}, measured all the same "
        f"({some(named, 2)}): the accuracy on new ones may be lower."
    ]
