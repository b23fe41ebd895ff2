"""What a command says: lines, tables of aligned text, the table that it ends with, and what to type next."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence

from recipes.errors import shown
from zoo.tables import align

STANDARD_OUTPUT = "<stdout>"


def percent(share: float, digits: int = 1) -> str:
    """Write a share in percent, as all of the project does."""
    return f"{100 * share:.{digits}f} %"


def quantity(number: int, word: str) -> str:
    """Write a number of things, one or many."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}{'es' if word.endswith('s') else 's'}"


def with_interval(share: float, interval: Sequence[float] | None) -> str:
    """Write a share in percent, and its interval (low, high) behind it, where it has one."""
    return percent(share) + (f" ({percent(interval[0])} to {percent(interval[1])})" if interval else "")


def say(line: str = "", end: str = "\n") -> None:
    """Print lines for the user; names that cannot be printed do not end a run, and none reaches the terminal as a command.

    Raises:
        OSError: the output is full, or nobody reads it; its `filename` is STANDARD_OUTPUT.
    """
    _write("\n".join(map(shown, line.split("\n"))), end)


def show(rows: Sequence[Mapping]) -> None:
    """Print a table: on a terminal with lines, as wide as that; elsewhere as aligned text, without a single code.

    Raises:
        OSError: as `say` does.
    """
    if not sys.stdout.isatty():
        say(table(rows))
        return
    from rich import box  # not at the top: it takes a tenth of a second
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD)
    for name in rows[0]:
        is_number = isinstance(rows[0][name], int | float)
        drawn.add_column(Text(shown(name)), justify="right" if is_number else "left")
    for row in rows:
        drawn.add_row(*(Text(_cell(value)) for value in row.values()))
    console = Console(file=sys.stdout, width=shutil.get_terminal_size().columns)
    with console.capture() as captured:  # so that a letter that the terminal does not have ends no run
        console.print(drawn)
    _write(captured.get(), "")


def suggest(steps: Mapping[str, Sequence[str | os.PathLike]]) -> None:
    """Print commands that a user may want next, quoted for the shell, each below what it is for.

    One with a name that cannot be printed is left out, for it could not be pasted.

    Args:
        steps: the words of each command, by what it is for.
    """
    lines = {purpose: shlex.join(map(os.fspath, words)) for purpose, words in steps.items() if words}
    lines = {purpose: line for purpose, line in lines.items() if shown(line) == line and _is_writable(line)}
    if lines:
        say("\n".join(["", "next:", *(f"  {purpose}:\n    {line}" for purpose, line in lines.items())]))


def _is_writable(text: str) -> bool:
    """Whether the standard output has all of the text's letters."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _write(line: str, end: str) -> None:
    """Write text as it is, but for letters that the standard output does not have. Raises OSError as `say` does."""
    encoding = sys.stdout.encoding or "utf-8"
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
    """Write a value so that it can be seen, in four digits; a dash for None."""
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else shown(value)


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
