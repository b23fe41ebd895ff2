"""A run's folder, written as a whole or not at all, and read back.

Everything is written into a folder beside it and moved into place at the end by renaming. A run that is cut off leaves
what was there before; one that is killed between the two renames leaves it as `.NAME.previous`, from where the next
reader or writer puts it back.
"""

import contextlib
import csv
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from recipes.errors import UserError, shown

FILES = {"model.keras", "result.json", "report.html", "recipe.json", "files.csv", "history.csv"}
SCHEMA = 1
PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "pillow", "scikit-learn")


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """A new folder to write into, which becomes `folder` when the block ends without an error.

    Raises:
        UserError: the folder cannot be written, or holds files that are not a run's.
    """
    folder = Path(os.path.abspath(folder))
    new = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        recover(folder)
        _refuse_foreign(folder)
        for left_over in folder.parent.glob(f".{folder.name}.[0-9]*"):
            if not _alive(int(left_over.suffix[1:])):
                shutil.rmtree(left_over)
        new.mkdir()
    except OSError as error:
        raise UserError(f"--output {shown(folder)} cannot be written ({error.strerror}): choose another.") from error
    try:
        yield new
        for path in new.iterdir():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        if folder.exists():
            _refuse_foreign(folder)
            os.rename(folder, _previous(folder))
        os.rename(new, folder)
        shutil.rmtree(_previous(folder), ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def recover(folder: Path) -> None:
    """Put back what a kill between the two renames took away."""
    previous = _previous(folder)
    if previous.exists() and not folder.exists():
        os.rename(previous, folder)
    elif previous.exists():
        shutil.rmtree(previous)


def _previous(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.previous")


def _refuse_foreign(folder: Path) -> None:
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


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make the file under a name of its own first: what is there is whole at any time."""
    new = path.with_name(f".{path.name}.new")
    write(new)
    os.replace(new, path)


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_csv(path: Path, rows: Iterable[Mapping]) -> None:
    """Rows of one set of keys; names that are not UTF-8 are kept as the bytes they are."""
    rows = list(rows)
    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def versions() -> dict[str, str]:
    """What numbers depend on besides data and seeds."""
    import keras

    import zoo

    found = {"python": platform.python_version(), "zoo": zoo.__version__, "backend": keras.backend.backend()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def say(line: str = "") -> None:
    """A line for the user; file names that cannot be printed do not end a run."""
    encoding = sys.stdout.encoding or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)
