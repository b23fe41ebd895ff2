"""What the user's configuration has Keras do: keras.json and the variables that begin with KERAS_. Imports nothing heavy.

Commands compute with one set of settings, so that a number means the same on every machine; which backend is free.
"""

import difflib
import importlib.util
import json
import os
import sys
from pathlib import Path

from recipes.errors import UserError, shown

BACKENDS = ("tensorflow", "jax", "torch")
CHOICES = {"floatx": ("float16", "float32", "float64"), "image_data_format": ("channels_last", "channels_first")}
# Variables that have Keras end every `fit` early.
LIMITS = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")
SETTINGS = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last", "dtype_policy": "float32"}


def check() -> None:
    """See, before Keras is imported, that it will be importable, and trains as long as it is told to.

    Raises:
        UserError: naming the variable or the file that must change.
    """
    for name in LIMITS:
        if name in os.environ:
            raise UserError(f"{name}={shown(os.environ[name])} would end every training early: unset it.")
    path = _file()
    values = _read(path)
    for name, choices in CHOICES.items():
        if values.get(name, choices[0]) not in choices:
            raise UserError(f"{shown(path)} has {name} {values[name]!r}: Keras knows {', '.join(choices)}.")
    if not isinstance(values.get("epsilon", 1e-7), float):
        raise UserError(f"{shown(path)} has epsilon {values['epsilon']!r}: it must be a number such as 1e-07.")
    backend, where = values.get("backend", "tensorflow"), shown(path) if "backend" in values else "Keras' default"
    if variable := os.environ.get("KERAS_BACKEND"):
        backend, where = variable, "KERAS_BACKEND"
    _check_backend(backend, where)


def _check_backend(backend: object, where: str) -> None:
    """Refuse a backend that is none, or is not installed, with a UserError that names where it was chosen."""
    there = [name for name in BACKENDS if importlib.util.find_spec(name)]
    if backend not in BACKENDS:
        near = difflib.get_close_matches(str(backend), BACKENDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(BACKENDS)}."
        raise UserError(f"{where} names the backend {shown(backend)!r}, on which nothing here runs: {hint}")
    if backend not in there:
        remedy = f"set KERAS_BACKEND={there[0]}, which is" if there else f"pip install {backend}"
        raise UserError(f"{where} names the backend {backend}, which is not installed: {remedy}.")


def settle() -> None:
    """Have Keras compute as every command does, whatever the user's configuration says, and say what that changes."""
    from keras import config

    found = {name: getattr(config, name)() for name in SETTINGS}
    found["dtype_policy"] = found["dtype_policy"].name
    others = {name: value for name, value in SETTINGS.items() if found[name] != value}
    for name, value in others.items():
        getattr(config, f"set_{name}")(value)
    if others:
        before = ", ".join(f"{name} {found[name]}" for name in others)
        now = ", ".join(str(value) for value in dict.fromkeys(others.values()))
        print(f"note: Keras is configured with {before} ({shown(_file())}); this command takes {now}.", file=sys.stderr)


def _file() -> Path:
    """Find the file that Keras reads."""
    folder = os.environ.get("KERAS_HOME")
    if folder is None:
        home = os.path.expanduser("~")
        folder = os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")
    return Path(os.path.expanduser(os.path.join(folder, "keras.json")))


def _read(path: Path) -> dict:
    """Read keras.json; {} without one. Raises UserError for one that Keras could not read, or would pass over."""
    if not os.path.exists(path):
        return {}
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or f"it is no JSON: {error}"
        raise UserError(f"{shown(path)} cannot be read ({reason}): mend it, or take it away.") from error
    if not isinstance(values, dict):
        raise UserError(f"{shown(path)} holds no object of JSON: mend it, or take it away.")
    return values
