"""A study: the trials of one search, in tables that all its workers share.

A trial is one row from its creation to its end, whoever runs it. Who runs it changes under one lock of the study only, and a
kill may come between any two steps:

- A row is created waiting and whole, in one transaction: hyper-parameters, seed, and what its tuner must remember.
- A worker takes a waiting row: writes its name, then a first sign of life, then sets it running. So no row is ever running
  without a sign of life.
- That the worker of a running row is dead is seen by its process on this machine, by signs of life that stay away anywhere
  (`liveness`). The row then waits again, and is run again with the same hyper-parameters and seed.
- A worker that was thought dead and was not cannot end the row: it counts its runs, and only the last one may.
- On a server all that is done under the lock is one transaction of the connection that holds it. The server takes the lock
  from a worker that stands still, and with it all that this worker has not ended.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.pruners import BasePruner, NopPruner
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from recipes.console import say
from recipes.errors import UserError, shown
from recipes.search.liveness import Unfinished, Watch, beating
from recipes.search.optuna_private import read_trials, read_unfinished, trial_id
from recipes.search.patience import retry_opening, retry_while_away
from recipes.search.records import TrialRecord
from recipes.search.storage import Place, locate, locked_study, open_tables, opening
from zoo.files import this_process

# A death tells nothing of its cause: machines are taken away, and a trial may be what kills. So a trial in which workers have
# died again and again is run when there is no other, and after very many it is given up: what kills must not do so for ever.
SUSPECT_DEATHS = 3
MAX_DEATHS = 20
STATE_NAMES = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.FAIL: "failed",
}


class Study:
    """The trials of one search, shared by all its workers.

    Args:
        study: Optuna's.
        tables: the storage that it lies in.
        lock: excludes all other workers of the study; what is done under it on a server is one transaction.
        place: the storage's name, to be shown.
    """

    pruner: BasePruner = NopPruner()

    def __init__(self, study: optuna.Study, tables: RDBStorage, lock: Callable[[], AbstractContextManager], place: str):
        self.name, self.tables, self.lock = study.study_name, tables, lock
        self._study, self._place = study, place
        self._id = tables.get_study_id_from_name(study.study_name)
        self._seen: dict[int, FrozenTrial] = {}
        self._watch = Watch()

    @property
    @retry_while_away
    def identity(self) -> dict:
        """The points that must not change from one start to the next, by name."""
        return self._study.user_attrs.get("identity", {})

    @property
    @retry_while_away
    def home(self) -> dict | None:
        """The folder that gets the results: its mark, where it is, and whether it is finished."""
        return self._study.user_attrs.get("home")

    @retry_while_away
    def set_home(self, home: Mapping) -> None:
        """Say which folder gets the results; under the lock."""
        self._study.set_user_attr("home", dict(home))

    @retry_while_away
    def claim(self, identity: Mapping) -> None:
        """Write down what the study is of; who comes later must agree in each point.

        Raises:
            UserError: it was begun with something else.
        """
        asked = json.loads(json.dumps(identity))
        with self.lock():
            known = self.identity
            if not known and self._study.trials:
                raise UserError(f"The study {self.name!r} in {self._place} was not begun by `zoo tune`: give another name.")
            for what in asked:
                if what in known and known[what] != asked[what]:
                    raise UserError(
                        f"The study {self.name!r} in {self._place} was begun with {_differ(what, known, asked)}: "
                        "give the same again, or begin another study in another --output."
                    )
            if asked.keys() - known.keys():
                self._study.set_user_attr("identity", {**known, **asked})

    @retry_while_away
    def records(self) -> list[TrialRecord]:
        """Read the trials, by number."""
        return [_record(row) for row in self._study.get_trials(deepcopy=False)]

    @retry_while_away
    def records_like(self, identity: Mapping) -> list[tuple[dict, TrialRecord]]:
        """Read (identity, trial) of all studies in the same storage that agree in these points."""
        found = []
        for other in optuna.get_all_study_summaries(self.tables, include_best_trial=False):
            known = other.user_attrs.get("identity", {})
            if all(known.get(what) == asked for what, asked in identity.items()):
                rows = self.tables.get_all_trials(self.tables.get_study_id_from_name(other.study_name))
                found += [(known, _record(row)) for row in rows]
        return found

    def look(self) -> tuple[list[FrozenTrial], list[Unfinished]]:
        """Read all trials by number, not to be changed, and how the unfinished ones stand; under the lock.

        A row is read when it is new and when it has ended; in between only its worker changes. So the time does not grow with
        the number of workers.
        """
        rows = read_unfinished(self.tables, self._id, "run")
        self._watch.stay_awake()
        unfinished = [
            Unfinished(row_id, state == TrialState.WAITING, json.loads(run), self._watch.silence(row_id, (run, beat)))
            for row_id, state, run, beat in rows
        ]
        self._watch.forget_all_but({one.id for one in unfinished})
        open_before = {trial_id(row) for row in self._seen.values() if not row.state.is_finished()}
        newest = max(map(trial_id, self._seen.values()), default=-1)
        for row in read_trials(self.tables, self._id, open_before - {one.id for one in unfinished}, newest):
            self._seen[row.number] = row
        return [self._seen[number] for number in sorted(self._seen)], unfinished

    def add(self, values: Mapping, seed: int, notes: Mapping, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
        """Create a row, running for this worker; under the lock. `notes` are what the tuner must remember."""
        row = optuna.create_trial(
            state=TrialState.WAITING,
            distributions=distributions,
            params={name: _clipped(values[name], distribution) for name, distribution in distributions.items()},
            user_attrs={"values": dict(values), "seed": seed, "notes": dict(notes), "run": {"count": 0, "deaths": 0}},
        )
        return self._take(self.tables.create_new_trial(self._id, row), row.user_attrs["run"])

    def take_over(self, unfinished: Sequence[Unfinished], max_deaths: int) -> FrozenTrial | None:
        """Take the first of them that waits, or whose worker is dead, to run it in this worker; under the lock.

        Those in which `max_deaths` workers have died are left; where that is MAX_DEATHS, they are given up.
        """
        for one in unfinished:
            deaths = one.run["deaths"] + (not one.waits)  # of one that is lost
            is_left = deaths >= max_deaths and max_deaths < MAX_DEATHS
            if is_left or not (one.waits or one.is_lost):
                continue
            if deaths < MAX_DEATHS:
                if not one.waits:
                    self.tables.set_trial_state_values(one.id, TrialState.WAITING)
                return self._take(one.id, one.run | {"deaths": deaths})
            message = f"{MAX_DEATHS} workers died in it, the last one process {one.run['pid']} on {one.run['host']}"
            self._finish(one.id, TrialState.FAIL, None, {"message": message})
        return None

    def _take(self, row_id: int, run: Mapping) -> FrozenTrial:
        """Note in a row that this worker runs it."""
        begun = {"started": datetime.now(UTC).isoformat(), "count": run["count"] + 1, "deaths": run["deaths"]}
        run = this_process().as_dict() | begun
        self.tables.set_trial_user_attr(row_id, "run", run)
        self.tables.record_heartbeat(row_id)
        self.tables.set_trial_state_values(row_id, TrialState.RUNNING)
        return self.tables.get_trial(row_id)

    def end(self, row: FrozenTrial, state: TrialState, loss: float | None, outcome: Mapping) -> TrialRecord:
        """Write the end of a trial, unless another worker has been given it meanwhile."""
        seconds = datetime.now(UTC) - datetime.fromisoformat(row.user_attrs["run"]["started"])
        outcome = {**outcome, "seconds": seconds.total_seconds()}
        outcome = json.loads(json.dumps(outcome, default=lambda value: value.tolist()))  # for NumPy's numbers
        with self.lock():
            if self._is_mine(row):
                self._finish(trial_id(row), state, loss, outcome)
        record = _record(self.tables.get_trial(trial_id(row)))
        if (record.runs, record.state) != (row.user_attrs["run"]["count"], STATE_NAMES[state]):
            say(
                f"Trial {row.number} was given to another worker, since this one had given no sign of life for too long: what "
                "this one has found is not counted."
            )
        return record

    def give_back(self, row: FrozenTrial) -> None:
        """Let another worker run a trial of this one."""
        with self.lock():
            if self._is_mine(row):
                self.tables.set_trial_state_values(trial_id(row), TrialState.WAITING)

    def beat(self, row: FrozenTrial) -> None:
        """Give a sign of life, as long as the trial is this worker's."""
        if self._is_mine(row):
            self.tables.record_heartbeat(trial_id(row))
        self._watch.stay_awake()

    def beating(self, row: FrozenTrial) -> AbstractContextManager:
        """Give signs of life from a thread."""
        return beating(functools.partial(self.beat, row))

    @retry_while_away
    def should_stop(self, row: FrozenTrial, epoch: int, loss: float) -> bool:
        """Note an intermediate loss, and say whether the pruner would stop here, or the trial is another worker's now."""
        if not self._is_mine(row):
            return True
        self.tables.set_trial_intermediate_value(trial_id(row), epoch, loss)
        return self.pruner.prune(self._study, self.tables.get_trial(trial_id(row)))

    def _is_mine(self, row: FrozenTrial) -> bool:
        """Whether the trial is still this worker's."""
        now = self.tables.get_trial(trial_id(row))
        return now.state == TrialState.RUNNING and now.user_attrs["run"] == row.user_attrs["run"]

    def _finish(self, row_id: int, state: TrialState, loss: float | None, outcome: Mapping) -> None:
        """Write the end of a trial."""
        self.tables.set_trial_user_attr(row_id, "outcome", outcome)
        self.tables.set_trial_state_values(row_id, state, None if loss is None else [loss])


def open_study(storage: str | Path, name: str, identity: Mapping) -> Study:
    """Open the study of that name, made if there is none; any number of workers may do so at once.

    Args:
        storage: a file, or the address of a PostgreSQL server: "postgresql://user@host/database".
        identity: what must not change from one start to the next, JSON values by what they are called.

    Raises:
        UserError: the storage cannot be used, or the study is of something else.
    """
    place = locate(storage)
    with opening(place):
        if place.file:
            place.file.parent.mkdir(parents=True, exist_ok=True)
        opened = retry_opening(functools.partial(_open_study, place, name), is_server=place.file is None)
    opened.claim({**identity, "optuna": optuna.__version__.partition(".")[0]})
    return opened


def _open_study(place: Place, name: str) -> Study:
    """Open the study of that name, made if there is none, and the tables, too."""
    with place.locked(""):
        tables = open_tables(place)
        study = optuna.create_study(storage=tables, study_name=name, load_if_exists=True)
    return Study(study, tables, functools.partial(locked_study, place, tables, name), place.name)


def _record(row: FrozenTrial) -> TrialRecord:
    """Read a row as the board and the report know it."""
    run, outcome = row.user_attrs["run"], row.user_attrs.get("outcome", {})
    return TrialRecord(
        number=row.number,
        state=STATE_NAMES[row.state],
        loss=row.value,
        seed=row.user_attrs["seed"],
        values=values_of(row),
        result=outcome.get("result", {}),
        history=outcome.get("history", []),
        message=outcome.get("message", ""),
        began=datetime.fromisoformat(run["started"]) if "started" in run else None,
        seconds=outcome.get("seconds"),
        host=run.get("host"),
        pid=run.get("pid"),
        runs=run["count"],
        deaths=run["deaths"],
    )


def values_of(row: FrozenTrial) -> dict:
    """Read a trial's hyper-parameters: those that it began with, and those that its work has asked for."""
    return row.user_attrs["values"] | row.user_attrs.get("outcome", {}).get("more values", {})


def _differ(what: str, known: Mapping, asked: Mapping) -> str:
    """Find the first place where two values part."""
    one, other = known[what], asked[what]
    if isinstance(one, list) and isinstance(other, list):
        counts = f"{len(one)} of them", str(len(other))
        one, other = next(((a, b) for a, b in zip(one, other, strict=False) if a != b), counts)
    return f"{what} {_short(one)}, not {_short(other)}"


def _short(value: object) -> str:
    """Write a value in a few letters."""
    text = value if isinstance(value, str) else json.dumps(value)
    return shown(text if len(text) < 300 else text[:297] + "...")


def _clipped(value: object, distribution: BaseDistribution) -> object:
    """Bring a value inside its bounds: a product of rounding may lie a last digit outside."""
    if isinstance(distribution, CategoricalDistribution):
        return value
    return min(max(value, distribution.low), distribution.high)
