"""List all architectures and their weights.

zoo models [PATTERN]              # 'resnet*'; --json, --csv
python -m recipes.models [PATTERN]
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import csv
import dataclasses
import io
import json

import zoo
from recipes.console import say
from recipes.errors import UserError
from recipes.settings.models import Models
from zoo import analysis, facts
from zoo.weights import catalog
from zoo.weights.catalog.entry import Entry

FIELDS = [*(field.name for field in dataclasses.fields(Entry)), "crop"]
HEADER = ("model", "variant", "weights", "parameters", "multiply-adds", "input", "top-1", "stages (stride:channels)")


def run(settings: Models) -> str:
    """Print a row for each set of weights, and for each variant that has none; return what was printed.

    Raises:
        UserError: no model's name matches the pattern, or two formats were asked for.
    """
    if settings.json and settings.csv:
        raise UserError("Choose one of --json and --csv.")
    names = zoo.list_models(settings.pattern)
    if not names:
        raise UserError(f"No model matches {settings.pattern!r}: `zoo models` lists all; patterns are like 'resnet*'.")
    rows = [record for name in names for record in records(name)]
    text = json.dumps(rows, indent=2) if settings.json else _csv(rows) if settings.csv else "\n".join(table(rows))
    say(text)
    return text


def records(model: str) -> list[dict]:
    """Collect all that the catalog says of each of the model's weights, with their multiply-adds and stages.

    A variant without weights has a record, too, whose other fields are None.
    """
    entries = catalog.entries(model)
    found = [_record(entry, facts.of(entry)) for entry in entries]
    with_weights = {entry.variant for entry in entries}
    bare = [known for known in facts.read() if known.model == model and known.variant not in with_weights]
    return found + [_record(known, known) for known in bare]


def table(rows: list[dict]) -> list[str]:
    """Align the records as lines, with a header."""
    cells = [
        (
            row["model"],
            row["variant"],
            " ".join([row["tag"] or "-", *(f"{name}={value}" for name, value in row["options"].items())]),
            f"{row['parameters']:,}",
            _rounded(row["multiply_adds"]),
            " × ".join(map(str, row["input_shape"])),
            f"{row['top1']:.2f}" if row["top1"] is not None else "",
            " ".join(_stage(stage) for stage in row["stages"] or ()),
        )
        for row in rows
    ]
    return analysis.align([HEADER, *cells], "<<<>>>><")


def _record(known: Entry | facts.Facts, measured: facts.Facts | None) -> dict:
    """Join what the catalog knows with what was measured."""
    record = {name: getattr(known, name, None) for name in FIELDS}
    stages = [dataclasses.asdict(stage) for stage in measured.stages] if measured else None
    return {**record, "multiply_adds": measured and measured.multiply_adds, "stages": stages}


def _stage(stage: dict) -> str:
    """Write a stage as its stride and channels; a vector has channels only."""
    return f"{stage['stride']}:{stage['channels']}" if stage["stride"] else str(stage["channels"])


def _rounded(number: int | None) -> str:
    """Write a number in three digits, such as 4.09 G."""
    if number is None:
        return "?"
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return str(number)


def _csv(rows: list[dict]) -> str:
    """Write the records as CSV, with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _flat(value) for name, value in row.items()} for row in rows)
    return text.getvalue().removesuffix("\n")


def _flat(value: object) -> object:
    """Write a value into a cell of a CSV file."""
    if isinstance(value, dict):
        return " ".join(f"{name}={of}" for name, of in value.items())
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    if isinstance(value, list):
        return " ".join(f"{stage['name']}={_stage(stage)}" for stage in value)
    return value
