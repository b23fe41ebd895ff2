"""Where trials lie: a SQLite file, or a PostgreSQL server for several machines; how it is opened, locked and waited for."""

import contextlib
import functools
import hashlib
import os
import sqlite3
import threading
import time
import weakref
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
from recipes.search import liveness
from recipes.search.optuna_private import all_through
from recipes.search.patience import PATIENCE_SECONDS, reason_of
from zoo.disk import in_bytes, room
from zoo.files import lock

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
        return Place(f"sqlite:///file:{quote(str(path))}?uri=true", shown(path), lambda name: _file_lock(beside), path)
    if not storage.startswith("postgresql://"):
        raise UserError(f"--storage takes a file or postgresql://user@host/database, found {shown(storage)!r}.")
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
    weakref.finalize(tables, tables.engine.dispose)  # or its connections stay open until somebody collects them
    _spare_flushes(tables.engine)
    if not place.file:
        _bound_waiting(tables.engine)
        tables.engine.dispose()  # so that the connections that are open are opened anew
    return tables


@contextlib.contextmanager
def locked_study(place: Place, tables: RDBStorage, name: str) -> Iterator[None]:
    """Exclude all other workers from a study; on a server, what is done meanwhile is one transaction and ends with it."""
    with place.locked(name) as connection, contextlib.ExitStack() as stack:
        if connection is not None:
            stack.enter_context(all_through(tables, connection))
        yield


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
        raise UserError(f"The trials in {place.name} cannot be written ({reason_of(error)}{free}).") from error


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
        raise UserError(f"--storage {place.name} cannot be used ({reason_of(error)}).") from error


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold a file that no other worker holds; one that waits for long says for whom, who may be standing still."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock(path, wait=False))
        except BlockingIOError:
            telling = threading.Timer(liveness.GRACE_SECONDS, _tell_who_holds, [path])
            telling.daemon = True
            telling.start()
            try:
                stack.enter_context(lock(path))
            finally:
                telling.cancel()
        path.write_text(str(os.getpid()))  # in place: the lock is on this very file
        yield


def _tell_who_holds(path: Path) -> None:
    """Say which process holds a file."""
    pid = path.read_text() or "another"
    say(f"Waiting for process {pid}, which holds {shown(path)}: if it stands still, continue it (kill -CONT {pid}) or end it.")


@contextlib.contextmanager
def _server_lock(address: str, name: str) -> Iterator[sqlalchemy.Connection]:
    """Hold a lock of the server's that has this name, as long as the transaction of the connection that is yielded."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    with _lock_engine(address).begin() as connection:
        connection.execute(sqlalchemy.text("select pg_advisory_xact_lock(:key)"), {"key": key})
        driver = connection.connection.driver_connection

        def speak() -> None:
            with driver.cursor() as cursor:
                cursor.execute("select 1")

        with liveness.beating(speak):  # a tuner may think for minutes: to the server that looks like standing still
            yield connection


@functools.cache
def _lock_engine(address: str) -> sqlalchemy.Engine:
    """Open the connections that hold locks."""
    engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool)
    _bound_waiting(engine)
    return engine


def _bound_waiting(engine: sqlalchemy.Engine) -> None:
    """Have a server end the transactions of those who stand still, which stop all others, and each wait at last."""
    settings = {
        "timezone": "UTC",  # whoever writes a time, wherever
        "idle_in_transaction_session_timeout": f"{liveness.GRACE_SECONDS}s",
        "lock_timeout": f"{PATIENCE_SECONDS}s",
        # A machine that vanishes is missed after half a minute.
        "tcp_keepalives_idle": "15",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }

    @sqlalchemy.event.listens_for(engine, "connect")
    def _(connection: object, _: object) -> None:
        # Not as options of the connection: there may be some in the address already.
        with connection.cursor() as cursor:
            columns = ", ".join(["set_config(%s, %s, false)"] * len(settings))
            cursor.execute(f"select {columns}", [word for setting in settings.items() for word in setting])
        connection.commit()


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
    say(f"The trials in {shown(path)} are damaged ({found}): set aside as {shown(aside.name)}.")
