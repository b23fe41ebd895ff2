"""A search's folder: the one study that it belongs to, the process that works in it, and whether it gets the results."""

import contextlib
import csv
import os
import platform
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recipes.console import say
from recipes.errors import UserError, shown
from recipes.search.patience import retry_while_away
from recipes.search.storage import locate, without_password
from recipes.search.study import Study
from recipes.settings.tune import Tuning
from recipes.settings.values import from_values, read_object
from zoo.disk import WriteError
from zoo.files import lock, write_json

STORAGE = "trials.db"
TABLE = "trials.csv"
# The process that works in a folder holds this file.
OWNER = ".owner"
# In the folder of each scope this file says which study it belongs to.
MARK = ".study.json"


@dataclass(frozen=True)
class Mark:
    """Tells a folder from all others, and says which study it belongs to."""

    id: str
    study: str
    storage: str

    @classmethod
    def read(cls, folder: Path) -> "Mark | None":
        """Read a folder's mark; None if it has none."""
        try:
            return from_values(cls, read_object(folder / MARK))
        except FileNotFoundError:
            return None
        except ValueError as error:
            say(f"{shown(folder / MARK)} is damaged ({shown(error)}): the folder is marked anew.")
            return None


@contextlib.contextmanager
def entered(settings: Tuning) -> Iterator[bool]:
    """Claim a search's folder for the block; yield True if this process holds it, False if it joins another's search.

    Raises:
        UserError: it belongs to another study; or it is another process's and no storage was given to join through; or it holds
            what no search wrote, or cannot be written. Nothing in it has changed.
    """
    output = settings.root
    try:
        os.makedirs(os.path.realpath(output), exist_ok=True)  # also where a link leads to nothing yet
        names = os.listdir(output)
        if names and OWNER not in names:
            raise UserError(f"--output {shown(output)} holds files that no search wrote: choose a new or an empty folder.")
        if not names:
            (output / OWNER).touch()  # first of all: from now on the folder is known as a search's
        settings.folder.mkdir(exist_ok=True)
        mark_folder(settings)
        file = locate(study_storage(settings)).file
        if file and not (file.exists() and file.stat().st_size):
            check_table(settings, 0)
    except OSError as error:
        raise UserError(f"--output {shown(WriteError(error, output))}") from error
    with contextlib.ExitStack() as stack:
        is_held = True
        try:
            stack.enter_context(hold_folder(output))
        except UserError:
            if settings.storage is None:
                raise
            is_held = False
        yield is_held


@contextlib.contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Hold a search's folder; it is free again when the process ends, however it does.

    Raises:
        UserError: another process holds it.
    """
    owner = folder / OWNER
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock(owner, wait=False))
        except BlockingIOError:
            raise UserError(
                f"{shown(folder)} is being searched by {owner.read_text('utf-8') or 'another process'}: wait for it, "
                "stop it, or give another --output."
            ) from None
        # Written in place: the lock is on this very file.
        note = f"process {os.getpid()} on {platform.node()}, begun {time.strftime('%Y-%m-%d %H:%M:%S')}"
        owner.write_text(note, encoding="utf-8")
        yield


def mark_folder(settings: Tuning) -> Mark:
    """Have the folder of a scope belong to the study of these settings, and to no other; return its mark.

    Raises:
        UserError: it belongs to another study. Nothing has changed.
    """
    folder, asked = settings.folder, Mark(uuid.uuid4().hex, study_name(settings), _storage_from(settings))
    mark = Mark.read(folder)
    if mark is None:
        with lock(folder / f"{MARK}.lock"):  # of several workers that begin a search at once, one marks the folder
            mark = Mark.read(folder)
            if mark is None:
                mark = asked
                write_json(folder / MARK, vars(mark))
    if (mark.study, mark.storage) != (asked.study, asked.storage):
        place, flag = "", ""
        if mark.storage != asked.storage:
            storage = settings.root / STORAGE if mark.storage == STORAGE else mark.storage
            place, flag = f" in {shown(storage)}", f" --storage {shown(storage)}"
        raise UserError(
            f"--output {shown(settings.root)} is the folder of the study {mark.study!r}{place}: choose another --output, or "
            f"give{flag} --study {mark.study!r} and its data to go on with it."
        )
    return mark


def check_table(settings: Tuning, known: int) -> None:
    """Begin no new search in the place of one whose trials are gone.

    Args:
        known: trials that the storage has.

    Raises:
        UserError: the folder's table has more.
    """
    table = settings.folder / TABLE
    try:
        with open(table, newline="", encoding="utf-8", errors="replace") as file:
            count = sum(1 for _ in csv.DictReader(file))
    except (FileNotFoundError, csv.Error):
        return
    if count > known:
        storage = without_password(str(study_storage(settings)))
        raise UserError(
            f"{shown(table)} has {count} trials of a search whose storage, {shown(storage)}, has {known or 'none'}: bring the "
            f"storage back, move {TABLE} elsewhere to go on without what it lacks, or give another --output."
        )


@retry_while_away
def mark_finished(study: Study) -> None:
    """Note that the folder of the results has them."""
    with study.lock():
        study.set_home(study.home | {"finished": True})


@retry_while_away
def gets_results(settings: Tuning, study: Study) -> bool:
    """Whether the results are this folder's: the study was begun in it, or its trials ended without their reaching a folder."""
    own, where = mark_folder(settings), f"{platform.node()}:{settings.folder.resolve()}"
    with study.lock():
        home = study.home
        if home:
            ended = sum(record.has_ended for record in study.records())
            if own.id == home["mark"] or home["finished"] or ended < settings.trials:
                return home["mark"] == own.id or home["where"] == where  # there with a new mark
        study.set_home({"mark": own.id, "where": where, "finished": False})
    return True


def study_name(settings: Tuning) -> str:
    """Name the study: by --study, or by the data and the scope."""
    return settings.study or f"{settings.subject} {settings.scope}"


def study_storage(settings: Tuning) -> str | Path:
    """Say where the trials lie: --storage, or a file in the folder."""
    return settings.storage or settings.root / STORAGE


def _storage_from(settings: Tuning) -> str:
    """Name the storage so that the name stays the same when the folder is moved with what it holds."""
    place = locate(study_storage(settings))
    if place.file is None:
        return place.database
    file, output = place.file.resolve(), settings.root.resolve()
    return str(file.relative_to(output) if file.is_relative_to(output) else file)
