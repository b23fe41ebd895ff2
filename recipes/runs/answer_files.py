"""Answers as files that other programs read, written as they come: CSV, JSON and Parquet.

Each is there as a whole or, if the command is ended, not at all. They hold the same of each picture, one that could not be read
included: its path, the prediction with its probability, the likeliest classes or all of them, the note and the error.
"""

import contextlib
import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.errors import shown
from recipes.evaluation.tasks import LABEL_SEPARATOR
from recipes.runs.answers import Answer
from zoo.disk import written
from zoo.files import as_cell, replacing

# Digits that tell one 32-bit number from the next.
DIGITS = 9
# Of a Parquet file, in memory until they are written together.
CELLS_A_GROUP = 500_000

Write = Callable[[Answer], None]


@dataclass(frozen=True)
class Layout:
    """Which classes stand beside the prediction.

    Args:
        classes: of the run, in the order of its outputs.
        top: how many are ranked; the first of them is the prediction where classes exclude each other.
        all_classes: every class instead, in that order.
        has_sets: whether each picture has a set of classes.
    """

    classes: Sequence[str]
    top: int
    all_classes: bool
    has_sets: bool = False

    @property
    def columns(self) -> dict[str, type]:
        """The columns of a table, each with the type of its cells."""
        named = {"path": str, "prediction": str, "probability": float}
        if self.all_classes:
            more = {f"probability_of_{name}": float for name in self.classes}
        else:
            ranks = range(2, min(self.top, len(self.classes)) + 1)
            more = {f"{what}_{rank}": kind for rank in ranks for what, kind in (("prediction", str), ("probability", float))}
        sets = {"set": str} if self.has_sets else {}
        return named | more | sets | {"unknown": bool, "note": str, "error": str}

    def row(self, answer: Answer) -> list[str | float | bool | None]:
        """Write an answer as the cells of a row; None for what there is nothing to say of."""
        start = [answer.path, answer.prediction, _number(answer.probability)]
        if self.all_classes:
            more = list(map(_number, answer.probabilities or [None] * len(self.classes)))
        else:
            ranks = min(self.top, len(self.classes)) - 1
            pairs = answer.ranked[1:] or [(None, None)] * ranks
            more = [cell for name, share in pairs for cell in (name, _number(share))]
        sets = [None if answer.set is None else LABEL_SEPARATOR.join(answer.set)] if self.has_sets else []
        return [*start, *more, *sets, answer.is_unknown, answer.note or None, answer.error or None]

    def as_dict(self, answer: Answer) -> dict:
        """Write an answer as an object for JSON."""
        pairs = zip(self.classes, answer.probabilities, strict=False) if self.all_classes else answer.ranked
        return {
            "path": answer.path,
            "prediction": answer.prediction,
            "probability": _number(answer.probability),
            "probabilities": {name: _number(share) for name, share in pairs},
            **({"set": answer.set} if self.has_sets else {}),
            "unknown": answer.is_unknown,
            "note": answer.note or None,
            "error": answer.error or None,
        }


def _number(value: float | None) -> float | None:
    """Write a 32-bit number without the digits that it does not have."""
    return None if value is None else float(f"{value:.{DIGITS}g}")


@contextlib.contextmanager
def csv_file(path: Path, layout: Layout) -> Iterator[Write]:
    """Write a table of text, its cells guarded as `zoo.files.as_cell` does. Raises WriteError."""
    with replacing(path) as new, contextlib.ExitStack() as stack:
        with written(path):
            file = stack.enter_context(open(new, "w", newline="", encoding="utf-8", errors="surrogateescape"))
            writer = csv.writer(file)
            writer.writerow(map(as_cell, layout.columns))

        def write(answer: Answer) -> None:
            with written(path):
                writer.writerow([as_cell(_lower(cell)) for cell in layout.row(answer)])

        yield write


def _lower(cell: str | float | bool | None) -> str | float | None:
    """Write what is true or false as JSON does."""
    return str(cell).lower() if isinstance(cell, bool) else cell


@contextlib.contextmanager
def json_file(path: Path, layout: Layout) -> Iterator[Write]:
    """Write an object a line: a list of them, if the file ends in .json. Raises WriteError."""
    is_list, count = path.suffix.lower() == ".json", 0
    with replacing(path) as new, contextlib.ExitStack() as stack:
        with written(path):
            file = stack.enter_context(open(new, "w", encoding="utf-8"))

        def write(answer: Answer) -> None:
            nonlocal count
            before = ("[\n" if count == 0 else ",\n") if is_list else ""
            with written(path):
                file.write(f"{before}{as_line(answer, layout)}{'' if is_list else chr(10)}")
            count += 1

        yield write
        if is_list:
            with written(path):
                file.write("\n]\n" if count else "[]\n")


def as_line(answer: Answer, layout: Layout) -> str:
    """Write an answer as one line of JSON."""
    return json.dumps(layout.as_dict(answer), allow_nan=False)


@contextlib.contextmanager
def parquet_file(path: Path, layout: Layout) -> Iterator[Write]:
    """Write a Parquet table, a group of rows at a time. Raises WriteError."""
    import pyarrow
    from pyarrow import parquet

    kinds = {str: pyarrow.string(), float: pyarrow.float32(), bool: pyarrow.bool_()}
    schema = pyarrow.schema([(shown(name), kinds[kind]) for name, kind in layout.columns.items()])
    rows: list[list] = []
    with replacing(path) as new, contextlib.ExitStack() as stack:
        with written(path):
            file = stack.enter_context(open(new, "wb"))
            table = stack.enter_context(parquet.ParquetWriter(file, schema))

        def flush() -> None:
            columns = zip(*rows, strict=True)
            arrays = [pyarrow.array(map(_text, column), kind) for column, kind in zip(columns, schema.types, strict=True)]
            with written(path):
                table.write_batch(pyarrow.record_batch(arrays, schema=schema))
            rows.clear()

        def write(answer: Answer) -> None:
            rows.append(layout.row(answer))
            if len(rows) * len(schema) >= CELLS_A_GROUP:
                flush()

        yield write
        if rows:
            flush()
        with written(path):
            table.close()


def _text(cell: str | float | bool | None) -> str | float | bool | None:
    """Escape bytes of a name that are no UTF-8, which Parquet cannot hold."""
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell


FILES = {"csv": csv_file, "json": json_file, "parquet": parquet_file}
