"""Pictures in one folder per class: what there is, by name and kind only; no picture is decoded here.

    ROOT/class/picture                      or      ROOT/train/class/picture
                                                    ROOT/val/class/picture
                                                    ROOT/test/class/picture

Parts may have other usual names, such as Training and Testing or seg_train and seg_test (`levels.part_of`). Everything that is
ignored, merged or skipped is said: in `findings` as sentences, in `left_out` file by file.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from recipes.data.sources.levels import CERTAIN, LAYOUT_HINT, base, check_level, find_parts, part_of, unwrapped
from recipes.data.sources.listing import OUTSIDE, File, Listing, plain
from recipes.data.sources.walk import Walk
from recipes.errors import UserError, shown, some
from recipes.evaluation.tasks import MULTI_LABEL

# A folder whose name is so like a class's is meant as one; `difflib` measures it.
ALIKE = 0.8


def scan_folder(root: str | os.PathLike, known: Collection[str] = ()) -> Listing:
    """List the pictures below `root`.

    Args:
        known: classes of a finished run that is to be measured, for which any of them, and any part, is enough.

    Raises:
        UserError: nothing can be learnt from what is there; or measured by it.
    """
    walk = Walk(os.fspath(root))
    named = find_parts(walk, walk.foreign_folders(""), known)
    parts, findings = _class_parents(walk, named) if named else ({"": ""}, [])
    labels = {split: _class_folders(walk, split, folder, known) for split, folder in parts.items()}
    first = next(iter(parts))
    if not set(labels[first]) <= set(known):
        check_level(walk, parts[first], labels[first])
    if not known:
        findings += _check_classes(walk, parts, labels)
    files = [
        File(path, label, split)
        for split in labels
        for label, folder in sorted(labels[split].items())
        for path in _files_of_class(walk, folder, is_needed=not known)
    ]
    findings += _merged(files, labels)
    classes = sorted({label for found in labels.values() for label in found} if known else labels[first])
    return Listing(Path(root), tuple(classes), tuple(files), tuple(walk.left_out), (*findings, *walk.summary()))


def scan_unlabelled(root: str | os.PathLike, labels: Collection[str] = ()) -> Listing | None:
    """List the pictures of a folder without class folders: nobody says what they show. None if there are some, or nothing.

    Args:
        labels: what class folders would be called, two at least; folders of no such name say nothing, such as those of a
            camera. Without them, any folder is taken for a class's.

    Raises:
        UserError: the folder cannot be read.
    """
    walk = Walk(os.fspath(root))
    folders = walk.foreign_folders("")
    if folders and (len(labels) < 2 or any(part_of(base(path)) for path in folders)):
        return None
    paths = walk.files_below("")
    names = {name for path in paths for name in path.split("/")[:-1]}
    if not paths or any(name in labels or get_close_matches(name, labels, 1, ALIKE) for name in names):
        return None
    finding = f"{shown(root)} holds no class folders: its pictures are looked at without labels."
    files = tuple(File(path, (), "") for path in paths)
    return Listing(Path(root), (), files, tuple(walk.left_out), (finding, *walk.summary()), MULTI_LABEL)


def _class_parents(walk: Walk, named: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Find the folder of each part that holds the class folders, which is often wrapped into another; gives findings beside."""
    top = walk.entries_or_refuse("")
    walk.places |= {top.folders[path]: path for path in named.values()}
    parts, known, strays = {}, (), list(top.files)
    for split, folder in named.items():
        parts[split] = here = unwrapped(walk, folder, known)
        known = known or [base(path) for path in walk.foreign_folders(here)]
        while here != folder:  # what lies beside a wrapped folder
            here = here.rpartition("/")[0]
            strays += walk.entries_or_refuse(here).files
    walk.left_out += [(path, OUTSIDE) for path in strays]
    findings = []
    if not {path.lower() for path in named.values()} <= CERTAIN:
        findings.append(f"Taken for parts by their names: {', '.join(f'{shown(path)} ({s})' for s, path in named.items())}.")
    return parts, findings


def _class_folders(walk: Walk, split: str, parent: str, known: Collection[str] = ()) -> dict[str, str]:
    """Find {class: its folder}. Raises UserError for a folder without class folders."""
    labels = {}
    for path, identity in walk.foreign_folders(parent).items():
        place = walk.places.setdefault(identity, path)
        if place == path:
            labels[base(path)] = path
        elif place in (".", parent):
            walk.skipped.append(path)
        else:
            raise UserError(
                f"{walk.place(path)} and {walk.place(place)} are one and the same folder (a link): "
                "pictures of two classes or two splits must be different ones; remove the link."
            )
    strays = walk.entries_or_refuse(parent).files
    if not labels and strays and (known or split not in ("", "train")):
        raise UserError(f"{walk.place(parent)} holds no class folders, and {_unlabelled(walk, parent)}")
    if not labels and strays:
        raise UserError(
            f"In {walk.place(parent)} the images are not in class folders: {LAYOUT_HINT}; or say what they show, with a run "
            f"that knows the classes: zoo label {walk.place(parent)} RUN"
        )
    if not labels:
        raise UserError(f"{walk.place(parent)} is empty: {LAYOUT_HINT}.")
    walk.left_out += [(path, OUTSIDE) for path in strays]
    return labels


def _unlabelled(walk: Walk, folder: str) -> str:
    """Say what to do with pictures of which nobody has said what they show."""
    return (
        "pictures without labels measure nothing: leave them out (move the folder away), and predict on them: "
        f"zoo predict RUN {walk.place(folder)}"
    )


def _check_classes(walk: Walk, parts: dict[str, str], labels: dict[str, dict[str, str]]) -> list[str]:
    """Compare the classes of all splits; gives findings. Raises UserError for a single or an unknown class."""
    (first, known), *others = labels.items()
    if len(known) < 2:
        only = next(iter(known.values()))
        deepest = unwrapped(walk, parts[first])
        raise UserError(
            f"{walk.place(parts[first])} holds one class folder only, {shown(only)}: two are the least that can be told apart. "
            f"If the class folders lie deeper, give {walk.place(only if deepest == parts[first] else deepest)}."
        )
    findings = []
    for split, found in others:
        missing, extra = sorted(known.keys() - found.keys()), sorted(found.keys() - known.keys())
        if extra and not found.keys() & known.keys() and not _are_alike(extra, known):
            raise UserError(
                f"{walk.place(parts[split])} holds no class of {parts[first]}/ but {some(extra)}: name its folders as the "
                f"classes are called. If nobody knows what they show: {_unlabelled(walk, parts[split])}"
            )
        if extra:
            lacks = f" (and lacks {some(missing)})" if missing else ""
            hint = " Some names differ only by case or by the Unicode form of an accent." if _are_alike(extra, known) else ""
            raise UserError(
                f"{walk.place(parts[split])} holds classes that {parts[first]}/ does not have: "
                f"{some(extra)}{lacks}. Make the class folders the same.{hint}"
            )
        if missing:
            findings.append(f"{parts[split]}/ has no pictures of some classes: {some(missing)}.")
    alike = {}
    for name in sorted(known):
        alike.setdefault(plain(name), []).append(name)
    for names in alike.values():
        if len(names) > 1:
            findings.append(f"Classes {some(map(ascii, names))} differ only by case or Unicode form.")
    return findings


def _are_alike(some_names: Iterable[str], others: Iterable[str]) -> bool:
    """Whether a name differs from one of the others only by case or Unicode form."""
    return not {plain(name) for name in some_names}.isdisjoint(map(plain, others))


def _files_of_class(walk: Walk, folder: str, is_needed: bool = True) -> list[str]:
    """List the files below a class folder. Raises UserError if there is none, where some are needed."""
    found = walk.files_below(folder)
    if not found and is_needed:
        inside = [(path, reason) for path, reason in walk.left_out if path.startswith(f"{folder}/")]
        why = "; ".join(f"{shown(path)} {reason}" for path, reason in inside[:3])
        raise UserError(
            f"The class folder {walk.place(folder)} holds no usable file{f' ({why})' if why else ''}: fill it or remove it."
        )
    return found


def _merged(files: Iterable[File], labels: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Say of which classes files lie in subfolders."""
    nested = Counter(file.label for file in files if file.path.rpartition("/")[0] != labels[file.split][file.label])
    some_classes = some(f"{label} ({count})" for label, count in nested.items())
    return [f"Files in subfolders, counted with their class folder: {some_classes}."] if nested else []
