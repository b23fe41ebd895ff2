"""What must be known of pictures before parts are drawn: which stay together, and which leak from one part into another."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from recipes.data import split
from recipes.data.sources.listing import File, Listing
from recipes.errors import UserError, shown, some

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Division:
    """Pictures that can be divided.

    Args:
        files: those that do not leak.
        digests: one a file.
        groups: names of what is never divided, copies as well, one a file; None: nothing but copies.
        given: the part of each file, "" where it is still to be drawn.
        shares: to hold out, by part.
        leaks: {file: one in an earlier part that it is a copy of, nearly, or of the same group}.
        findings: sentences on near-duplicates.
    """

    files: list[File]
    digests: list[str]
    groups: list[str] | None
    given: list[str]
    shares: dict[str, float]
    leaks: dict[File, File]
    findings: list[str]


def divide(
    listing: Listing, digests: Mapping[File, str], near: Mapping[File, str], validation: float, test: float, keep_leaks: bool
) -> Division:
    """Find what stays together and what leaks.

    Near-duplicates are taken for different pictures where a class or a part would have too few of them otherwise.

    Args:
        digests: of the files that are pictures.
        near: the group of near-duplicates of each of these; "" for none.
        validation: share of a class's pictures to split off, where the listing has no such part.
        test: the same.
        keep_leaks: keep pictures of which an earlier part holds a copy.

    Raises:
        UserError: a class has too few pictures or groups, or a part holds nothing but copies of an earlier one.
    """
    if keep_leaks:
        near, _ = _taken_apart(near, lambda file: file.split in split.HELD_OUT_PARTS, "")
    leaks = _leaks(digests, near, keep_leaks)
    alone = {file.split for file in digests} - {file.split for file in digests if file not in leaks}
    near, findings = _taken_apart(near, lambda file: file.split in alone, f"{some(alone)} holds nothing else")
    leaks = _leaks(digests, near, keep_leaks) if alone else leaks
    _check_parts(listing, digests, leaks)
    files = [file for file in digests if file not in leaks]
    keys = [digests[file] for file in files]
    given, shares = missing_parts([file.split for file in files], validation, test)
    needed = split.minimum(shares)
    split.check_counts(_counts(listing, files, keys, given), needed, listing.root)
    if not files:
        raise UserError(f"{shown(listing.root)} holds no readable picture.")
    counts = _counts(listing, files, _units(files, keys, near), given)
    few = {label for label, count in counts.items() if count < needed}
    near, more = _taken_apart(near, lambda file: bool(few & _labels(file)), f"{some(few)} would have too few to divide")
    groups = _units(files, keys, near)
    if not any(file.group for file in files) and len(set(groups)) == len(set(keys)):
        groups = None  # what a near-duplicate was found of may have leaked
    if groups:
        split.check_counts(_counts(listing, files, groups, given), needed, listing.root, "groups")
    return Division(files, keys, groups, given, shares, leaks, findings + more)


def _units(files: Sequence[File], keys: Sequence[str], near: Mapping[File, str]) -> list[str]:
    """Name what is never divided, one a file: what the source groups, copies, and near-duplicates."""
    return split.united(split.united(keys, [file.group for file in files]), [near[file] for file in files])


def _leaks(digests: Mapping[File, str], near: Mapping[File, str], keep_leaks: bool) -> dict[File, File]:
    """Find {leaking file: one in an earlier part that it is a copy of, nearly, or of the same group}."""
    files = list(digests)
    keys = [file.path if keep_leaks else digests[file] for file in files]
    found = split.leaks([file.split for file in files], _units(files, keys, near))
    return {files[i]: files[first] for i, first in found.items()}


def _taken_apart(near: Mapping[File, str], is_apart: Callable[[File], bool], why: str) -> tuple[dict[File, str], list[str]]:
    """Take near-duplicates for different pictures, some of them, and say it if there are any."""
    apart = {file for file, group in near.items() if group and is_apart(file)}
    said = [
        f"Near-duplicates are kept for different pictures, {len(apart):,} of them, since otherwise {why}: the model may learn "
        "nearly what it is measured on."
    ]
    return {file: "" if file in apart else group for file, group in near.items()}, said if apart else []


def _check_parts(listing: Listing, files: Collection[File], leaks: Mapping[File, File]) -> None:
    """Refuse a part that holds nothing else than copies and others of groups, with a UserError."""
    for part in {file.split for file in files} - {file.split for file in files if file not in leaks}:
        grouped = any(file.group for file in files)
        kind = "a copy of one in an earlier part, or of its group" if grouped else "a copy of one in an earlier part"
        keep = "correct the groups" if grouped else "give --keep-leaks"
        raise UserError(
            f"Each of the {sum(file.split == part for file in files)} pictures that {shown(listing.root)} gives for {part} is "
            f"{kind}, so that nothing would be measured: give other pictures, take the part away, or {keep}."
        )


def missing_parts(given: list[str], validation: float, test: float) -> tuple[list[str], dict[str, float]]:
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


def _labels(file: File) -> set[str]:
    """List the labels of a picture."""
    return {file.label} if isinstance(file.label, str) else set(file.label)


def _counts(listing: Listing, files: Sequence[File], keys: Sequence[str], given: Sequence[str]) -> dict[str, int]:
    """Count the different pictures, or groups, of each class that may be trained on."""
    found: dict[str, set[str]] = {label: set() for label in listing.classes}
    for file, key, part in zip(files, keys, given, strict=True):
        if part in ("", "train"):
            for label in _labels(file):
                found[label].add(key)
    return {label: len(keys) for label, keys in found.items()}


def _is_nearly(file: File, first: File, digests: Mapping[File, str]) -> bool:
    """Whether a picture leaks because it is nearly one of another part, and neither its copy nor of its group."""
    return digests[file] != digests[first] and (not file.group or file.group != first.group)


def leaking(file: File, first: File, digests: Mapping[File, str]) -> str:
    """Say why a picture of a part is left out."""
    if _is_nearly(file, first, digests):
        return f"is nearly {shown(first.path)}, of another part"
    if digests[file] == digests[first]:
        return f"is a copy of {shown(first.path)}, of another part"
    return f"is of the group {shown(file.group)}, as is {shown(first.path)}, of another part"


def told(division: Division, digests: Mapping[File, str]) -> list[str]:
    """Say which pictures are left out because an earlier part holds them, and which classes a part has lost by that."""
    leaks = division.leaks
    near = {file: first for file, first in leaks.items() if _is_nearly(file, first, digests)}
    same = {file: first for file, first in leaks.items() if file not in near}
    kind = "a copy, left out of what is measured (--keep-leaks keeps them)"
    if any(file.group for file in same):
        kind = "a copy, or others of their group, left out of what is measured"
    sentences = [f"Pictures of which an earlier part holds {kind}: {_counted(same)}."] if same else []
    if near:
        sentences.append(
            "Pictures of which an earlier part holds a near-duplicate, left out of what is measured (the action keep in "
            f"--corrections keeps one, --keep-leaks all): {_counted(near)}."
        )
    left = {(file.split, file.label) for file in division.files}
    lost = {f"{shown(f.label)} in {f.split}" for f in leaks if isinstance(f.label, str) and (f.split, f.label) not in left}
    return sentences + ([f"No other picture is there of: {', '.join(sorted(lost))}."] if lost else [])


def _counted(leaks: Mapping[File, File]) -> str:
    """Count leaking pictures by part, and name the first."""
    counts = Counter(file.split for file in leaks)
    parts = ", ".join(f"{counts[part]} of {part}" for part in SPLITS if counts[part])
    pairs = [f"{shown(file.path)} = {shown(first.path)}" for file, first in list(leaks.items())[:3]]
    return f"{parts} ({'; '.join(pairs)}{'; ...' if len(leaks) > 3 else ''})"
