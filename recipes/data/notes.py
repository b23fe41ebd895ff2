"""Findings that are equal are one line: notes on single pictures, grouped by what they say."""

import re
from collections import defaultdict
from collections.abc import Iterable

from recipes.errors import shown

NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+(?:,\d{3})*(?:\.\d+)?")
NAMED = 2


def grouped(notes: Iterable[tuple[str, str]]) -> list[str]:
    """Write notes (path, text) as sentences: those that differ in numbers alone are one, with the lowest and the highest.

    Several notes on a picture are separated by "; ".
    """
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path, text in notes:
        for note in filter(None, text.split("; ")):
            groups[NUMBER.sub("#", note)].append((path, note))
    findings = []
    for group in groups.values():
        text, paths = _spanned([note for _, note in group]), [shown(path) for path, _ in group]
        more = f" and {len(paths) - NAMED:,} more" if len(paths) > NAMED else ""
        findings.append(
            f"{paths[0]}: {text}." if len(paths) == 1 else f"{len(paths):,} pictures, {', '.join(paths[:NAMED])}{more}: {text}."
        )
    return findings


def _spanned(notes: list[str]) -> str:
    """Write notes of one kind as one, with the span of each number that differs."""
    columns = zip(*(NUMBER.findall(note) for note in notes), strict=True)
    spans = []
    for column in columns:
        ordered = sorted(set(column), key=_value)
        spans.append(ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}")
    numbers = iter(spans)
    return NUMBER.sub(lambda _: next(numbers), notes[0])


def _value(number: str) -> float:
    """Read a number as it stands in a note."""
    return int(number, 16) if number.startswith("0x") else float(number.replace(",", ""))
