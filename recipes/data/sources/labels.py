"""Pictures with any number of labels: a table says which. docs/tables.md has the rules.

    path,labels,split                       or      path,cat,dog,split
    a.jpg,cat;dog,train                             a.jpg,1,1,train
    more/b.jpg,,val                                 more/b.jpg,0,0,val

`path` is relative to DATA. `labels` holds names separated by ";", and may be empty; or there is a column of 0 and 1 for
each class. `split` may be missing: train, val (also valid, validation) or test; where it is empty, the picture is divided.
Where every picture has exactly one label, classes exclude each other, as those of class folders do.
"""

import unicodedata
from collections import Counter
from pathlib import Path

from recipes.data.sources.columns import Columns, identify, is_path
from recipes.data.sources.listing import SPLITS, File, Listing, plain
from recipes.data.sources.places import Places
from recipes.data.sources.separators import find_separator, is_wrapped
from recipes.data.sources.table import Table, read_table
from recipes.errors import UserError, shown, some
from recipes.evaluation.tasks import LABEL_SEPARATOR, MULTI_CLASS, MULTI_LABEL

BOOLEANS = {"0": False, "1": True, "false": False, "true": True}
PARTS = ("", "train", "validation", "test")


def scan_labels(root: Path, file: Path) -> Listing:
    """List the pictures that the table names.

    Args:
        root: folder that the paths in the table are relative to.
        file: a table, as above.

    Raises:
        UserError: the folder or the file cannot be read, or a line of it cannot be understood.
    """
    if not root.is_dir():
        raise UserError(f"{shown(root)} is not a folder: give the folder of the images that --labels lists.")
    table = read_table(file, is_path)
    columns = identify(table)
    if not table.rows:
        raise UserError(f"{shown(file)} lists no picture.")
    places = Places(root)
    paths, labels = _paths(table, columns, places), _labels(table, columns)
    files = [File(*each) for each in zip(paths, labels, _parts(table, columns), strict=True)]
    counts = Counter(label for names in labels for label in names)
    classes = tuple(sorted(columns.classes or counts))
    _check(file, classes, counts, files)
    findings = (*_kind(file, labels), *_ignored(file, columns, places, classes))
    if any(len(names) != 1 for names in labels):
        return Listing(root, classes, tuple(sorted(files, key=lambda f: f.path)), (), findings, MULTI_LABEL)
    files = [File(f.path, f.label[0], f.split) for f in files]
    # The order of class folders, so that the same pictures give the same model.
    files.sort(key=lambda f: (PARTS.index(f.split), f.label, f.path))
    return Listing(root, classes, tuple(files), (), findings, MULTI_CLASS)


def _paths(table: Table, columns: Columns, places: Places) -> list[str]:
    """Find each row's picture. Raises UserError for one that is not there, or there twice."""
    lines: dict[str, tuple[int, str]] = {}
    for line, cells in table.rows:
        text, where = cells[columns.path], table.line(line)
        if not text.strip():
            raise UserError(f"{where}: the row names no picture: fill in {shown(table.columns[columns.path])}.")
        path = places.find(text)
        if path is None:
            hint = places.hint(text)
            raise UserError(
                f"{where}: there is no file {shown(text)} in {shown(places.root)}; paths must be relative to that folder."
                + (f" Is it {shown(hint)}?" if hint else "")
            )
        if path in lines:
            earlier, other = lines[path]
            spelled = f", as {shown(other)}" if other != text else ""
            raise UserError(f"{where}: {shown(text)} is listed a second time, first in line {earlier}{spelled}. Keep one.")
        lines[path] = line, text
    return list(lines)


def _labels(table: Table, columns: Columns) -> list[tuple[str, ...]]:
    """Read each row's labels. Raises UserError for what is no 0 and no 1, and for labels that are written otherwise."""
    if columns.labels is None:
        return [
            tuple(name for name, i in sorted(columns.classes.items()) if _value(cells[i], name, table.line(line)))
            for line, cells in table.rows
        ]
    found = [
        tuple(sorted({unicodedata.normalize("NFC", n.strip()) for n in cells[columns.labels].split(LABEL_SEPARATOR)} - {""}))
        for _, cells in table.rows
    ]
    lines: dict[str, int] = {}
    for (line, _), names in zip(table.rows, found, strict=True):
        for name in names:
            lines.setdefault(name, line)
    for name, line in lines.items():
        if is_wrapped(name):
            raise UserError(
                f"{table.line(line)}: the label {shown(name)} has quotes or brackets: write names, separated by "
                f"{LABEL_SEPARATOR!r}, and quotes around whole cells only."
            )
    if sign := find_separator(lines, any(LABEL_SEPARATOR in cells[columns.labels] for _, cells in table.rows)):
        mark, name = sign
        raise UserError(
            f"{table.line(lines[name])}: the label {shown(name)!r} seems to be several, separated by {shown(mark)!r}: separate "
            f"them by {LABEL_SEPARATOR!r}; if it is one, write it without {shown(mark)!r}."
        )
    return found


def _parts(table: Table, columns: Columns) -> list[str]:
    """Read the part that each row's picture belongs to, "" where the table does not say. Raises UserError for no such part."""
    parts = []
    for line, cells in table.rows:
        where = table.line(line)
        given = cells[columns.split].strip() if columns.split is not None else ""
        if given and given.lower() not in SPLITS:
            name = shown(table.columns[columns.split])
            raise UserError(f"{where}: {name} must be train, val, test or empty, found {shown(given)!r}.")
        flagged = [part for part, i in columns.flags.items() if _value(cells[i], table.columns[i], where)]
        if len(flagged) > 1:
            names = some(table.columns[i] for i in columns.flags.values())
            raise UserError(f"{where}: a picture belongs to one part, and {names} name two.")
        parts.append(SPLITS.get(given.lower(), flagged[0] if flagged else "train" if columns.flags else ""))
    return parts


def _value(text: str, name: str, where: str) -> bool:
    """Read a 0 or 1, also as 1.0 or True. Raises UserError for anything else, with the place."""
    plainly = text.strip().lower()
    whole, point, zeros = plainly.partition(".")
    found = BOOLEANS.get(whole if point and not zeros.strip("0") and whole.isdecimal() else plainly)
    if found is None:
        raise UserError(f"{where}: column {shown(name)} must be 0 or 1, found {shown(text)!r}.")
    return found


def _check(file: Path, classes: tuple[str, ...], counts: Counter, files: list[File]) -> None:
    """Refuse labels that all pictures have, or none, and a part without any, with a UserError."""
    if not classes:
        raise UserError(f"{shown(file)} gives no picture a label.")
    for name in classes:
        if not counts[name]:
            raise UserError(f"{shown(file)}: no picture has the label {shown(name)}: add some, or take the column away.")
        if counts[name] == len(files):
            raise UserError(f"{shown(file)}: every picture has the label {shown(name)}, so nothing can be learnt about it.")
    for part in sorted({f.split for f in files} - {""}):
        if not any(f.label for f in files if f.split == part):
            raise UserError(
                f"{shown(file)}: no picture of the part {part} has a label: leave those rows out, and predict on the pictures."
            )


def _kind(file: Path, labels: list[tuple[str, ...]]) -> list[str]:
    """Say which kind of problem the labels are taken for."""
    counts = [len(names) for names in labels]
    if set(counts) == {1}:
        return [f"{shown(file)} gives each picture one label: classes exclude each other."]
    without = f"; {counts.count(0):,} of {len(counts):,} have none, and are none of the classes" if 0 in counts else ""
    return [f"{shown(file)} gives a picture {min(counts)} to {max(counts)} labels: each class is learnt by itself{without}."]


def _ignored(file: Path, columns: Columns, places: Places, classes: tuple[str, ...]) -> list[str]:
    """Say in sentences what was ignored, read otherwise than written, or can hardly be told apart."""
    findings = []
    if columns.ignored:
        findings.append(f"Columns of {shown(file)} that count its rows, ignored: {some(columns.ignored)}.")
    if columns.flags:
        parts = ", ".join(f"{part} where it is 1" for part in columns.flags)
        findings.append(f"{shown(file)} divides the pictures itself: {parts}, else train.")
    if places.respelled:
        text, path = places.respelled[0]
        findings.append(
            f"Paths of {shown(file)} that the disk writes otherwise (case, or the Unicode form of an accent): "
            f"{len(places.respelled):,}, such as {ascii(text)} for {ascii(path)}."
        )
    alike: dict[str, list[str]] = {}
    for name in classes:
        alike.setdefault(plain(name), []).append(name)
    for names in alike.values():
        if len(names) > 1:
            findings.append(f"Classes {some(map(ascii, names))} differ only by case or Unicode form.")
    return findings
