"""The trials of a search in Optuna's tables: a file of SQLite, or a server of PostgreSQL for several machines.

A trial is one row from its creation to its end, whoever runs it. Who runs it changes under one lock of the study only, and a
kill may come between any two steps:

- A row is created waiting and whole, in one transaction: hyper-parameters, seed, and what its tuner must remember.
- A worker takes a waiting row: writes its name, then a first sign of life, then sets it running. So no row is ever running
  without a sign of life.
- That the worker of a running row is dead is seen by its process on this machine, by signs of life that stay away on
  another. The row then waits again, and is run again with the same hyper-parameters and seed.
- A worker that was thought dead and was not cannot end the row: it counts its runs, and only the last one may.
"""

import contextlib
import functools
import hashlib
import json
import math
import os
import platform
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import optuna
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState

from recipes.console import say
from recipes.errors import UserError, shown
from zoo.files import Process, lock, this_process

BEAT, GRACE = 10, 60  # seconds between two signs of life, and without one until a worker of another machine is dead
PATIENCE = 600  # seconds for which a worker waits for a server that is away, as when it starts anew
OWNER = ".owner"  # the file in a search's folder that its process holds
DEATHS = 3  # a trial in which so many workers have died is given to no other
optuna.logging.set_verbosity(optuna.logging.ERROR)


Lock = Callable[[], AbstractContextManager]


def patient(call: Callable) -> Callable:
    """Try again while the storage cannot be used. What this is put on can be cut off at any step anyway.

    Raises:
        UserError: it could not be for too long.
    """

    @functools.wraps(call)
    def calling(*arguments, **named):
        limit, pause = time.monotonic() + PATIENCE, 0.5
        while True:
            try:
                return call(*arguments, **named)
            except (sqlalchemy.exc.OperationalError, optuna.exceptions.StorageInternalError) as error:
                if time.monotonic() > limit:
                    raise UserError(f"The storage of the trials cannot be used ({_reason(error)}).") from error
                if pause == 0.5:
                    say(f"The storage of the trials cannot be used now ({_reason(error)}): trying for {PATIENCE / 60:.0f} min.")
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, 10)

    return calling


def _reason(error: Exception) -> str:
    return shown(str(error.__cause__ or error).strip().splitlines()[0])


@dataclass(frozen=True)
class Unfinished:
    """A trial that waits or runs, as it is now."""

    trial_id: int
    waits: bool
    run: Mapping
    silent: float
    """Seconds since its worker's last sign of life."""


class Study:
    """The trials of one search, shared by all its workers."""

    def __init__(self, study: optuna.Study, tables: optuna.storages.RDBStorage, lock: Lock, where: str):
        self.optuna, self.lock, self._where = study, lock, where
        self._storage, self._id = tables, study._study_id
        self._seen: dict[int, FrozenTrial] = {}

    def claim(self, identity: Mapping) -> None:
        """Write down what the study is of; who comes later must agree in each point.

        Raises:
            UserError: it was begun with something else.
        """
        name, asked = self.optuna.study_name, json.loads(json.dumps(identity))
        with self.lock():
            known = self.optuna.user_attrs.get("identity", {})
            if not known and self.optuna.trials:
                raise UserError(f"The study {name!r} in {self._where} was not begun by `zoo tune`: give another name.")
            for what in known.keys() & asked.keys():
                if known[what] != asked[what]:
                    raise UserError(
                        f"The study {name!r} in {self._where} was begun with {_differ(what, known, asked)}: "
                        "give the same again, or begin another study."
                    )
            if asked.keys() - known.keys():
                self.optuna.set_user_attr("identity", {**known, **asked})

    def beside(self, identity: Mapping) -> list[tuple[dict, dict]]:
        """(identity, record) of the trials of all studies in the same storage that agree in these points."""
        found = []
        for other in optuna.get_all_study_summaries(self._storage, include_best_trial=False):
            known = other.user_attrs.get("identity", {})
            if all(known.get(what) == asked for what, asked in identity.items()):
                found += [(known, record(row)) for row in self._storage.get_all_trials(other._study_id)]
        return found

    def look(self) -> tuple[list[FrozenTrial], list[Unfinished]]:
        """All trials by number, not to be changed, and how the unfinished ones stand; under the lock.

        A row is read when it is new and when it has ended; in between only its worker changes. So the time does not grow with
        the number of workers.
        """
        unfinished = self._unfinished()
        were = {row._trial_id for row in self._seen.values() if not row.state.is_finished()}
        newest = max((row._trial_id for row in self._seen.values()), default=-1)
        for row in self._storage._get_trials(self._id, None, were - {one.trial_id for one in unfinished}, newest):
            self._seen[row.number] = row
        return [self._seen[number] for number in sorted(self._seen)], unfinished

    def _unfinished(self) -> list[Unfinished]:
        tables = optuna.storages._rdb.models
        trial, run, sign = tables.TrialModel, tables.TrialUserAttributeModel, tables.TrialHeartbeatModel
        query = (
            sqlalchemy.select(trial.trial_id, trial.state, run.value_json, sign.heartbeat, sqlalchemy.func.now())
            .join(run, (run.trial_id == trial.trial_id) & (run.key == "run"))
            .outerjoin(sign, sign.trial_id == trial.trial_id)
            .where(trial.study_id == self._id, trial.state.in_([TrialState.WAITING, TrialState.RUNNING]))
            .order_by(trial.number)
        )
        with self._storage.engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            Unfinished(
                trial_id,
                state == TrialState.WAITING,
                json.loads(run),
                (now.replace(tzinfo=None) - beat).total_seconds() if beat else math.inf,
            )
            for trial_id, state, run, beat, now in rows
        ]

    def add(self, values: Mapping, seed: int, notes: Mapping, distributions: Mapping) -> FrozenTrial:
        """A new row, running for this worker; under the lock. `notes` are what the tuner must remember."""
        row = optuna.create_trial(
            state=TrialState.WAITING,
            distributions=distributions,
            params={name: _within(values[name], distribution) for name, distribution in distributions.items()},
            user_attrs={"values": dict(values), "seed": seed, "notes": dict(notes), "run": {"count": 0, "deaths": 0}},
        )
        return self._take(self._storage.create_new_trial(self._id, row), row.user_attrs["run"])

    def again(self, unfinished: Sequence[Unfinished]) -> FrozenTrial | None:
        """The first of them that waits, or whose worker is dead, now running for this worker; under the lock."""
        for one in unfinished:
            if one.waits:
                return self._take(one.trial_id, one.run)
            if _is_dead(one):
                run = one.run | {"deaths": one.run["deaths"] + 1}
                if run["deaths"] < DEATHS:
                    self._storage.set_trial_state_values(one.trial_id, TrialState.WAITING)
                    return self._take(one.trial_id, run)
                message = f"{DEATHS} workers died in it, the last one process {run['pid']} on {run['host']}"
                self._finish(one.trial_id, TrialState.FAIL, None, {"message": message})
        return None

    def _take(self, trial_id: int, run: Mapping) -> FrozenTrial:
        run = {**this_process().as_dict(), "count": run["count"] + 1, "deaths": run["deaths"]}
        self._storage.set_trial_user_attr(trial_id, "run", run)
        self._storage.record_heartbeat(trial_id)
        self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        return self._storage.get_trial(trial_id)

    def end(self, row: FrozenTrial, state: TrialState, loss: float | None, outcome: Mapping) -> dict:
        """Write the end of a trial, unless another worker has been given it meanwhile; the trial's record."""
        outcome = json.loads(json.dumps(outcome, default=lambda value: value.tolist()))  # NumPy's numbers are none of JSON's
        with self.lock():
            if self._mine(row):
                self._finish(row._trial_id, state, loss, outcome)
        return record(self._storage.get_trial(row._trial_id))

    def give_back(self, row: FrozenTrial) -> None:
        """Let another run it."""
        with self.lock():
            if self._mine(row):
                self._storage.set_trial_state_values(row._trial_id, TrialState.WAITING)

    @contextlib.contextmanager
    def alive(self, row: FrozenTrial) -> Iterator[None]:
        """Give signs of life from a thread."""
        ended = threading.Event()

        def beat():
            while not ended.wait(BEAT):
                with contextlib.suppress(Exception):  # a server that is away for a moment: the next one may pass
                    self._storage.record_heartbeat(row._trial_id)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    @patient
    def report(self, row: FrozenTrial, epoch: int, loss: float) -> bool:
        """Note an intermediate loss; whether the study's pruner would stop here."""
        self._storage.set_trial_intermediate_value(row._trial_id, epoch, loss)
        return self.optuna.pruner.prune(self.optuna, self._storage.get_trial(row._trial_id))

    def _mine(self, row: FrozenTrial) -> bool:
        now = self._storage.get_trial(row._trial_id)
        return now.state == TrialState.RUNNING and now.user_attrs["run"] == row.user_attrs["run"]

    def _finish(self, trial_id: int, state: TrialState, loss: float | None, outcome: Mapping) -> None:
        self._storage.set_trial_user_attr(trial_id, "outcome", outcome)
        self._storage.set_trial_state_values(trial_id, state, None if loss is None else [loss])


def open_study(storage: str | Path, name: str, identity: Mapping) -> Study:
    """The study of that name, made if there is none; any number of workers may do so at once.

    Args:
        storage: a file, or the address of a PostgreSQL server: "postgresql://user:password@host/database".
        identity: what must not change from one start to the next, JSON values by what they are called.

    Raises:
        UserError: the storage cannot be used, or the study is of something else.
    """
    address, where, lock_by_name = _place(storage)
    try:
        with lock_by_name(""):
            if not _is_address(storage):
                _set_aside_if_damaged(Path(storage))
            # Its check of the tables' version loads every migration, which takes longer than the rest; the identity has it.
            tables = optuna.storages.RDBStorage(address, _engine(address), skip_compatibility_check=True)
            _quick(tables.engine)
            study = optuna.create_study(storage=tables, study_name=name, load_if_exists=True)
    except ImportError as error:
        raise UserError("--storage postgresql://... needs psycopg2: pip install 'keras-transfer-zoo[postgresql]'.") from error
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError, sqlite3.Error, OSError) as error:
        raise UserError(f"--storage {where} cannot be used ({_reason(error)}).") from error
    opened = Study(study, tables, functools.partial(lock_by_name, name), where)
    opened.claim({**identity, "optuna": optuna.__version__.partition(".")[0]})
    return opened


def trials(study: Study) -> list[dict]:
    """The records of all trials, by number."""
    return [record(row) for row in study.optuna.get_trials(deepcopy=False)]


def record(row: FrozenTrial) -> dict:
    """What is known of a trial."""
    run, outcome = row.user_attrs["run"], row.user_attrs.get("outcome", {})
    seconds = (row.datetime_complete - row.datetime_start).total_seconds() if row.datetime_complete else None
    return {
        "trial": row.number,
        "state": row.state.name.lower(),
        "loss": row.value,
        "seed": row.user_attrs["seed"],
        "values": row.user_attrs["values"],
        "result": outcome.get("result", {}),
        "history": outcome.get("history", []),
        "message": outcome.get("message", ""),
        "began": row.datetime_start,
        "seconds": seconds,
        "host": run.get("host"),
        "pid": run.get("pid"),
        "runs": run["count"],
        "deaths": run["deaths"],
    }


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a search's folder; freed when the process ends, however it does.

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


def _is_dead(trial: Unfinished) -> bool:
    """Of this machine's processes the kernel knows; of others, whether their signs of life stay away."""
    worker = Process(**{name: trial.run[name] for name in ("host", "machine", "pid", "began")})
    alive = worker.is_alive
    if alive is None or worker.began is None:
        return trial.silent > GRACE
    return not alive or worker.pid == os.getpid()  # who asks for a trial runs none


def _is_address(storage: str | Path) -> bool:
    return isinstance(storage, str) and "://" in storage


def _place(storage: str | Path) -> tuple[str, str, Callable[[str], AbstractContextManager]]:
    """(SQLAlchemy's address, how to show it, a lock by name that excludes all other workers)."""
    if not _is_address(storage):
        path = Path(os.path.abspath(storage))
        path.parent.mkdir(parents=True, exist_ok=True)
        return (
            f"sqlite:///file:{quote(str(path))}?uri=true",
            shown(path),
            lambda name: lock(path.with_name(f"{path.name}.lock")),
        )
    if not storage.startswith("postgresql://"):
        raise UserError(f"--storage takes a file or postgresql://user:password@host/database, found {shown(storage)!r}.")
    url = sqlalchemy.make_url(storage)  # shown without its password
    address = url.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    return address, url.render_as_string(), functools.partial(_server_lock, address)


@contextlib.contextmanager
def _server_lock(address: str, name: str) -> Iterator[None]:
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    # A machine that vanishes with the lock gives it back when the server has missed it for half a minute.
    options = "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
    engine = _lock_engine(address, options)
    with engine.begin() as connection:  # the lock ends with the transaction
        connection.execute(sqlalchemy.text("select pg_advisory_xact_lock(:key)"), {"key": key})
        yield


@functools.cache
def _lock_engine(address: str, options: str) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool, connect_args={"options": options})


def _engine(address: str) -> dict:
    """One connection is kept, since a server has few for many workers."""
    if address.startswith("sqlite"):
        return {"connect_args": {"timeout": 60}}
    return {"pool_size": 1, "pool_pre_ping": True}


def _quick(engine: sqlalchemy.Engine) -> None:
    """Spare SQLite the wait for the disk after each change: what a kill leaves is whole, and a power cut loses no more than
    the last changes."""
    if engine.name == "sqlite":

        @sqlalchemy.event.listens_for(engine, "connect")
        def _(connection, _):
            connection.execute("pragma journal_mode=wal")
            connection.execute("pragma synchronous=normal")

        engine.dispose()  # those that are open were opened without


def _set_aside_if_damaged(path: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as database:
            found = database.execute("pragma quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError:  # it cannot be opened: not a word on what is in it
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


def _differ(what: str, known: Mapping, asked: Mapping) -> str:
    """The first place where two values part."""
    one, other = known[what], asked[what]
    if isinstance(one, list) and isinstance(other, list):
        counts = f"{len(one)} of them", str(len(other))
        one, other = next(((a, b) for a, b in zip(one, other, strict=False) if a != b), counts)
    return f"{what} {_short(one)}, not {_short(other)}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return shown(text if len(text) < 300 else text[:297] + "...")


def _within(value, distribution):
    """A product of rounding may lie a last digit outside."""
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return value
    return min(max(value, distribution.low), distribution.high)
