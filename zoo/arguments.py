"""Arguments as they are meant, NumPy's numbers among them, or one sentence: what was expected, and what was found."""

import difflib
import math
import numbers
import types
import typing
from collections.abc import Mapping

import keras
import numpy as np

Shape = tuple[int | None, int | None, int]
MOST_CHANNELS = 4  # more than that in front is a height


def integer(value: object, expected: str, least: int = 0) -> int:
    """Read a whole number; a truth value is none.

    Raises:
        ValueError: it is not, or is below `least`: what was `expected`, and what was found.
    """
    if not _is_whole(value) or value < least:
        raise ValueError(f"{expected}, found {shown(value)}.")
    return int(value)


def number(value: object, expected: str, least: float = -math.inf, below: float = math.inf) -> float:
    """Read a finite number; a truth value is none.

    Raises:
        ValueError: it is not, or is not in [least, below): what was `expected`, and what was found.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (is_number and math.isfinite(value) and least <= value < below):
        raise ValueError(f"{expected}, found {shown(value)}.")
    return value.item() if isinstance(value, np.generic) else value


def flag(value: object, expected: str) -> bool:
    """Read a truth value. Raises ValueError for anything else: what was `expected`, and what was found."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{expected}, found {shown(value)}.")
    return bool(value)


def rate(value: object, argument: str) -> float:
    """Read a rate of dropout. Raises ValueError: it is none."""
    return number(value, f"{argument} must be a number in [0, 1)", 0, 1)


def penalty(value: object, argument: str) -> float:
    """Read how strong a penalty is. Raises ValueError: that is no number, or below 0."""
    return number(value, f"{argument} must be a number, 0 or positive", 0)


def annotated(owner: str, annotations: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    """Read what is given for arguments annotated as bool, int or float, or as one of these or None; leave all others.

    Raises:
        ValueError: a value is of another type.
    """
    readers = {bool: (flag, "True or False"), int: (integer, "0 or a positive integer"), float: (number, "a number")}
    values = dict(given)
    for name in annotations.keys() & given.keys():
        allowed = typing.get_args(annotations[name]) or (annotations[name],)
        kind = next((kind for kind in allowed if kind in readers), None)
        if kind and not (given[name] is None and types.NoneType in allowed):
            read, expected = readers[kind]
            values[name] = read(given[name], f"{owner}: {name} must be {expected}")
    return values


def read_shape(value: object, owner: str, usual: Shape, least: int, multiple: int, any_size: bool) -> Shape:
    """Read the shape of pictures, `(height, width, channels)`.

    Args:
        owner: who takes them, which the sentence names.
        usual: the shape that they have if none is given.
        least: the smallest height and width.
        multiple: what height and width must be multiples of.
        any_size: whether they may be None.

    Raises:
        ValueError: it is no such shape; the sentence gives the one that was meant, if it can be told.
    """
    try:
        sides = (value,) if isinstance(value, str) else tuple(value)
    except (TypeError, NotImplementedError):  # a Keras tensor refuses by the second
        sides = (value,)
    found = f"found {shown(value)}"
    if len(sides) != 3 or not _is_whole(sides[2]) or sides[2] < 1 or (sides[0] != least and _is_channels_first(sides)):
        meant = _shape_meant(sides, usual[2])
        raise ValueError(f"{owner}: input_shape must be (height, width, channels), {found}{meant}.")
    if not all(side is None or _is_whole(side) for side in sides[:2]):
        raise ValueError(f"{owner}: height and width must be whole numbers, {found}.")
    if None in sides and not any_size:
        raise ValueError(f"{owner} needs a fixed height and width, {found}.")
    sizes = [int(side) for side in sides[:2] if side is not None]
    if any(size < least for size in sizes):
        raise ValueError(f"{owner}: height and width must be {least} or more, {found}.")
    if any(size % multiple for size in sizes):
        near = tuple(max(least, (size + multiple // 2) // multiple * multiple) for size in sizes)
        raise ValueError(f"{owner}: height and width must be multiples of {multiple}, {found}: give {(*near, int(sides[2]))}.")
    height, width, channels = (None if side is None else int(side) for side in sides)
    return height, width, channels


def _shape_meant(sides: tuple, channels: int) -> str:
    """Guess what was meant by numbers that are no shape, as the end of a sentence."""
    if not sides or not all(side is None or _is_whole(side) for side in sides):
        return ""
    why, sides = (" with the batch", sides[1:]) if len(sides) == 4 else ("", sides)
    if len(sides) == 3 and _is_channels_first(sides):
        why, sides = f"{why}{' and' * bool(why)} with the channels first", (*sides[1:], sides[0])
    if len(sides) < 3:
        sides = (sides[0], sides[-1], channels)
    return f"{why}: give {sides}" if len(sides) == 3 and sides[2] else why


def _is_channels_first(sides: tuple) -> bool:
    first, _, last = sides
    return _is_whole(first) and 0 < first <= MOST_CHANNELS and (last is None or (_is_whole(last) and last > MOST_CHANNELS))


def check_activation(value: object, owner: str) -> None:
    """Refuse what Keras takes for no activation. Raises ValueError."""
    try:
        keras.activations.get(value)
    except (ValueError, TypeError):
        near = difflib.get_close_matches(value.lower(), dir(keras.activations), n=1) if isinstance(value, str) else []
        raise ValueError(
            f'{owner}: activation must be a name in keras.activations, such as "softmax", or None for logits, found '
            f"{shown(value)}{f'; did you mean {near[0]!r}?' if near else '.'}"
        ) from None


def check_model(model: object, caller: str) -> None:
    """Refuse what is no Keras model, such as a builder that was not called. Raises ValueError."""
    if not isinstance(model, keras.Model):
        call = f": call it, {model.__name__}()" if isinstance(model, types.FunctionType) else ""
        raise ValueError(f"{caller} needs a Keras model, found {shown(model)}{call}.")


def check_layer_name(name: object, expected: str) -> None:
    """Refuse what is no name of a stage or a layer. Raises ValueError: what was `expected`, and what was found."""
    if not isinstance(name, str):
        raise ValueError(f"{expected}, found {shown(name)}.")


def shown(value: object) -> str:
    """Write a value as Python does, or its type where that would not fit into a sentence."""
    if isinstance(value, types.FunctionType):
        return f"the function {value.__name__}"
    text = repr(value)
    return text if len(text) <= 80 and "\n" not in text else f"an object of the class {type(value).__name__}"


def _is_whole(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
