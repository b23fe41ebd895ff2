"""List the architectures and their weights; neither is built, so that Keras is not imported.

zoo models [PATTERN]              # 'resnet*'; a row for each builder
zoo models [PATTERN] --weights    # a row for each file; --json, --csv
zoo models --recommended          # which to begin with
python -m recipes.models [PATTERN]

0.20 s from the process' start to its end (median of 5; 2 CPU cores, Python 3.11, tyro 1.0).
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import csv
import dataclasses
import io
import json
from collections.abc import Iterable

from recipes.console import say
from recipes.errors import UserError
from recipes.settings.models import Models
from zoo import facts
from zoo.patterns import matching
from zoo.tables import align
from zoo.weights import catalog
from zoo.weights.catalog import recommended
from zoo.weights.catalog.entry import Entry
from zoo.weights.places import is_local

FIELDS = [*(field.name for field in dataclasses.fields(Entry)), "crop"]
BUILDERS = ("model", "parameters", "multiply-adds", "input", "top-1", "weights", "files", "licences")
FILES = (
    *("model", "variant", "weights", "parameters", "multiply-adds", "input", "top-1", "file", "licence"),
    "stages (stride:channels)",
)
RECOMMENDED = ("budget", "model", "weights", "parameters", "multiply-adds", "input", "top-1", "file", "licence", "why")


def run(settings: Models) -> str:
    """Print the table, and return what was printed.

    Raises:
        UserError: no model's name matches the pattern, or none of those is recommended.
    """
    known = [*(known.model for known in facts.read()), *(entry.model for entry in catalog.ENTRIES)]
    names = matching(dict.fromkeys(known), settings.pattern)
    if not names:
        raise UserError(f"No model matches {settings.pattern!r}: `zoo models` lists all; patterns are like 'resnet*'.")
    chosen = [one for one in recommended.RECOMMENDED if one.model in names]
    if settings.recommended and not chosen:
        raise UserError(f"Of what matches {settings.pattern!r} nothing is recommended: leave the pattern out.")
    if settings.json or settings.csv:
        rows = [advised(one) for one in chosen] if settings.recommended else [row for name in names for row in records(name)]
        text = json.dumps(rows, indent=2) if settings.json else _csv(rows)
    elif settings.recommended:
        text = "\n".join(advice(chosen))
    elif settings.weights:
        text = "\n".join(table([row for name in names for row in records(name)]))
    else:
        text = "\n".join(overview(names))
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


def advised(one: recommended.Recommendation) -> dict:
    """Collect what is recommended for a budget, why, and all that the catalog says of it."""
    return {
        **{"budget": one.tier, "reason": one.reason, "reason_source": one.source},
        **_record(one.entry, facts.of(one.entry)),
    }


def overview(names: Iterable[str]) -> list[str]:
    """Align a line for each model, with a header: its most accurate weights, and what holds for all of them."""
    cells = []
    for name in names:
        entries, row = catalog.entries(name), most_accurate(name)
        here = ", ".join(dict.fromkeys(entry.tag for entry in entries if is_local(entry)))
        files = f"here: {here}" if here else "to fetch" if entries else "-"
        cells.append((name, *_costs(row), _tag(row), files, ", ".join(dict.fromkeys(entry.license for entry in entries))))
    return align([BUILDERS, *cells], "<>>>><<<")


def most_accurate(model: str) -> dict:
    """Find the record of the model's most accurate weights, of those that allow commercial use if there are any.

    Weights for another width than the builder's own are of another network, and left out.
    """
    forms = [known for known in facts.read() if known.model == model and not known.options]
    widths = [None, *map(_channels, forms)]
    entries = [entry for entry in catalog.entries(model) if _channels(facts.of(entry)) in widths]
    chosen = [entry for entry in entries if entry.commercial] or entries
    best = max(chosen, key=lambda entry: entry.top1 or 0.0, default=None)
    return _record(best, facts.of(best)) if best else _record(forms[0], forms[0])


def table(rows: list[dict]) -> list[str]:
    """Align a line for each file of weights, with a header."""
    cells = [
        (
            *(row["model"], row["variant"], _tag(row), *_costs(row)),
            *(_state(row), row["license"] or "", " ".join(_stage(stage) for stage in row["stages"] or ())),
        )
        for row in rows
    ]
    return align([FILES, *cells], "<<<>>>><<<")


def advice(chosen: Iterable[recommended.Recommendation]) -> list[str]:
    """Align a line for each recommendation, with a header."""
    rows = map(advised, chosen)
    cells = [
        (
            row["budget"],
            row["model"],
            _tag(row),
            *_costs(row),
            _state(row),
            row["license"],
            f"{row['reason']} ({row['reason_source']})",
        )
        for row in rows
    ]
    return align([RECOMMENDED, *cells], "<<<>>>><<<")


def _record(known: Entry | facts.Facts, measured: facts.Facts | None) -> dict:
    """Join what the catalog knows with what was measured, and with whether the file is here."""
    record = {name: getattr(known, name, None) for name in FIELDS}
    stages = [dataclasses.asdict(stage) for stage in measured.stages] if measured else None
    here = is_local(known) if isinstance(known, Entry) else None
    return {**record, "multiply_adds": measured and measured.multiply_adds, "stages": stages, "here": here}


def _channels(known: facts.Facts | None) -> list[int] | None:
    """List the channels of the stages, which tell a width from another; None where they are not known."""
    return known and [stage.channels for stage in known.stages]


def _tag(row: dict) -> str:
    """Write the tag with the builder arguments that the file is for."""
    return " ".join([row["tag"] or "-", *(f"{name}={value}" for name, value in row["options"].items())])


def _costs(row: dict) -> tuple[str, str, str, str]:
    """Write parameters, multiply-adds, input and accuracy."""
    accuracy = f"{row['top1']:.2f}" if row["top1"] is not None else ""
    return f"{row['parameters']:,}", _rounded(row["multiply_adds"]), " × ".join(map(str, row["input_shape"])), accuracy


def _state(row: dict) -> str:
    """Write whether the file is here."""
    return {None: "-", True: "here", False: "to fetch"}[row["here"]]


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
