"""What `zoo COMMAND --help` prints: everyday flags first, the others in groups, defaults in words, and examples.

A command's dataclass says what it needs for that: its fields with their help, and as class variables EVERYDAY, the names of
six to eight fields that most users want, and EXAMPLES, two command lines. Without EVERYDAY its flags are one list.
"""

import ast
import dataclasses
import inspect
import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from tyro.conf import Positional, Suppress

# Fields by group, in the order of the page; those that no group names come last, in RUN.
GROUPS = {
    "data": ("labels", "columns", "groups", "data_dir", "corrections"),
    "model": ("model", "weights", "alpha", "variant", "preprocessing", "image_size"),
    "search": ("scope", "tuner", "trials", "workers", "storage", "study", "keep", "disk"),
    "training": (
        *("strategy", "budget", "epochs", "learning_rate", "optimizer", "batch_size", "batch_norm", "augment", "mirror"),
        *("balance", "precision", "devices"),
    ),
    "head": ("head", "pooling"),
    "evaluation": ("validation", "test", "keep_leaks", "seeds", "folds"),
}
EVERYDAY, RUN = "everyday", "run"
NUMBERS = {int: "N", float: "X", Path: "PATH", str: "TEXT"}
MAX_WIDTH = 100
# From this width on, flags stand beside what they do, in a column of their own.
MIN_WIDTH_OF_COLUMNS, COLUMN, NO_COLUMN = 72, 22, 4


@dataclasses.dataclass(frozen=True)
class Setting:
    """A field of a command's dataclass, as its help shows it."""

    name: str
    kind: Any  # its type, without None and annotations
    text: str
    default: object  # dataclasses.MISSING if there is none
    is_positional: bool

    @property
    def flag(self) -> str:
        """How it is written: a flag, or the name of an argument without one."""
        return self.name.upper() if self.is_positional else f"--{self.name.replace('_', '-')}"

    @property
    def is_required(self) -> bool:
        """Whether it must be given."""
        return self.default is dataclasses.MISSING

    @property
    def choices(self) -> tuple[str, ...]:
        """The words it may be; () if it is open."""
        return get_args(self.item) if get_origin(self.item) is Literal else ()

    @property
    def value(self) -> str:
        """What follows the flag, such as PATH; "" if nothing does."""
        if self.kind is bool:
            return ""
        word = f"{{{','.join(self.choices)}}}" if self.choices else NUMBERS[self.item]
        return f"{word} ..." if self.is_many else word

    def invocation(self, width: int) -> str:
        """Write the flag and what follows it; words that do not fit into the width are left to `explanation`."""
        if self.is_positional:
            text = f"{self.flag} ..." if self.is_many else self.flag
            return text if self.is_required else f"[{text}]"
        text = f"{self.flag} {self.value}".rstrip()
        return text if len(text) <= width else f"{self.flag} WORD"

    def explanation(self, width: int) -> str:
        """Say what it does, and its default in words: a text says itself what happens where nothing is given."""
        parts = [self.text]
        if self.invocation(width).endswith(" WORD"):
            parts.append(f"One of {', '.join(self.choices)}.")
        if self.value and self.default is not None and self.default not in ((), dataclasses.MISSING):
            value = " ".join(map(str, self.default)) if self.is_many else self.default
            parts.append(f"Default: {value}.")
        return " ".join(parts)

    @property
    def is_many(self) -> bool:
        """Whether it takes several values."""
        return get_origin(self.kind) is tuple

    @property
    def item(self) -> Any:
        """The type of each of many values, or of the one."""
        return get_args(self.kind)[0] if self.is_many else self.kind


def page(name: str, kind: type) -> str:
    """Write the help of a command, as wide as the terminal.

    Args:
        name: the command's.
        kind: the dataclass of its settings.
    """
    width = max(40, min(shutil.get_terminal_size().columns, MAX_WIDTH))
    found = settings(kind)
    positional = [one for one in found if one.is_positional]
    usage = ["usage: zoo", name, *(one.invocation(width) for one in positional), "[FLAGS]"]
    lines = [" ".join(usage), *_paragraphs(inspect.getdoc(kind) or "", width), ""]
    lines += _list(positional, width)
    for title, members in _grouped(kind, [one for one in found if not one.is_positional]):
        lines += ["", f"{title}:", *_list(members, width)]
    lines += _entry("-h, --help", "This page.", width)
    if examples := getattr(kind, "EXAMPLES", ()):
        lines += ["", "examples:", *(f"  {example}" for example in examples)]
    return "\n".join(lines)


def settings(kind: type) -> list[Setting]:
    """List the fields of a command's dataclass that a user can give, in its order."""
    hints, found = get_type_hints(kind, include_extras=True), []
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        marks = hint.__metadata__ if get_origin(hint) is Annotated else ()
        if Suppress in marks:
            continue
        helps = [mark.help for mark in marks if getattr(mark, "help", None)]
        text = " ".join((helps[0] if helps else _text(kind, field.name)).split())
        name = next((mark.name for mark in marks if getattr(mark, "name", None)), field.name)
        found.append(Setting(name, _bare(hint), text, field.default, Positional in marks))
    return found


def _bare(hint: Any) -> Any:
    """Give the type without its annotations, and without None."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return _bare(next(one for one in get_args(hint) if one is not NoneType))
    return hint


def _text(kind: type, name: str) -> str:
    """Find the help below a field, in the class that declares it last; "" if there is none."""
    return next((texts[name] for owner in kind.__mro__ if name in (texts := _texts(owner))), "")


@cache
def _texts(owner: type) -> dict[str, str]:
    """Read the help of a class' own fields: the text that stands below each."""
    if not dataclasses.is_dataclass(owner):
        return {}
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    return {
        field.target.id: below.value.value
        for field, below in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }


def _grouped(kind: type, found: Sequence[Setting]) -> Iterator[tuple[str, list[Setting]]]:
    """Divide the flags into groups, each with its title."""
    everyday = getattr(kind, "EVERYDAY", ())
    if not everyday:
        yield "flags", list(found)
        return
    by_name = {one.name: one for one in found}
    yield EVERYDAY, [by_name.pop(name) for name in everyday]
    for title, names in GROUPS.items():
        if members := [by_name.pop(name) for name in names if name in by_name]:
            yield title, members
    yield RUN, list(by_name.values())


def _list(members: Sequence[Setting], width: int) -> list[str]:
    """Write a list of flags with what they do."""
    room = width - 2
    return [line for one in members for line in _entry(one.invocation(room), one.explanation(room), width)]


def _entry(invocation: str, text: str, width: int) -> list[str]:
    """Write a flag, and beside it what it does; below it, where the flag is long."""
    column = COLUMN if width >= MIN_WIDTH_OF_COLUMNS else NO_COLUMN
    indent = " " * (2 + column + 2)
    lines = _wrapped(text, width - len(indent)) or [""]
    if len(invocation) > column:
        return [f"  {invocation}", *(indent + line for line in lines)]
    first, *others = lines
    return [f"  {invocation:<{column}}  {first}".rstrip(), *(indent + line for line in others)]


def _paragraphs(text: str, width: int) -> Iterator[str]:
    """Wrap each paragraph of a text, with an empty line before it."""
    for paragraph in text.split("\n\n"):
        yield ""
        yield from _wrapped(paragraph, width)


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines, between words alone, and neither in what is quoted nor before a default."""
    bound = re.sub(r"`[^`]*`|Default: \S+", lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), " ".join(text.split()))
    lines = textwrap.wrap(bound, width, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
