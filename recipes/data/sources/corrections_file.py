"""A table of corrections that a person fills in on a page, one picture after the other: after each it is whole, on the disk.

What is not about a picture's label, such as the suggestions of `zoo check`, groups and columns for the reader, stays as it is.
"""

import os
import threading
from pathlib import Path

from recipes.data.sources.corrections import COLUMNS, OF_LABEL, read
from recipes.data.sources.table import read_table
from recipes.errors import UserError, shown
from zoo.files import as_cell, from_cell, write_csv

# What a picture's label is to be: an action, and the label behind it; "" and "" for nothing.
Wish = tuple[str, str]
NOTHING: Wish = ("", "")


class CorrectionsFile:
    """The table at a place, which need not exist yet. Threads may share one.

    Raises:
        UserError: there is a file, and it is no table of corrections.
    """

    def __init__(self, place: Path):
        self.place, self._lock = place, threading.Lock()
        self._columns, self._rows = list(COLUMNS), []
        self._wishes: dict[str, Wish] = {}
        self._state = _state(place)
        if self._state:
            self._read()

    def _read(self) -> None:
        """Take over what stands in the file. Raises UserError."""
        for path, rows in read(self.place).rows.items():
            for row in rows:
                if row.action in OF_LABEL:
                    self._wishes[path] = row.action, row.to
        table = read_table(self.place, lambda name: name.lower() in COLUMNS)
        names = [name.lower() if name.lower() in COLUMNS else name for name in table.columns]
        self._columns = [*names, *(name for name in COLUMNS if name not in names)]
        empty = dict.fromkeys(self._columns, "")
        self._rows = [empty | dict(zip(names, cells, strict=True)) for _, cells in table.rows]
        self._rows = [row for row in self._rows if row["path"]]
        for row in self._rows:  # as `read` understands it
            row["action"] = " ".join(row["action"].lower().replace("_", " ").replace("-", " ").split())

    @property
    def wishes(self) -> dict[str, Wish]:
        """What is wanted of each picture's label, by its path."""
        with self._lock:
            return dict(self._wishes)

    def wish(self, path: str) -> Wish:
        """Find what is wanted of a picture's label."""
        return self._wishes.get(path, NOTHING)

    def set(self, path: str, wish: Wish, reason: str = "") -> Wish:
        """Write what is wanted of a picture's label, or `NOTHING`, and return what was wanted before.

        Raises:
            UserError: another program has changed the file meanwhile.
            WriteError: it cannot be written; then it is as it was.
        """
        with self._lock:
            if _state(self.place) != self._state:
                raise UserError(
                    f"{shown(self.place)} was changed by another program, whose changes this label would undo: start "
                    "`zoo label` again, which reads it."
                )
            before = self._wishes.get(path, NOTHING)
            if wish == before:
                return before
            rows = self._changed(path, wish, reason)
            write_csv(self.place, rows or [dict.fromkeys(self._columns, "")])
            self._wishes.pop(path, None)
            self._rows, self._state = rows, _state(self.place)
            if wish != NOTHING:
                self._wishes[path] = wish
            return before

    def _changed(self, path: str, wish: Wish, reason: str) -> list[dict]:
        """Make the rows in which a picture's label is wanted so; a row that suggests something stays, without an action."""
        mine = [row for row in self._rows if row["path"] == path and row["action"] in OF_LABEL]
        kept = []
        for row in self._rows:
            if not any(row is one for one in mine):
                kept.append(row)
            elif row["suggestion"]:
                kept.append(row | {"action": ""})
        if wish == NOTHING:
            return kept
        empty = dict.fromkeys(self._columns, "")
        return [*kept, empty | {"path": path, "action": wish[0], "to": wish[1], "reason": reason}]


def can_be_named(path: str) -> bool:
    """Whether a table can hold the path of a picture so that it is read as the same."""
    try:
        path.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return False
    return path == path.lstrip(" ") and from_cell(str(as_cell(path))) == path and bool(path.strip())


def _state(place: Path) -> tuple | None:
    """Find what changes when a file is written; None where there is none."""
    try:
        found = os.stat(place)
    except OSError:
        return None
    return found.st_size, found.st_ino, found.st_mtime_ns
