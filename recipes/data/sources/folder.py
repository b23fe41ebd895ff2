"""Pictures in one folder per class: what there is, by name and kind only; no picture is opened here.

    ROOT/class/picture                      or      ROOT/train/class/picture
                                                    ROOT/val/class/picture        (also: valid, validation)
                                                    ROOT/test/class/picture

Everything that is ignored, merged or skipped is said: in `findings` as sentences, in `left_out` file by file.
"""

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from recipes.data.sources.listing import SPLITS, File, Listing
from recipes.errors import UserError, shown

SYSTEM_NAMES = ("__macosx", "thumbs.db", "desktop.ini")
LAYOUT_HINT = "put one folder per class into it, or train/ (and val/, test/) with one folder per class"

Identity = tuple[int, int]  # device and inode: the same for everything that is the same file or folder


@dataclass
class _Walk:
    """What is collected on the way through the folders; paths are relative to the root."""

    root: str
    places: dict[Identity, str]  # root, split and class folders: a link to one of them is not followed
    left_out: list[tuple[str, str]] = field(default_factory=list)
    ignored: int = 0
    repeated: int = 0
    links: list[str] = field(default_factory=list)  # links to folders that were followed
    skipped: list[str] = field(default_factory=list)  # folders that had been reached before
    nested: Counter[str] = field(default_factory=Counter)  # files in subfolders, by class


def scan_folder(root: str | os.PathLike) -> Listing:
    """List the pictures below `root`.

    Raises:
        UserError: nothing can be learnt from what is there.
    """
    root = Path(root)
    walk = _Walk(os.fspath(root), {_identity_of_root(root): "."})
    folders, strays = _entries_or_refuse(walk, "")
    parts = _split_folders(walk, folders)
    if parts:
        walk.left_out += [(path, "lies outside the class folders") for path in strays]
        walk.places |= {folders[path]: path for path in parts.values()}
        listings = {split: _entries_or_refuse(walk, path) for split, path in parts.items()}
    else:
        parts, listings = {"": ""}, {"": (folders, strays)}
    labels = {split: _class_folders(walk, parts[split], *listing) for split, listing in listings.items()}
    classes = tuple(sorted(next(iter(labels.values()))))
    findings = _check_classes(walk, parts, labels)
    files = [
        File(path, label, split)
        for split in labels
        for label, folder in sorted(labels[split].items())
        for path in _files_of_class(walk, label, folder)
    ]
    return Listing(root, classes, tuple(files), tuple(walk.left_out), (*findings, *_summary(walk)))


def _identity_of_root(root: Path) -> Identity:
    """Identify the root. Raises UserError if it is no folder that can be opened."""
    try:
        status = os.stat(root)
    except FileNotFoundError:
        raise UserError(f"{shown(root)} does not exist: give a folder of images.") from None
    except OSError as error:
        raise UserError(f"{shown(root)} cannot be opened ({error.strerror}): give a folder.") from error
    if not stat.S_ISDIR(status.st_mode):
        raise UserError(f"{shown(root)} is not a folder: give a folder of images (unpack an archive).")
    return status.st_dev, status.st_ino


def _entries(walk: _Walk, folder: str) -> tuple[dict[str, Identity], dict[str, Identity]]:
    """List the (folders, regular readable files) of a folder, links followed, sorted by path. Raises OSError."""
    folders, files = {}, {}
    with os.scandir(os.path.join(walk.root, folder)) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.name.startswith(".") or entry.name.lower() in SYSTEM_NAMES:
            walk.ignored += 1
            continue
        try:
            status = os.stat(entry.path)
        except OSError as error:
            dangling = isinstance(error, FileNotFoundError) and entry.is_symlink()
            reason = "is a link to what does not exist" if dangling else f"cannot be read ({error.strerror})"
            walk.left_out.append((path, reason))
            continue
        if stat.S_ISDIR(status.st_mode):
            folders[path] = status.st_dev, status.st_ino
            if entry.is_symlink():
                walk.links.append(path)
        elif not stat.S_ISREG(status.st_mode):
            walk.left_out.append((path, "is not a regular file but a pipe, socket or device"))
        elif not os.access(entry.path, os.R_OK):
            walk.left_out.append((path, "cannot be read (Permission denied)"))
        else:
            files[path] = status.st_dev, status.st_ino
    return folders, files


def _entries_or_refuse(walk: _Walk, folder: str) -> tuple[dict[str, Identity], dict[str, Identity]]:
    """List a folder's entries as `_entries` does. Raises UserError if it cannot be read."""
    try:
        return _entries(walk, folder)
    except OSError as error:
        raise UserError(
            f"The folder {_place(walk, folder)} cannot be read ({error.strerror}): correct its permissions or take it away."
        ) from error


def _place(walk: _Walk, path: str) -> str:
    """Write a path below the root in full, printable."""
    return shown(os.path.join(walk.root, path) if path else walk.root)


def _split_folders(walk: _Walk, folders: dict[str, Identity]) -> dict[str, str]:
    """Find {"train": its folder, ...}, train first; {} where `folders` are classes. Raises UserError for a mixture."""
    found: dict[str, str] = {}
    for path in folders:
        split = SPLITS.get(path.lower())
        if split in found:
            both = _some((found[split], path))
            raise UserError(f"{_place(walk, '')} has two folders for {split}, {both}: keep one.")
        if split:
            found[split] = path
    others = [path for path in folders if path.lower() not in SPLITS]
    if found and others:
        raise UserError(
            f"{_place(walk, '')} mixes splits ({_some(found.values())}) with others ({_some(others)}): "
            "move the others away, or rename a class that is called like a split."
        )
    if found and "train" not in found:
        raise UserError(f"{_place(walk, '')} has {_some(found.values())} but no train/: {LAYOUT_HINT}.")
    if len({folders[path] for path in found.values()}) < len(found):
        raise UserError(
            f"In {_place(walk, '')} two of {_some(found.values())} are links to the same folder: "
            "pictures of two splits must be different ones; remove a link."
        )
    return {split: found[split] for split in ("train", "validation", "test") if split in found}


def _class_folders(walk: _Walk, parent: str, folders: dict[str, Identity], strays: Iterable[str]) -> dict[str, str]:
    """Find {class: its folder}. Raises UserError for a folder without class folders."""
    labels = {}
    for path, identity in folders.items():
        place = walk.places.setdefault(identity, path)
        if place == path:
            labels[path.rpartition("/")[2]] = path
        elif place in (".", parent):
            walk.skipped.append(path)
        else:
            raise UserError(
                f"{_place(walk, path)} and {_place(walk, place)} are one and the same folder (a link): "
                "pictures of two classes or two splits must be different ones; remove the link."
            )
    strays = list(strays)
    if not labels and strays:
        raise UserError(f"In {_place(walk, parent)} the images are not in class folders: {LAYOUT_HINT}.")
    if not labels:
        raise UserError(f"{_place(walk, parent)} is empty: {LAYOUT_HINT}.")
    walk.left_out += [(path, "lies outside the class folders") for path in strays]
    return labels


def _check_classes(walk: _Walk, parts: dict[str, str], labels: dict[str, dict[str, str]]) -> list[str]:
    """Compare the classes of all splits; gives findings. Raises UserError for a single or an unknown class."""
    (first, known), *others = labels.items()
    if len(known) < 2:
        only = next(iter(known.values()))
        raise UserError(
            f"{_place(walk, parts[first])} holds one class folder only, {shown(only)}: two are the "
            f"least that can be told apart. If the class folders lie deeper, give {_place(walk, only)}."
        )
    findings = []
    for split, found in others:
        missing, extra = sorted(known.keys() - found.keys()), sorted(found.keys() - known.keys())
        if extra:
            lacks = f" (and lacks {_some(missing)})" if missing else ""
            alike = {_plain(name) for name in extra} & {_plain(name) for name in known}
            hint = " Some names differ only by case or by the Unicode form of an accent." if alike else ""
            raise UserError(
                f"{_place(walk, parts[split])} holds classes that {parts[first]}/ does not have: "
                f"{_some(extra)}{lacks}. Make the class folders the same.{hint}"
            )
        if missing:
            findings.append(f"{parts[split]}/ has no pictures of some classes: {_some(missing)}.")
    alike = {}
    for name in sorted(known):
        alike.setdefault(_plain(name), []).append(name)
    for names in alike.values():
        if len(names) > 1:
            findings.append(f"Classes {_some(map(ascii, names))} differ only by case or Unicode form.")
    return findings


def _plain(name: str) -> str:
    """Write a name without what tells apart only case and Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _files_of_class(walk: _Walk, label: str, folder: str) -> list[str]:
    """List the files below a class folder, sorted, each once. Raises UserError if there is none."""
    seen_folders: set[Identity] = set()
    seen_files: set[Identity] = set()
    found, pending, left_out = [], [folder], len(walk.left_out)
    while pending:
        here = pending.pop()
        try:
            folders, files = _entries(walk, here) if here != folder else _entries_or_refuse(walk, here)
        except OSError as error:
            walk.left_out.append((here, f"is a folder that cannot be read ({error.strerror})"))
            continue
        for path, identity in files.items():
            if identity in seen_files:
                walk.repeated += 1
            else:
                seen_files.add(identity)
                found.append(path)
                walk.nested[label] += here != folder
        for path, identity in folders.items():
            if identity in walk.places or identity in seen_folders:
                walk.skipped.append(path)
            else:
                seen_folders.add(identity)
                pending.append(path)
    if not found:
        why = "; ".join(f"{shown(path)} {reason}" for path, reason in walk.left_out[left_out:][:3])
        raise UserError(
            f"The class folder {_place(walk, folder)} holds no usable file{f' ({why})' if why else ''}: fill it or remove it."
        )
    return sorted(found)


def _summary(walk: _Walk) -> list[str]:
    """Say in sentences what the walk ignored, merged or skipped."""
    findings = []
    if walk.ignored:
        findings.append(
            f"Hidden or system files and folders, ignored: {walk.ignored} "
            "(names that begin with a dot, __MACOSX, Thumbs.db, desktop.ini)."
        )
    nested = [f"{label} ({count})" for label, count in walk.nested.items() if count]
    if nested:
        findings.append(f"Files in subfolders, counted with their class folder: {_some(nested)}.")
    if walk.links:
        findings.append(f"Links to folders: {_some(walk.links)}.")
    if walk.skipped:
        findings.append(f"Folders reached before by another way, skipped: {_some(walk.skipped)}.")
    if walk.repeated:
        findings.append(f"Links to files that their class already holds, skipped: {walk.repeated}.")
    return findings


def _some(names: Iterable[str]) -> str:
    """Write at most five names, printable, and the number of the others."""
    names = [shown(name) for name in names]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
