"""Where trials lie: a SQLite file, or a PostgreSQL server for several machines; how it is opened, locked and waited for."""

import contextlib
import functools
import hashlib
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import optuna
import sqlalchemy
from optuna.storages import RDBStorage

from recipes.console import say
from recipes.errors import UserError, shown
from zoo.disk import in_bytes, room
from zoo.files import lock

# So long a worker waits for a server that is away, as when it starts anew.
PATIENCE_SECONDS = 600
optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Place:
    """A storage, before it is opened."""

    address: str
    """As SQLAlchemy takes it, with the password."""
    name: str
    """As it is shown, without the password."""
    locked: Callable[[str], AbstractContextManager]
    """Excludes all other workers from what has this name."""
    file: Path | None
    """None for a server."""

    @property
    def database(self) -> str:
        """The server's name and its database, whoever asks; or the file."""
        if self.file:
            return str(self.file)
        url = sqlalchemy.make_url(self.name)
        return sqlalchemy.URL.create("postgresql", host=url.host, port=url.port, database=url.database).render_as_string()


def locate(storage: str | Path) -> Place:
    """Read what --storage says.

    Raises:
        UserError: it is the address of something else than a PostgreSQL server.
    """
    if not is_address(storage):
        path = Path(os.path.abspath(storage))
        beside = path.with_name(f"{path.name}.lock")
        return Place(f"sqlite:///file:{quote(str(path))}?uri=true", shown(path), lambda name: lock(beside), path)
    if not storage.startswith("postgresql://"):
        raise UserError(f"--storage takes a file or postgresql://user:password@host/database, found {shown(storage)!r}.")
    url = sqlalchemy.make_url(storage)
    address = url.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    return Place(address, url.render_as_string(), functools.partial(_server_lock, address), None)


def is_address(storage: str | Path) -> bool:
    """Whether a storage is a server's address, not a file."""
    return isinstance(storage, str) and "://" in storage


def without_password(storage: str) -> str:
    """Write a storage as it may be shown to others."""
    return sqlalchemy.make_url(storage).render_as_string() if is_address(storage) else storage


def open_tables(place: Place) -> RDBStorage:
    """Open Optuna's tables, made if there are none; under the lock of the whole storage. A damaged file is set aside."""
    if place.file:
        _set_aside_if_damaged(place.file)
        options = {"connect_args": {"timeout": 60}}
    else:
        # One connection is kept, since a server has few for many workers.
        options = {"pool_size": 1, "pool_pre_ping": True}
    # Its check of the tables' version loads every migration, which takes longer than the rest; a study's identity has it.
    tables = RDBStorage(place.address, options, skip_compatibility_check=True)
    _spare_flushes(tables.engine)
    return tables


@contextlib.contextmanager
def used(place: Place) -> Iterator[None]:
    """Turn what a storage says, while it is used, into a sentence.

    Raises:
        UserError: it cannot be used, or has no room.
    """
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        free = f", and {in_bytes(room(place.file))} are free there" if place.file else ""
        raise UserError(f"The trials in {place.name} cannot be written ({_reason(error)}{free}).") from error


@contextlib.contextmanager
def opening(place: Place) -> Iterator[None]:
    """Turn what goes wrong when a storage is opened into a sentence.

    Raises:
        UserError: the storage cannot be used.
    """
    try:
        yield
    except ImportError as error:
        raise UserError("--storage postgresql://... needs psycopg2: pip install 'keras-transfer-zoo[postgresql]'.") from error
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError, sqlite3.Error, OSError) as error:
        raise UserError(f"--storage {place.name} cannot be used ({_reason(error)}).") from error


def retry_while_away(call: Callable) -> Callable:
    """Have a function tried again while the storage cannot be used. It must bear being cut off at any step.

    Raises:
        UserError: the storage was away for too long.
    """

    @functools.wraps(call)
    def calling(*arguments: object, **named: object) -> object:
        limit, pause = time.monotonic() + PATIENCE_SECONDS, 0.5
        while True:
            try:
                return call(*arguments, **named)
            except (sqlalchemy.exc.OperationalError, optuna.exceptions.StorageInternalError) as error:
                if "disk is full" in _reason(error):
                    raise
                if time.monotonic() > limit:
                    raise UserError(f"The storage of the trials cannot be used ({_reason(error)}).") from error
                if pause == 0.5:
                    minutes = f"{PATIENCE_SECONDS / 60:.0f} min"
                    say(f"The storage of the trials cannot be used now ({_reason(error)}): trying for {minutes}.")
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, 10)

    return calling


def _reason(error: Exception) -> str:
    """Find the first line of what the database says."""
    return shown(str(error.__cause__ or error).strip().splitlines()[0])


@contextlib.contextmanager
def _server_lock(address: str, name: str) -> Iterator[None]:
    """Hold a lock of the server's that has this name."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    with _lock_engine(address).begin() as connection:  # the lock ends with the transaction
        connection.execute(sqlalchemy.text("select pg_advisory_xact_lock(:key)"), {"key": key})
        yield


@functools.cache
def _lock_engine(address: str) -> sqlalchemy.Engine:
    """Open the connections that hold locks."""
    # A machine that vanishes with the lock gives it back when the server has missed it for half a minute.
    options = "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
    return sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool, connect_args={"options": options})


def _spare_flushes(engine: sqlalchemy.Engine) -> None:
    """Spare SQLite the wait for the disk after each change.

    What a kill leaves is whole, and a power cut loses no more than the last changes.
    """
    if engine.name == "sqlite":

        @sqlalchemy.event.listens_for(engine, "connect")
        def _(connection: sqlite3.Connection, _: object) -> None:
            connection.execute("pragma journal_mode=wal")
            connection.execute("pragma synchronous=normal")

        engine.dispose()  # so that the connections that are open are opened anew


def _set_aside_if_damaged(path: Path) -> None:
    """Rename a file that SQLite cannot read, and say so."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as database:
            found = database.execute("pragma quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError:  # it cannot be opened, which says nothing of what is in it
        raise
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found == "ok":
        return
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{end}", f"{aside}{end}")
    say(f"The trials in {shown(path)} are damaged ({found}): set aside as {shown(aside.name)}, and the search begins anew.")
