"""What a command says: lines, and tables of aligned text."""

import sys
from collections.abc import Mapping, Sequence


def say(line: str = "") -> None:
    """A line for the user; file names that cannot be printed do not end a run."""
    encoding = sys.stdout.encoding or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def table(rows: Sequence[Mapping]) -> str:
    """Rows of one set of keys as aligned text: numbers to the right, words to the left."""
    columns = list(rows[0])
    cells = [columns, *([_cell(row[c]) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    right = [isinstance(rows[0][c], int | float) for c in columns]
    lines = [
        "  ".join(text.rjust(w) if r else text.ljust(w) for text, w, r in zip(line, widths, right, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join(lines)


def _cell(value) -> str:
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
