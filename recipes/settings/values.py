"""Settings from JSON: each value is of its field's type, and one of its choices, or is refused by name."""

import dataclasses
import difflib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Settings = TypeVar("Settings")
# What a value of JSON is called.
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path, as text"}


def read_object(path: Path) -> dict:
    """Read a file that holds one object of JSON.

    Raises:
        ValueError: it holds something else; a name twice, or a number that is none, among that.
        OSError: it cannot be read.
    """
    try:
        values = json.loads(
            Path(path).read_bytes().decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no text in UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError(f"it holds {_said(values)}, not an object of JSON")
    return values


def from_values(kind: type[Settings], values: Mapping, where: str = "it") -> Settings:
    """Make a dataclass from values of JSON.

    Args:
        where: what the values stand in, for the sentence.

    Raises:
        ValueError: a name is unknown, a value is missing, of another type or no choice; or the class refuses them.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = get_type_hints(kind, include_extras=True)
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            raise ValueError(f"{where} has {name!r}, which is no setting{f': {near[0]!r}?' if near else ''}")
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where} lacks {name!r}")
    return kind(**{name: _read(values[name], hints[name], name) for name in values})


def _read(value: object, kind: Any, name: str) -> object:
    """Read a value of a type. Raises ValueError, naming the setting, for one that is not of it."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    choices = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if value is None and NoneType in choices:
        return None
    for choice in choices:
        if choice is not NoneType and (found := _of_kind(value, choice, name)) is not None:
            return found
    expected = " or ".join(_expected(choice) for choice in choices)
    raise ValueError(f"{name!r} must be {expected}, found {_said(value)}")


def _of_kind(value: object, kind: Any, name: str) -> object | None:
    """Give the value as one of a type, or None if it is none."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return value if isinstance(value, str) and value in get_args(kind) else None
    if dataclasses.is_dataclass(kind):
        return from_values(kind, value, repr(name)) if isinstance(value, dict) else None
    if kind is Path:
        return Path(value) if isinstance(value, str) and value and "\0" not in value else None
    if kind is float and type(value) in (int, float):
        return float(value) if abs(value) < math.inf and abs(value) <= 1e308 else None
    if kind is int and type(value) is float and value.is_integer():  # 1e3
        return int(value)
    return value if type(value) is kind else None


def _expected(kind: Any) -> str:
    """Say what a type allows."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    return "null" if kind is NoneType else _KINDS.get(kind, "an object of JSON")


def _said(value: object) -> str:
    """Write a value of JSON in a few letters."""
    text = json.dumps(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def _once(pairs: list[tuple[str, object]]) -> dict:
    """Make an object of JSON of its pairs. Raises ValueError for a name that comes twice."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"it has {name!r} twice")
    return dict(pairs)


def _refuse_constant(text: str) -> None:
    """Refuse what JSON has no word for. Raises ValueError."""
    raise ValueError(f"it has {text}, which is no number")
