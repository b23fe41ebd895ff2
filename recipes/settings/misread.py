"""Say in a sentence why a command line cannot be read: the flag that it has wrong, and the nearest that there is."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence

from recipes.errors import shown, some
from recipes.settings.help import Setting, settings

NUMBERS = {int: "a whole number", float: "a number"}
# From which likeness on, of at most 1, a flag may have been meant.
MIN_LIKENESS = 0.7


def reason(command: str, kind: type, arguments: Sequence[str], told: str) -> str:
    """Say what is wrong in a command line that could not be read.

    Args:
        command: its name.
        kind: the dataclass of its settings.
        arguments: the words after the name.
        told: what the parser says of it, for what is not found here.
    """
    members = settings(kind)
    found = next(_faults(command, members, arguments), None) or _plain(told)
    return f"{found}{'' if found.endswith(('?', '.')) else '.'} `zoo {command} --help` lists its flags."


def _plain(told: str) -> str:
    """Take the parser's words out of the box that it draws around them, without title and hint."""
    lines = [line.strip("╭╮╰╯│─ ") for line in told.splitlines() if not line.startswith("╭")]
    return re.sub(r"For full helptext.*", "", " ".join(filter(None, lines))).strip()


def _faults(command: str, members: Sequence[Setting], arguments: Sequence[str]) -> Iterator[str]:
    """List what is wrong, in the order of the words; last what is missing."""
    flags, words, given = {one.flag: one for one in members if not one.is_positional}, list(arguments), []
    while words:
        word = words.pop(0)
        if not _is_flag(word):
            given.append(word)
            continue
        name, is_joined, value = word.partition("=")
        one = flags.get(name.replace("_", "-"))
        if one is None:
            if (opposite := flags.get(f"--{name.removeprefix('--no-')}")) is None or opposite.value:
                yield _unknown(name, flags)
            continue
        if not one.value:
            if is_joined:
                yield f"{name} takes no value, found {shown(value)!r}"
            continue
        values = [value] if is_joined else []
        while words and not _is_flag(words[0]) and (one.is_many or not values):
            values.append(words.pop(0))
        if not values:
            yield f"{name} needs a value behind it: {_expected(one)}"
        yield from (said for value in values if (said := _wrong(one, value)))
    yield from _misplaced(command, [one for one in members if one.is_positional], given, "--recipe" in flags)


def _is_flag(word: str) -> bool:
    """Whether a word is a flag, and not a value such as -1."""
    return bool(re.match(r"--?[A-Za-z]", word))


def _unknown(name: str, flags: Iterable[str]) -> str:
    """Say that there is no such flag, and which is nearest."""
    near = difflib.get_close_matches(name.replace("_", "-").lower(), flags, 1, MIN_LIKENESS)
    return f"There is no flag {shown(name)}{f': did you mean {near[0]}?' if near else ''}"


def _wrong(one: Setting, value: str) -> str | None:
    """Say why a flag cannot have a value; None if it can."""
    if one.choices and value not in one.choices:
        near = difflib.get_close_matches(value.lower(), one.choices, 1)
        hint = f": did you mean {near[0]}?" if near else ""
        return f"{one.flag} must be {_expected(one)}, found {shown(value)!r}{hint}"
    if one.item in NUMBERS:
        try:
            one.item(value)
        except ValueError:
            return f"{one.flag} must be {_expected(one)}, found {shown(value)!r}"
    return None


def _expected(one: Setting) -> str:
    """Say what a flag takes."""
    if one.choices:
        return f"one of {', '.join(one.choices)}"
    return NUMBERS.get(one.item) or ("a path" if one.value.startswith("PATH") else "text")


def _misplaced(command: str, wanted: Sequence[Setting], given: Sequence[str], has_recipe: bool) -> Iterator[str]:
    """Say which words are too many, or which is missing, of those that are no flag's."""
    names = " ".join(one.invocation(80) for one in wanted)
    if len(given) > len(wanted) and not any(one.is_many for one in wanted):
        more = some(given[len(wanted) :])
        yield f"`zoo {command}` takes {names or 'flags alone'}, found {more} as well: a name with spaces needs quotes"
    for one in wanted[len(given) :]:
        if one.is_required:
            yield f"{one.flag} is missing{', or --recipe' if has_recipe else ''}, as in `zoo {command} {names}`"
