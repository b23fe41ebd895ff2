"""Findings that are equal are one line: notes on single pictures, grouped by what they say."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from recipes.errors import shown

NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+(?:,\d{3})*(?:\.\d+)?")
NAMED = 2


@dataclass
class _Group:
    """Notes that differ in numbers alone: the first, how many there are, the first paths, and the span of each number."""

    text: str
    count: int = 0
    paths: list[str] = field(default_factory=list)
    spans: list[tuple[str, str]] = field(default_factory=list)

    def add(self, path: str, numbers: list[str]) -> None:
        """Count one more."""
        self.count += 1
        if len(self.paths) < NAMED:
            self.paths.append(shown(path))
        spans = self.spans or [(number, number) for number in numbers]
        self.spans = [
            (min(low, number, key=_value), max(high, number, key=_value))
            for (low, high), number in zip(spans, numbers, strict=True)
        ]

    def sentence(self) -> str:
        """Write the notes as one sentence, with the span of each number that differs."""
        numbers = iter(low if low == high else f"{low} to {high}" for low, high in self.spans)
        text = NUMBER.sub(lambda _: next(numbers), self.text)
        if self.count == 1:
            return f"{self.paths[0]}: {text}."
        more = f" and {self.count - NAMED:,} more" if self.count > NAMED else ""
        return f"{self.count:,} pictures, {', '.join(self.paths)}{more}: {text}."


class Notes:
    """Notes on pictures, however many, of which only what differs is kept."""

    def __init__(self):
        self._groups: dict[str, _Group] = {}

    def add(self, path: str, text: str) -> None:
        """Take a picture's notes, several of them separated by "; "."""
        for note in filter(None, text.split("; ")):
            self._groups.setdefault(NUMBER.sub("#", note), _Group(note)).add(path, NUMBER.findall(note))

    def sentences(self) -> list[str]:
        """Write them: those that differ in numbers alone are one, with the lowest and the highest."""
        return [group.sentence() for group in self._groups.values()]


def grouped(notes: Iterable[tuple[str, str]]) -> list[str]:
    """Write notes (path, text) as `Notes` does."""
    found = Notes()
    for path, text in notes:
        found.add(path, text)
    return found.sentences()


def _value(number: str) -> float:
    """Read a number as it stands in a note."""
    return int(number, 16) if number.startswith("0x") else float(number.replace(",", ""))
