"""What a command says of where its pictures come from: the name of a data set, and the columns of a table."""

import difflib
import os
from pathlib import Path

from recipes.errors import UserError, shown, some

TFDS = "tfds:"
# What a column of a table may be; docs/tables.md says of each what it does.
ROLES = ("path", "label", "split", "group", "weight", "annotator")


def is_tfds(data: Path) -> bool:
    """Whether DATA names a data set of TensorFlow Datasets, and no place on the disk."""
    return str(data).startswith(TFDS)


def absolute(data: Path, folder: Path | None = None) -> Path:
    """Write DATA in full, relative to a folder (this one if not given); the name of a data set stays as it is."""
    return data if is_tfds(data) else folder / data if folder else Path(os.path.abspath(data))


def resolved(data: Path) -> Path:
    """Write DATA in full and without links; the name of a data set stays as it is."""
    return data if is_tfds(data) else data.resolve()


def named_columns(text: str | None) -> dict[str, str]:
    """Read "path=file,label=species" as {role: name of the column}.

    Raises:
        UserError: it is written otherwise, a role is unknown, or given twice.
    """
    found: dict[str, str] = {}
    for piece in (text or "").split(",") if text is not None else ():
        role, sign, name = (part.strip() for part in piece.partition("="))
        role = "label" if role == "labels" else role
        if not (sign and role and name):
            raise UserError(f"--columns must be such as path=file,label=species, found {shown(text)!r}: give ROLE=NAME.")
        if role not in ROLES:
            near = difflib.get_close_matches(role, ROLES, 1)
            raise UserError(
                f"--columns knows {some(ROLES, len(ROLES))}, found {shown(role)!r}" + (f": {near[0]}?" if near else ".")
            )
        if role in found:
            raise UserError(f"--columns says twice what the {role} is, {shown(found[role])} and {shown(name)}: keep one.")
        found[role] = name
    return found
