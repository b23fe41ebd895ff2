"""Tables in Parquet, as data frames are saved: the same cells as those of text.

True and False are 1 and 0, nothing is an empty cell, a list holds its items with ";" between, and a number without a fraction
is written without one. The index that pandas adds is no column.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recipes.errors import UserError, shown
from recipes.evaluation.tasks import LABEL_SEPARATOR

MAGIC = b"PAR1"
INDEX = re.compile(r"__index_level_\d+__")


def is_parquet(file: Path) -> bool:
    """Whether a file is a Parquet table, by its first bytes."""
    try:
        with open(file, "rb") as opened:
            return opened.read(len(MAGIC)) == MAGIC
    except OSError:  # told by who reads it
        return False


def read_parquet(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Read the names of the columns, and (number, cells) of the rows, from 1 on.

    Raises:
        UserError: it is damaged, a column holds what is no cell, or pyarrow is missing.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(
            f"{shown(file)} is a Parquet table, which needs pyarrow ({error}): pip install pyarrow, or save it as CSV UTF-8."
        ) from error
    try:
        table = parquet.ParquetFile(file).read()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise UserError(
            f"{shown(file)} cannot be read as a Parquet table ({shown(error).partition(': ')[0]}): save it again."
        ) from error
    names = [name for name in table.column_names if not INDEX.fullmatch(name)]
    columns = [_cells(file, name, table.column(table.column_names.index(name)).to_pylist()) for name in names]
    return [name.strip() for name in names], [(i + 1, list(cells)) for i, cells in enumerate(zip(*columns, strict=True))]


def _cells(file: Path, name: str, values: Iterable[Any]) -> list[str]:
    """Write the values of a column as cells. Raises UserError for what is none."""
    cells = []
    for row, value in enumerate(values, 1):
        where = f"{shown(file)}, row {row}: {shown(name)}"
        if isinstance(value, (bytes, dict)):
            raise UserError(
                f"{where} holds {'bytes' if isinstance(value, bytes) else 'a structure'}, such as a picture itself: save the "
                "pictures as files, and their paths here."
            )
        if isinstance(value, list):
            items = [_cell(item) for item in value]
            if split := next((item for item in items if LABEL_SEPARATOR in item), None):
                raise UserError(f"{where} has the item {shown(split)!r}, with {LABEL_SEPARATOR!r} in it: write it otherwise.")
            cells.append(LABEL_SEPARATOR.join(items))
        else:
            cells.append(_cell(value))
    return cells


def _cell(value: Any) -> str:
    """Write a value as a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
