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
