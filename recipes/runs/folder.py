"""A run's folder, written as a whole or not at all.

Everything is written into a folder beside it and moved into place at the end by renaming. A run that is cut off leaves
what was there before; one that is killed between the two renames leaves it as `.NAME.previous`, from where the next
reader or writer puts it back.
"""

import contextlib
import dataclasses
import glob
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from recipes.errors import UserError, shown
from recipes.settings.shared import DataCommand
from zoo.files import Process, flush, this_process

FILES = {"model.keras", "model.keras.sha256", "result.json", "report.html", "recipe.json", "files.csv", "history.csv"}
SCHEMA = 2
STALE_SECONDS = 24 * 3600


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """Make a new folder to write into, which becomes `folder` when the block ends without an error.

    Raises:
        UserError: the folder cannot be written, or holds files that are not a run's.
    """
    folder = Path(os.path.abspath(folder))
    new = folder.with_name(f".{folder.name}.{_token(this_process())}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        recover(folder)
        _refuse_foreign(folder)
        _clear_up(folder)
        new.mkdir()
    except OSError as error:
        raise UserError(f"--output {shown(folder)} cannot be written ({error.strerror}): choose another.") from error
    try:
        yield new
        for path in (*new.iterdir(), new):
            flush(path)
        if folder.exists():
            _refuse_foreign(folder)
            os.rename(folder, _previous(folder))
        os.rename(new, folder)
        flush(folder.parent)
        shutil.rmtree(_previous(folder), ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def check_default(settings: DataCommand) -> None:
    """Refuse to write over what was written for another folder of images of the same name, where no --output was given.

    Raises:
        UserError: naming both folders of images.
    """
    if settings.output is not None:
        return
    try:
        result = json.loads((settings.folder / "result.json").read_text("utf-8"))
        earlier = Path(result["data"])
        is_other = escaped(earlier) != escaped(settings.data)
    except (OSError, ValueError, KeyError, TypeError):
        return
    if is_other:
        raise UserError(
            f"{shown(settings.folder)} holds results on {shown(earlier)}, not on {shown(settings.data)}: give --output."
        )


def escaped(path: Path) -> str:
    """Write a path in full as result.json does: bytes that are no UTF-8 are escaped."""
    return str(path.resolve()).encode("utf-8", "backslashreplace").decode()


def recover(folder: Path) -> None:
    """Put back what a kill between the two renames took away."""
    previous = _previous(folder)
    if previous.exists() and not folder.exists():
        os.rename(previous, folder)
    elif previous.exists():
        shutil.rmtree(previous)


def _previous(folder: Path) -> Path:
    """Name the place where the earlier folder lies for the moment of the change."""
    return folder.with_name(f".{folder.name}.previous")


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder that holds what no run wrote, or cannot be written, with a UserError."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output {shown(folder)} is a file: give a folder.")
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in FILES) if folder.exists() else []
    if foreign:
        raise UserError(
            f"--output {shown(folder)} holds files that no run wrote ({shown(foreign[0])}"
            f"{f' and {len(foreign) - 1} more' if foreign[1:] else ''}): choose a new or an empty folder."
        )
    if folder.exists() and not os.access(folder, os.W_OK):
        raise UserError(f"--output {shown(folder)} cannot be written (Permission denied): choose another.")


def _token(process: Process) -> str:
    """Write a process as a part of a file's name."""
    machine = hashlib.sha256(process.machine.encode()).hexdigest()[:8]
    return f"{process.pid}-{process.began}-{machine}"


def _clear_up(folder: Path) -> None:
    """Remove what dead writers of the folder left; a writer on another machine is taken for dead after a day."""
    here = this_process()
    for left_over in folder.parent.glob(f".{glob.escape(folder.name)}.[0-9]*"):
        token = left_over.name.removeprefix(f".{folder.name}.")
        if not (found := re.fullmatch(r"(\d+)-(\d+|None)-[0-9a-f]{8}", token)):
            continue  # somebody else's
        began = None if found[2] == "None" else found[2]
        writer = dataclasses.replace(here, pid=int(found[1]), began=began)
        if token == _token(writer):
            is_dead = not writer.is_alive
        else:
            is_dead = time.time() - left_over.stat().st_mtime > STALE_SECONDS
        if is_dead:
            shutil.rmtree(left_over)
