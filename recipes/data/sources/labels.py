"""Pictures with labels, one or any number: a table says which. docs/tables.md has the rules.

    path,labels,split                       or      path,cat,dog,split
    a.jpg,cat;dog,train                             a.jpg,1,1,train
    more/b.jpg,,val                                 more/b.jpg,0,0,val

`path` is relative to the folder. `labels` holds names separated by ";", and may be empty; or there is a column of 0 and 1 for
each class. `split` may be missing: train, val (also valid, validation) or test; where it is empty, the picture is divided. So
may `group` (what is never divided), `weight` (how much a picture counts) and `annotator` (several rows a picture). Where
every picture has exactly one label, classes exclude each other, as those of class folders do.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from recipes.data.sources.columns import Columns, has_one_label, identify, is_path
from recipes.data.sources.groups import by_pattern
from recipes.data.sources.listing import PARTS, SPLITS, File, Listing, plain
from recipes.data.sources.places import Places
from recipes.data.sources.separators import find_separator, is_wrapped
from recipes.data.sources.table import Table, read_table
from recipes.data.sources.votes import Row, count_votes
from recipes.errors import UserError, shown, some
from recipes.evaluation.tasks import LABEL_SEPARATOR, MULTI_CLASS, MULTI_LABEL

BOOLEANS = {"0": False, "1": True, "false": False, "true": True}


def scan_labels(
    root: Path,
    file: Path,
    named: Mapping[str, str] | None = None,
    groups: str | None = None,
    known: Collection[str] = (),
) -> Listing:
    """List the pictures that the table names.

    Args:
        root: folder that the paths in the table are relative to.
        file: a table, as above.
        named: columns by their role, see `columns.identify`.
        groups: a column that names what is never divided, or a regular expression on the path.
        known: classes of a finished run that is to be measured, for which any of them, and any part, is enough.

    Raises:
        UserError: the folder or the file cannot be read, or a line of it cannot be understood.
    """
    if not root.is_dir():
        raise UserError(f"{shown(root)} is not a folder: give the folder of the images that --labels lists.")
    named = named or {}
    table = read_table(file, lambda name: is_path(name) or name == named.get("path"))
    is_column = groups in table.columns
    columns = identify(table, named | {"group": groups} if is_column else named)
    if not table.rows:
        raise UserError(f"{shown(file)} lists no picture.")
    places = Places(root)
    rows, left_out, findings = _rows(table, columns, places), [], []
    if columns.annotator is not None:
        votes = count_votes(table, rows)
        rows, left_out, findings = votes.rows, votes.left_out, votes.findings
    counts = Counter(label for row in rows for label in row.labels)
    classes = tuple(sorted(columns.classes or counts))
    if not counts:
        raise UserError(f"{shown(file)} gives no picture a label.")
    if not known:
        _check(table, columns, classes, counts, rows)
        findings = [*_kind(file, rows), *findings]
    findings = (*findings, *_said(table, columns, places, classes, rows))
    one_label = all(len(row.labels) == 1 for row in rows)
    files = [File(row.path, row.labels[0] if one_label else row.labels, row.split, row.group, row.weight) for row in rows]
    # With one label, the order of class folders, so that the same pictures give the same model.
    files.sort(key=lambda f: (PARTS.index(f.split), f.label, f.path) if one_label else f.path)
    task = MULTI_CLASS if one_label else MULTI_LABEL
    listing = Listing(root, classes, tuple(files), tuple(left_out), findings, task)
    return by_pattern(listing, groups, f"no column of {shown(file)}") if groups and not is_column else listing


def _rows(table: Table, columns: Columns, places: Places) -> list[Row]:
    """Read the rows. Raises UserError for a cell that cannot be."""

    def texts(index: int | None) -> list[str]:
        return [""] * len(table.rows) if index is None else table.column(index)

    values = (
        [line for line, _ in table.rows],
        _paths(table, columns, places),
        _labels(table, columns),
        _parts(table, columns),
        texts(columns.group),
        _weights(table, columns),
        texts(columns.annotator),
    )
    return [Row(*each) for each in zip(*values, strict=True)]


def _paths(table: Table, columns: Columns, places: Places) -> list[str]:
    """Find each row's picture. Raises UserError for one that is not there, or there twice without annotators."""
    found, lines = [], {}
    for line, cells in table.rows:
        text, where = cells[columns.path], table.line(line)
        if not text.strip():
            raise UserError(f"{where}: the row names no picture: fill in {shown(table.columns[columns.path])}.")
        path = places.find(text)
        if path is None:
            raise _missing(table, columns, places, where, text)
        if path in lines and columns.annotator is None:
            earlier, other = lines[path]
            spelled = f", as {shown(other)}" if other != text else ""
            raise UserError(
                f"{where}: {shown(text)} is listed a second time, first in {table.unit} {earlier}{spelled}. Keep one; if the "
                "rows are votes of several people, say whose in a column annotator."
            )
        lines.setdefault(path, (line, text))
        found.append(path)
    return found


def _missing(table: Table, columns: Columns, places: Places, where: str, text: str) -> UserError:
    """Make the error of a path that leads to no file; it counts the others, and says what may be meant."""
    others = sum(places.find(cells[columns.path]) is None for _, cells in table.rows) - 1
    hint = places.hint(text)
    return UserError(
        f"{where}: there is no file {shown(text)} in {shown(places.root)}; paths must be relative to that folder."
        + (f" Is it {shown(hint)}?" if hint else "")
        + (f" So it is with {others:,} more of {len(table.rows):,} rows." if others else "")
    )


def _weights(table: Table, columns: Columns) -> list[float]:
    """Read how much each row counts; 1 without such a column. Raises UserError for what is no number above 0."""
    if columns.weight is None:
        return [1.0] * len(table.rows)
    found = []
    for line, cells in table.rows:
        text = cells[columns.weight].strip()
        try:
            weight = float(text.replace(",", "."))  # as spreadsheets write it where the comma is decimal
        except ValueError:
            weight = math.nan
        if not 0 < weight < math.inf:
            raise UserError(
                f"{table.line(line)}: {shown(table.columns[columns.weight])} must be a number above 0, found {shown(text)!r}: "
                "give 1 to what counts as usual, and leave rows out that are not to count."
            )
        found.append(weight)
    return found


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


def _check(table: Table, columns: Columns, classes: tuple[str, ...], counts: Mapping[str, int], rows: Sequence[Row]) -> None:
    """Refuse labels that all pictures have, or none, or train lacks, and a part without any, with a UserError."""
    file = shown(table.file)
    for name in classes:
        if not counts[name]:
            raise UserError(f"{file}: no picture has the label {shown(name)}: add some, or take the column away.")
        if counts[name] == len(rows):
            raise UserError(f"{file}: every picture has the label {shown(name)}, so nothing can be learnt about it.")
    for part in sorted({row.split for row in rows} - {""}):
        if not any(row.labels for row in rows if row.split == part):
            raise UserError(
                f"{file}: no picture of the part {part} has a label: leave those rows out, and predict on the pictures."
            )
    if columns.labels is not None and has_one_label(name := table.columns[columns.labels]):
        empty = next((row for row in rows if not row.labels), None)
        if empty and all(len(row.labels) < 2 for row in rows):
            raise UserError(
                f"{table.line(empty.line)}: {shown(name)} is empty: fill it in, or leave the row out; if pictures may be of "
                "none of the classes, call the column labels."
            )
    learnt = {label for row in rows if row.split in ("", "train") for label in row.labels}
    for row in rows:
        if unseen := set(row.labels) - learnt:
            raise UserError(
                f"{table.line(row.line)}: the label {shown(min(unseen))} stands in no row of train, so that nothing learns it: "
                "give train some, or leave its rows out."
            )


def _kind(file: Path, rows: Sequence[Row]) -> list[str]:
    """Say which kind of problem the labels are taken for."""
    counts = [len(row.labels) for row in rows]
    if set(counts) == {1}:
        return [f"{shown(file)} gives each picture one label: classes exclude each other."]
    without = f"; {counts.count(0):,} of {len(counts):,} have none, and are none of the classes" if 0 in counts else ""
    return [f"{shown(file)} gives a picture {min(counts)} to {max(counts)} labels: each class is learnt by itself{without}."]


def _said(table: Table, columns: Columns, places: Places, classes: tuple[str, ...], rows: Sequence[Row]) -> list[str]:
    """Say in sentences what was ignored, read otherwise than written, or can hardly be told apart."""
    findings, file = [], shown(table.file)
    if columns.index:
        findings.append(f"Columns of {file} that count its rows, ignored: {some(columns.index)}.")
    if columns.unused:
        findings.append(f"Columns of {file} that --columns does not name, ignored: {some(columns.unused)}.")
    if columns.flags:
        parts = ", ".join(f"{part} where it is 1" for part in columns.flags)
        findings.append(f"{file} divides the pictures itself: {parts}, else train.")
    if columns.group is not None:
        groups = {row.group for row in rows} - {""}
        findings.append(f"Groups by the column {shown(table.columns[columns.group])}, which stay together: {len(groups):,}.")
    if columns.weight is not None and columns.annotator is None:
        name, weights = shown(table.columns[columns.weight]), [row.weight for row in rows]
        findings.append(f"Pictures count by the column {name}, with weights from {min(weights):g} to {max(weights):g}.")
    for part in sorted({row.split for row in rows} - {"", "train"}):
        if missing := set(classes) - {label for row in rows if row.split == part for label in row.labels}:
            findings.append(f"{file}: {part} has no pictures of some classes: {some(sorted(missing))}.")
    if places.outside:
        findings.append(
            f"Pictures that lie outside of {shown(places.root)}: {len(places.outside):,}, such as {shown(places.outside[0])}."
        )
    if places.respelled:
        text, path = places.respelled[0]
        findings.append(
            f"Paths of {file} that the disk writes otherwise (case, or the Unicode form of an accent): "
            f"{len(places.respelled):,}, such as {ascii(text)} for {ascii(path)}."
        )
    alike: dict[str, list[str]] = {}
    for name in classes:
        alike.setdefault(plain(name), []).append(name)
    for names in alike.values():
        if len(names) > 1:
            findings.append(f"Classes {some(map(ascii, names))} differ only by case or Unicode form.")
    return findings
