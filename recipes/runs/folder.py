"""A run's folder, written as a whole or not at all, by one process at a time.

Everything is written into a folder beside it and moved into place at the end by renaming. A run that is cut off leaves
what was there before; one that is killed between the two renames leaves it as `.NAME.PROCESS.previous`, from where the next
reader or writer puts it back. What else killed writers have left, the next writer removes: only what carries a writer's
name and holds what a run writes.
"""

import contextlib
import glob
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from recipes.console import say
from recipes.data.sources.own import RUN_FILES
from recipes.errors import UserError, shown
from recipes.settings.shared import DataCommand
from recipes.settings.sources import resolved
from zoo.disk import WriteError
from zoo.files import flush, is_left_over, is_token, occupied, this_process

FOLDERS = {"tensorboard"}
# In a folder that is being written this file says that it is one of ours.
MARK = ".zoo-run"
# What writes whole folders, as result.json says it.
RECIPES = {"finetune": "a finished run", "evaluate": "an evaluation"}
SCHEMA = 3
WAIT_SECONDS = 5


@contextlib.contextmanager
def writing(folder: Path, recipe: str = "finetune") -> Iterator[Path]:
    """Make a new folder to write into, which becomes `folder` when the block ends without an error.

    A link is followed: what it leads to is written.

    Args:
        recipe: the word of result.json for what writes; nothing else's results are replaced.

    Raises:
        UserError: the folder cannot be written, holds files that are not a run's, or is being written by another process.
    """
    place = Path(os.path.realpath(folder))
    new = place.with_name(f".{place.name}.{this_process().token}")
    with contextlib.ExitStack() as stack:
        with _sentences(folder):
            if place.exists() and not place.is_dir():
                raise UserError(f"--output {shown(folder)} is a file: give a folder.")
            place.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(folder, _owner(place)))
            _put_back(place)
            _refuse_foreign(folder, place, recipe)
            _clear_up(place)
            new.mkdir()
            stack.callback(shutil.rmtree, new, ignore_errors=True)
            (new / MARK).touch()
        if (place / "result.json").exists():
            say(f"{shown(folder)} holds {RECIPES[recipe]}, which this one replaces when it has ended.")
        with _sentences(folder, new):
            yield new
            _move(new, place, folder, recipe)


def _move(new: Path, place: Path, folder: Path, recipe: str) -> None:
    """Put a folder that is complete into its place."""
    (new / MARK).unlink()
    for path in (*new.iterdir(), new):
        flush(path)
    previous = Path(f"{new}.previous")
    if place.exists():
        _refuse_foreign(folder, place, recipe)
        os.rename(place, previous)
    os.rename(new, place)
    flush(place.parent)
    shutil.rmtree(previous, ignore_errors=True)


@contextlib.contextmanager
def held(folder: Path, owner: Path) -> Iterator[None]:
    """Hold a folder for the block, by a file that names this process.

    Raises:
        UserError: another process holds it; the sentence names it.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(occupied(owner))
        except BlockingIOError as error:
            raise UserError(
                f"--output {shown(folder)} is being written by {shown(error)}: wait for it, stop it, or give another --output."
            ) from None
        yield


@contextlib.contextmanager
def _sentences(folder: Path, new: Path | None = None) -> Iterator[None]:
    """Turn what the system says of writing a folder, or the new one beside it, into a UserError that names --output."""
    try:
        yield
    except OSError as error:
        if new is None:
            raise UserError(f"--output {shown(WriteError(error, folder))}") from error
        if not isinstance(error.filename, str) or not Path(error.filename).is_relative_to(new):
            raise
        told = WriteError(error, folder / Path(error.filename).relative_to(new))
        # What lies there already is needed, too, and goes when the run has failed.
        there = sum(path.stat().st_size for path in new.rglob("*") if path != Path(error.filename))
        told.needed, told.free = there + getattr(error, "needed", 0), there + getattr(error, "free", told.free)
        raise UserError(f"--output {shown(told)} The folder is as it was.") from error


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
    return str(resolved(path)).encode("utf-8", "backslashreplace").decode()


def recover(folder: Path) -> Path:
    """Put back what a kill between the two renames took away, for who reads; return where the folder lies."""
    place = Path(os.path.realpath(folder))
    end = time.monotonic() + WAIT_SECONDS
    with contextlib.suppress(PermissionError):  # who may only read cannot
        while not place.exists() and _set_aside(place) and time.monotonic() < end:
            try:
                with occupied(_owner(place)):
                    _put_back(place)
            except BlockingIOError:  # a writer is between the two
                time.sleep(0.01)
    return place


def _put_back(place: Path) -> None:
    """Put back the newest folder that was set aside, if there is none in its place; for who holds the folder."""
    if not place.exists() and (aside := _set_aside(place)):
        os.rename(max(aside, key=lambda path: path.stat().st_mtime), place)


def _set_aside(place: Path) -> list[Path]:
    """List the runs that writers have set aside to make room for their own."""
    found = place.parent.glob(f".{glob.escape(place.name)}.*.previous")
    return [path for path in found if is_token(_token(path, place)) and _is_run(path)]


def _token(path: Path, place: Path) -> str:
    """Read the part of a name that says which process has written it."""
    return path.name.removeprefix(f".{place.name}.").removesuffix(".previous")


def _owner(place: Path) -> Path:
    """Name the file that a folder's writer holds."""
    return place.with_name(f".{place.name}.owner")


def _is_run(folder: Path) -> bool:
    """Whether a folder holds what a run, or an evaluation, writes, and nothing else."""
    return _written_by(folder) in RECIPES and not _foreign(folder)


def _written_by(folder: Path) -> str | None:
    """Read what wrote a folder's result.json; None if there is none."""
    try:
        result = json.loads((folder / "result.json").read_text("utf-8"))
        return result["recipe"] if "schema" in result else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _foreign(folder: Path) -> list[str]:
    """List what a folder holds beside a run's files."""
    return sorted(path.name for path in folder.iterdir() if path.name not in (FOLDERS if path.is_dir() else RUN_FILES))


def _refuse_foreign(folder: Path, place: Path, recipe: str) -> None:
    """Refuse a folder that holds what no run wrote, or another command, or cannot be written, with a UserError."""
    if not place.exists():
        return
    names = sorted(os.listdir(place))
    if names and not _is_run(place):
        foreign = _foreign(place) or names
        raise UserError(
            f"--output {shown(folder)} holds files that no run wrote ({shown(foreign[0])}"
            f"{f' and {len(foreign) - 1} more' if foreign[1:] else ''}): choose a new or an empty folder."
        )
    if names and (found := _written_by(place)) != recipe:
        raise UserError(f"--output {shown(folder)} holds what `zoo {found}` wrote, which is kept: choose another folder.")
    if not os.access(place, os.W_OK):
        raise UserError(f"--output {shown(folder)} cannot be written (Permission denied): choose another.")


def _clear_up(place: Path) -> None:
    """Remove what dead writers of the folder left; a writer on another machine is taken for dead after a day."""
    for left_over in place.parent.glob(f".{glob.escape(place.name)}.[0-9]*"):
        is_folder = left_over.is_dir() and not left_over.is_symlink()
        if is_folder and is_left_over(left_over, _token(left_over, place)):
            if _is_run(left_over) or (left_over / MARK).is_file():
                shutil.rmtree(left_over, ignore_errors=True)
