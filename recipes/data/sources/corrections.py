"""Corrections of a source that touch no file: a table that `zoo check` has begun and a person has filled in.

    path,action,to,suggestion,reason
    cats/a.jpg,leave out,,leave out,is blank
    cats/b.jpg,relabel,dogs,relabel,looks like dogs (0.97)
    cats/c.jpg,keep,dogs,relabel,looks like dogs (0.81)
    dogs/d.jpg,group,litter 7,group,a near-duplicate of dogs/e.jpg
    dogs/f.jpg,,,leave out,is blurred

`path` is what the source calls the picture. `action` says what a person wants, and does nothing where it is empty; `to` is the
new label (of several labels, separated by ";"), or the group; other columns are for the reader. A picture may have a row for
its label and one for its group. A picture that has no label gets one by `relabel`, as `zoo label` writes it.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from recipes.data.sources.listing import OUTSIDE, File, Listing
from recipes.data.sources.table import Table, read_table
from recipes.errors import UserError, shown, some
from recipes.evaluation.tasks import LABEL_SEPARATOR, MULTI_CLASS, MULTI_LABEL

KEEP, LEAVE_OUT, RELABEL, GROUP = "keep", "leave out", "relabel", "group"
ACTIONS = (KEEP, LEAVE_OUT, RELABEL, GROUP)
FLAG = "--corrections"
COLUMNS = ("path", "action", "to", "suggestion", "reason")
# What a correction of the label contradicts.
OF_LABEL = (KEEP, LEAVE_OUT, RELABEL)


@dataclass(frozen=True)
class Correction:
    """What a person wants of a picture; `to` is a label, or a group, where the action needs one."""

    action: str
    to: str
    where: str  # file and line, for messages


@dataclass(frozen=True)
class Corrections:
    """The active rows of a table of corrections, by path, and what identifies the table."""

    file: Path
    sha256: str
    rows: dict[str, list[Correction]]

    def kept(self) -> set[str]:
        """List the pictures that a person has seen and wants to stay as they are."""
        return {path for path, rows in self.rows.items() if any(row.action == KEEP for row in rows)}

    @property
    def labels(self) -> set[str]:
        """The labels that pictures are given."""
        given = {row.to for rows in self.rows.values() for row in rows if row.action == RELABEL}
        return {name for to in given for name in (to, *_names(to)) if name}

    def as_dict(self) -> dict:
        """Write what was corrected as values for result.json."""
        counts = Counter(row.action for rows in self.rows.values() for row in rows)
        return {"file": self.file.name, "sha256": self.sha256, "actions": {action: counts[action] for action in ACTIONS}}


def read(file: Path) -> Corrections:
    """Read the active rows of a table of corrections.

    Raises:
        UserError: it is no such table, or a row of it cannot be understood or contradicts another.
    """
    table = read_table(file, lambda name: name.lower() in ("path", "action"))
    columns = {name.lower(): i for i, name in enumerate(table.columns)}
    for name in ("path", "action"):
        if name not in columns:
            raise UserError(f"{FLAG} {shown(file)} needs a first line with {', '.join(COLUMNS[:3])}; found no column {name}.")
    rows: dict[str, list[Correction]] = {}
    for line, cells in table.rows:
        row = Correction(_action(table, line, cells[columns["action"]]), _cell(cells, columns.get("to")), table.line(line))
        if not row.action:
            continue
        earlier = rows.setdefault(cells[columns["path"]], [])
        _check(row, earlier, shown(cells[columns["path"]]))
        earlier.append(row)
    return Corrections(file, hashlib.sha256(file.read_bytes()).hexdigest(), rows)


def _action(table: Table, line: int, cell: str) -> str:
    """Read an action; "" for none. Raises UserError for an unknown one."""
    action = " ".join(cell.lower().replace("_", " ").replace("-", " ").split())
    if action and action not in ACTIONS:
        raise UserError(f"{table.line(line)}: the action must be {', '.join(ACTIONS)} or empty, found {shown(cell)!r}.")
    return action


def _cell(cells: list[str], index: int | None) -> str:
    """Read a cell without blanks around it; "" where there is no such column."""
    return "" if index is None else cells[index].strip()


def _check(row: Correction, earlier: list[Correction], path: str) -> None:
    """Refuse, with a UserError, a row without the group that it needs, and one that contradicts an earlier row."""
    if row.action == GROUP and not row.to:
        raise UserError(f"{row.where}: the action group needs the group's name in the column to, for {path}.")
    for other in earlier:
        if row.action == other.action or (row.action in OF_LABEL and other.action in OF_LABEL):
            raise UserError(f"{row.where}: {path} has the action {other.action} in {other.where}: keep one of the two.")


def corrected(listing: Listing, corrections: Corrections, is_learnt: bool = True) -> Listing:
    """Apply corrections to a listing: pictures are left out, relabelled and grouped, and what was done is among its findings.

    Pictures without a label, in a folder without class folders or beside these, get theirs; those that get none are left out.

    Args:
        is_learnt: whether every class needs a picture.

    Raises:
        UserError: a picture is not in the listing, a label is no class of it, or a class has no picture any more.
    """
    has_labels = any(file.label for file in listing.files) or not listing.files
    listing = _with_loose(listing, corrections) if has_labels else _labelled(listing, corrections, is_learnt)
    known = {file.path for file in listing.files}
    out = {path for path, _ in listing.left_out}
    for path, rows in corrections.rows.items():
        if path not in known and path not in out:
            near = get_close_matches(path, known, 1)
            hint = f" Is it {shown(near[0])}?" if near else ""
            raise UserError(f"{rows[0].where}: {shown(listing.root)} has no picture {shown(path)}: take the row away.{hint}")
    files, left_out = [], []
    for file in listing.files:
        rows = {row.action: row for row in corrections.rows.get(file.path, ())}
        if LEAVE_OUT in rows:
            left_out.append((file.path, f"has the action {LEAVE_OUT} in {shown(corrections.file.name)}"))
            continue
        if RELABEL in rows:
            file = replace(file, label=_label(rows[RELABEL], listing))
        files.append(replace(file, group=rows[GROUP].to) if GROUP in rows else file)
    if is_learnt:
        _check_classes(listing, files, corrections.file)
    counts = corrections.as_dict()["actions"]
    done = {"left out": counts[LEAVE_OUT], "relabelled": counts[RELABEL], "grouped": counts[GROUP], "kept": counts[KEEP]}
    said = ", ".join(f"{count:,} {what}" for what, count in done.items() if count) or "none is active"
    return replace(
        listing,
        files=tuple(_sorted(files, listing)),
        left_out=(*listing.left_out, *left_out),
        findings=(*listing.findings, f"Corrections of {shown(corrections.file.name)}: {said}."),
        corrections=corrections.as_dict(),
        kept=frozenset(corrections.kept()),
    )


def _names(to: str) -> list[str]:
    """Take apart the labels that a cell holds."""
    return sorted({name.strip() for name in to.split(LABEL_SEPARATOR)} - {""})


def _labelled(listing: Listing, corrections: Corrections, is_learnt: bool) -> Listing:
    """Take the classes of pictures without labels from those that corrections give them. Raises UserError for a single one."""
    given = {path: _names(row.to) for path, rows in corrections.rows.items() for row in rows if row.action == RELABEL}
    new = {name for names in given.values() for name in names} - set(listing.classes)
    classes = (*listing.classes, *sorted(new))
    if is_learnt and len(classes) == 1:
        raise UserError(
            f"{shown(corrections.file)} gives the pictures of {shown(listing.root)} one label only, {shown(classes[0])}: two "
            "are the least that can be told apart."
        )
    if not given:
        return listing
    one_label = all(len(names) == 1 for names in given.values())
    out = {path for path, rows in corrections.rows.items() if any(row.action == LEAVE_OUT for row in rows)}
    return replace(
        listing,
        classes=classes,
        files=tuple(file for file in listing.files if file.path in given or file.path in out),
        left_out=(*listing.left_out, *((f.path, "has no label") for f in listing.files if f.path not in given.keys() | out)),
        findings=(
            f"{shown(listing.root)} holds no class folders: corrections say what is to be learnt.",
            *listing.findings[1:],
        ),
        task=MULTI_CLASS if one_label else MULTI_LABEL,
    )


def _with_loose(listing: Listing, corrections: Corrections) -> Listing:
    """Add the pictures beside the class folders to which corrections give a label: where there are parts, to train on."""
    loose = {path for path, reason in listing.left_out if reason == OUTSIDE}
    labelled = {path for path, rows in corrections.rows.items() if any(row.action == RELABEL for row in rows)} & loose
    parts = {file.path.partition("/")[0]: file.split for file in listing.files}
    other = "train" if any(parts.values()) else ""
    files = [File(path, (), parts.get(path.partition("/")[0], other)) for path in sorted(labelled)]
    left_out = tuple(one for one in listing.left_out if one[0] not in labelled)
    return replace(listing, files=(*listing.files, *files), left_out=left_out) if files else listing


def _label(row: Correction, listing: Listing) -> str | tuple[str, ...]:
    """Read a new label as the task takes it. Raises UserError for what is no class."""
    names = _names(row.to)
    names = [row.to] if listing.task.one_label and row.to in listing.classes else names
    for name in names:
        if name not in listing.classes:
            near = get_close_matches(name, listing.classes, 1)
            hint = f" Is it {shown(near[0])}?" if near else ""
            raise UserError(
                f"{row.where}: {shown(name)} is no class of {shown(listing.root)}: choose one of {some(listing.classes)}.{hint}"
            )
    if not listing.task.one_label:
        return tuple(names)
    if len(names) != 1:
        raise UserError(f"{row.where}: relabel needs one class in the column to, found {shown(row.to)!r}.")
    return names[0]


def _check_classes(listing: Listing, files: list[File], table: Path) -> None:
    """Refuse corrections that leave a class without a picture, with a UserError."""
    left = {name for file in files for name in ([file.label] if isinstance(file.label, str) else file.label)}
    if lost := [name for name in listing.classes if name not in left]:
        raise UserError(f"{FLAG} {shown(table)} leaves no picture of {some(lost)}: keep some, or take the class away.")


def _sorted(files: list[File], listing: Listing) -> list[File]:
    """Order files as their source does, so that a picture that changes its class gives the model of one that was there."""
    if not listing.task.one_label:
        return files
    parts = list(dict.fromkeys(file.split for file in listing.files))
    return sorted(files, key=lambda file: (parts.index(file.split), file.label, file.path))
