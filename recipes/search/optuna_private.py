"""The parts of Optuna that it does not promise to keep, and what is used instead of them elsewhere in this project.

Its public functions would read whole trials, with every loss of every epoch, where a worker asks which of them still run.
When a new version moves a part, tests/recipes/search/test_private_parts.py names it.
"""

from collections.abc import Collection, Sequence

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
    """Read (id, state, an attribute as JSON, time of the last sign of life or None, time now) of what waits or runs, by number.

    Both times are by the storage's own clock.
    """
    models = optuna.storages._rdb.models
    trial, note, sign = models.TrialModel, models.TrialUserAttributeModel, models.TrialHeartbeatModel
    query = (
        sqlalchemy.select(trial.trial_id, trial.state, note.value_json, sign.heartbeat, sqlalchemy.func.now())
        .join(note, (note.trial_id == trial.trial_id) & (note.key == attribute))
        .outerjoin(sign, sign.trial_id == trial.trial_id)
        .where(trial.study_id == study_id, trial.state.in_([TrialState.WAITING, TrialState.RUNNING]))
        .order_by(trial.number)
    )
    with tables.engine.connect() as connection:
        return connection.execute(query).all()


def suggest(trial: Trial, name: str, distribution: BaseDistribution) -> object:
    """Have a trial's sampler draw a value, whatever the kind of its distribution."""
    return trial._suggest(name, distribution)
