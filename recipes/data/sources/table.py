"""Tables as spreadsheets and data frames write them: cells by row, with the line where each row begins; of text by these rules.

1. Encoding: what the byte-order mark says (UTF-8, UTF-16, UTF-32); without one UTF-8, and nothing else is guessed.
2. Delimiter: what a first line `sep=;` says; else the one of comma, semicolon, tab and | that sets off a known name in the
   header.
3. Blanks before a cell do not count, nor an apostrophe that guards it from being a formula (`zoo.files.as_cell`); a blank
   row is no row, and a blank column without a name no column.
4. Every row has the cells of the header, but for blank ones at its end.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recipes.data.sources.parquet import is_parquet, read_parquet
from recipes.errors import UserError, shown
from zoo.files import from_cell

MARKS = {  # UTF-32's begins as UTF-16's does
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
BINARY = {
    b"PK\x03\x04": "an Excel or OpenDocument table, or another zip archive",
    b"\xd0\xcf\x11\xe0": "an Excel table of the old kind",
    b"\x1f\x8b": "a gzip archive",
}
DELIMITERS = ",;\t|"
REMEDY = 'save it as "CSV UTF-8"'


@dataclass(frozen=True)
class Table:
    """The cells of a table; each row has as many as there are columns."""

    file: Path
    columns: list[str]
    rows: list[tuple[int, list[str]]]  # with the number of the line, from 1 on
    unit: str = "line"  # what is numbered: a line of text, or a row

    def line(self, number: int) -> str:
        """Name a line for a message."""
        return f"{shown(self.file)}, {self.unit} {number}"

    def column(self, index: int) -> list[str]:
        """Collect the cells of a column, without blanks around them."""
        return [cells[index].strip() for _, cells in self.rows]


def read_table(file: Path, is_known: Callable[[str], bool]) -> Table:
    """Read a table.

    Args:
        file: the table, as above.
        is_known: whether a name is one that the header may hold; tells the delimiter.

    Raises:
        UserError: it cannot be read, is no table, or a row of it is not like the others.
    """
    if is_parquet(file):
        return Table(file, *read_parquet(file), "row")
    text = _text(file)
    declared = re.match(r"""["']?sep=(.)["']?(\r\n|\r|\n)""", text)
    if declared:
        delimiter, text, skipped = declared[1], text[declared.end() :], 1
    else:
        delimiter, skipped = next((d for d in DELIMITERS if any(map(is_known, _header(text, d)))), ","), 0
    rows = _rows(file, text, delimiter, skipped)
    columns = [name.strip() for name in rows[0][1]] if rows else []
    rows = [(line, _fitted(file, line, cells, columns, delimiter)) for line, cells in rows[1:]]
    kept = [i for i, name in enumerate(columns) if name or any(cells[i].strip() for _, cells in rows)]
    return Table(file, [columns[i] for i in kept], [(line, [cells[i] for i in kept]) for line, cells in rows])


def _text(file: Path) -> str:
    """Read a file as text. Raises UserError for what is none, with the line."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{shown(file)} does not exist: give a table.") from None
    except OSError as error:
        raise UserError(f"{shown(file)} cannot be read as a table ({error.strerror}).") from error
    kind = next((kind for beginning, kind in BINARY.items() if data.startswith(beginning)), None)
    if kind:
        raise UserError(f"{shown(file)} is {kind}, not text: {REMEDY}.")
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    zero = data.find(b"\0") if encoding.startswith("utf-8") else -1
    if zero >= 0:
        line = _lines(data[:zero].decode("latin-1"))
        raise UserError(
            f"{shown(file)}, line {line}: a zero byte, so this is no text, or UTF-16 without its byte-order mark: {REMEDY}."
        )
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = _lines(data[: error.start].decode(encoding, "ignore"))
        hint = ", but perhaps the Windows code page (cp1252)" if encoding == "utf-8" else ""
        raise UserError(
            f"{shown(file)}, line {line}: the byte 0x{data[error.start]:02X} is no {encoding.upper()}{hint}: {REMEDY}."
        ) from None


def _lines(text: str) -> int:
    """Count the lines of a text, the one that it ends in among them."""
    return 1 + len(re.findall(r"\r\n|\r|\n", text))


def _header(text: str, delimiter: str) -> list[str]:
    """Read the names in the first row that is not blank; none where the delimiter sets off nothing, or cannot be right."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        names = next((row for row in reader if any(map(str.strip, row))), [])
    except csv.Error:
        return []
    return [name.strip() for name in names] if len(names) > 1 else []


def _rows(file: Path, text: str, delimiter: str, skipped: int) -> list[tuple[int, list[str]]]:
    """Read (number of the line where it begins, cells) of the rows that are not blank, the header among them."""
    rows, line = [], skipped + 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                rows.append((line, list(map(from_cell, cells))))
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{shown(file)}, line {line}: this row cannot be read as CSV ({error}): quotes must enclose a whole cell, and be "
            "doubled inside."
        ) from error
    return rows


def _fitted(file: Path, line: int, cells: list[str], columns: list[str], delimiter: str) -> list[str]:
    """Give a row as many cells as there are columns. Raises UserError where one that is not blank is missing, or too many."""
    count = len(columns)
    if any(columns[len(cells) :]) or any(map(str.strip, cells[count:])):
        hint = f" A cell that holds {delimiter!r} must stand in quotes." if len(cells) > count else ""
        raise UserError(
            f"{shown(file)}, line {line}: {count} columns were expected, as in the first line, found {len(cells)}.{hint}"
        )
    return (cells + [""] * count)[:count]
