"""What a command says: lines, and tables of aligned text."""

import sys
from collections.abc import Mapping, Sequence

from recipes.errors import shown
from zoo.tables import align

STANDARD_OUTPUT = "<stdout>"


def say(line: str = "", end: str = "\n") -> None:
    """Print lines for the user; names that cannot be printed do not end a run, and none reaches the terminal as a command.

    Raises:
        OSError: the output is full, or nobody reads it; its `filename` is STANDARD_OUTPUT.
    """
    encoding = sys.stdout.encoding or "utf-8"
    line = "\n".join(map(shown, line.split("\n")))
    try:
        print(line.encode(encoding, "backslashreplace").decode(encoding), end=end, flush=True)
    except OSError as error:
        error.filename = STANDARD_OUTPUT
        raise


def table(rows: Sequence[Mapping]) -> str:
    """Align rows of one set of keys as text, below their names: numbers to the right, words to the left."""
    columns = list(rows[0])
    cells = [columns, *([_cell(row[c]) for c in columns] for row in rows)]
    alignment = "".join(">" if isinstance(rows[0][c], int | float) else "<" for c in columns)
    return "\n".join(align(cells, alignment))


def _cell(value: object) -> str:
    """Write a value in four digits; a dash for None."""
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


class Columns:
    """Columns of a table whose rows are printed as they come.

    Args:
        names: stand above the first row.
        widths: of each column, as far as they are known; one with a wider cell grows.
    """

    def __init__(self, names: Sequence[str], widths: Sequence[int]):
        self._names, self._widths = names, [max(width, len(name)) for name, width in zip(names, widths, strict=True)]

    def row(self, cells: Sequence[str]) -> str:
        """Align a row, the first below the names."""
        self._widths = [max(width, len(cell)) for width, cell in zip(self._widths, cells, strict=True)]
        rows, self._names = [self._names, cells] if self._names else [cells], ()
        lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, self._widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)
