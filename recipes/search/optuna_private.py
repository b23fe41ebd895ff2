"""The parts of Optuna that it does not promise to keep, and what is used instead of them elsewhere in this project.

Its public functions would read whole trials, with every loss of every epoch, where a worker asks which of them still run.
When a new version moves a part, tests/recipes/search/test_private_parts.py names it.
"""

import contextlib
from collections.abc import Collection, Iterator, Sequence

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState


def trial_id(row: FrozenTrial) -> int:
    """Return the number of a trial among those of all studies in its storage."""
    return row._trial_id


def read_trials(tables: RDBStorage, study_id: int, known: Collection[int], newest: int) -> list[FrozenTrial]:
    """Read the trials with these ids, and all whose id is higher than `newest`."""
    return tables._get_trials(study_id, None, set(known), newest)


def read_unfinished(tables: RDBStorage, study_id: int, attribute: str) -> Sequence[tuple]:
    """Read (id, state, an attribute as JSON, time of the last sign of life or None) of what waits or runs, by number."""
    models = optuna.storages._rdb.models
    trial, note, sign = models.TrialModel, models.TrialUserAttributeModel, models.TrialHeartbeatModel
    query = (
        sqlalchemy.select(trial.trial_id, trial.state, note.value_json, sign.heartbeat)
        .join(note, (note.trial_id == trial.trial_id) & (note.key == attribute))
        .outerjoin(sign, sign.trial_id == trial.trial_id)
        .where(trial.study_id == study_id, trial.state.in_([TrialState.WAITING, TrialState.RUNNING]))
        .order_by(trial.number)
    )
    with contextlib.closing(tables.scoped_session()) as session:
        return session.execute(query).all()


@contextlib.contextmanager
def all_through(tables: RDBStorage, connection: sqlalchemy.Connection) -> Iterator[None]:
    """Have this thread's reads and writes go through a connection: they are part of its transaction, or fail with it."""
    session = tables.scoped_session()
    before, session.bind, session.join_transaction_mode = session.bind, connection, "create_savepoint"
    try:
        yield
    finally:
        session.close()
        session.bind = before


def suggest(trial: Trial, name: str, distribution: BaseDistribution) -> object:
    """Have a trial's sampler draw a value, whatever the kind of its distribution."""
    return trial._suggest(name, distribution)
