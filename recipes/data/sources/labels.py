"""Pictures with any number of labels: a CSV file says which.

    path,labels,split                       or      path,cat,dog,split
    a.jpg,cat;dog,train                             a.jpg,1,1,train
    more/b.jpg,,val                                 more/b.jpg,0,0,val

`path` is relative to DATA. `labels` holds names separated by ";", and may be empty; or there is a column of 0 and 1 for
each class. `split` may be missing: train, val (also valid, validation) or test; where it is empty, the picture is divided.
"""

import csv
import os
from collections import Counter
from pathlib import Path

from recipes.data.sources.listing import SPLITS, File, Listing
from recipes.errors import UserError, shown
from recipes.evaluation.tasks import LABEL_SEPARATOR, MULTI_LABEL

BOOLEANS = {"0": False, "1": True}


def scan_labels(root: Path, file: Path) -> Listing:
    """List the pictures that the file names.

    Args:
        root: folder that the paths in the file are relative to.
        file: a CSV file, as above.

    Raises:
        UserError: the folder or the file cannot be read, or a line of it cannot be understood.
    """
    if not root.is_dir():
        raise UserError(f"{shown(root)} is not a folder: give the folder of the images that --labels lists.")
    columns, rows = _read(file)
    names = [name for name in columns if name not in ("path", "split")]
    if "labels" in names and len(names) > 1:
        others = ", ".join(shown(name) for name in names if name != "labels")
        raise UserError(f"{shown(file)} has a column labels, and others that are not known: {others}. Take one or the other.")
    files, lines = [], {}
    for line, row in rows:
        where = f"{shown(file)}, line {line}"
        path, given = row["path"], row.get("split", "").strip().lower()
        if path in lines:
            raise UserError(f"{where}: {shown(path)} is listed a second time, first in line {lines[path]}. Keep one.")
        lines[path] = line
        if not os.path.isfile(root / path):
            raise UserError(f"{where}: there is no file {shown(path)} in {shown(root)}; paths must be relative to that folder.")
        if given and given not in SPLITS:
            raise UserError(f"{where}: split must be train, val, test or empty, found {shown(given)!r}.")
        if names == ["labels"]:
            found = sorted({name.strip() for name in row["labels"].split(LABEL_SEPARATOR)} - {""})
        else:
            found = [name for name in names if _value(row[name], name, where)]
        files.append(File(path, tuple(found), SPLITS.get(given, "")))
    counts = Counter(label for item in files for label in item.label)
    classes = tuple(sorted(counts if names == ["labels"] else names))
    _check(file, classes, counts, len(files))
    return Listing(root, classes, tuple(sorted(files, key=lambda item: item.path)), (), (), MULTI_LABEL)


def _read(file: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read (columns, [(number of the line, row)]). Raises UserError for what is no such table."""
    try:
        with open(file, newline="", encoding="utf-8-sig") as text:
            reader = csv.DictReader(text, strict=True)
            rows = [(reader.line_num, row) for row in reader]
            columns = [name.strip() for name in reader.fieldnames or ()]
    except FileNotFoundError:
        raise UserError(f"--labels {shown(file)} does not exist: give a CSV file.") from None
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"--labels {shown(file)} cannot be read as a CSV file ({error}).") from error
    if "path" not in columns or len(set(columns) - {"path", "split"}) < 1:
        raise UserError(
            f"{shown(file)} needs a first line with path, and labels or the names of classes; found "
            f"{', '.join(shown(name) for name in columns) or 'nothing'}."
        )
    if len(set(columns)) < len(columns):
        raise UserError(f"{shown(file)} has two columns of one name in its first line: rename one.")
    for line, row in rows:
        if None in row or None in row.values():
            raise UserError(f"{shown(file)}, line {line}: {len(columns)} columns were expected, as in the first line.")
    if not rows:
        raise UserError(f"{shown(file)} lists no picture.")
    return columns, [(line, {k.strip(): v for k, v in row.items()}) for line, row in rows]


def _value(text: str, name: str, where: str) -> bool:
    """Read a 0 or 1. Raises UserError for anything else, with the place."""
    if text.strip() not in BOOLEANS:
        raise UserError(f"{where}: column {shown(name)} must be 0 or 1, found {shown(text)!r}.")
    return BOOLEANS[text.strip()]


def _check(file: Path, classes: tuple[str, ...], counts: Counter, files: int) -> None:
    """Refuse labels that all pictures have, or none, with a UserError."""
    if not classes:
        raise UserError(f"{shown(file)} gives no picture a label.")
    for name in classes:
        if not counts[name]:
            raise UserError(f"{shown(file)}: no picture has the label {shown(name)}: add some, or take the column away.")
        if counts[name] == files:
            raise UserError(f"{shown(file)}: every picture has the label {shown(name)}, so nothing can be learnt about it.")
