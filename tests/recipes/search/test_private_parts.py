"""The parts of Optuna and KerasTuner that they do not promise to keep: when a new version moves one, here is its name."""

import ast
import importlib.metadata
import pkgutil

import house
import keras_tuner
import optuna
import pytest

from recipes.search import keras_tuner_private, optuna_private

PARTS = [
    ("optuna", "optuna.storages._rdb.models:TrialModel.trial_id"),
    ("optuna", "optuna.storages._rdb.models:TrialModel.study_id"),
    ("optuna", "optuna.storages._rdb.models:TrialModel.number"),
    ("optuna", "optuna.storages._rdb.models:TrialModel.state"),
    ("optuna", "optuna.storages._rdb.models:TrialUserAttributeModel.trial_id"),
    ("optuna", "optuna.storages._rdb.models:TrialUserAttributeModel.key"),
    ("optuna", "optuna.storages._rdb.models:TrialUserAttributeModel.value_json"),
    ("optuna", "optuna.storages._rdb.models:TrialHeartbeatModel.trial_id"),
    ("optuna", "optuna.storages._rdb.models:TrialHeartbeatModel.heartbeat"),
    ("optuna", "optuna.storages:RDBStorage._get_trials"),
    ("optuna", "optuna.trial:Trial._suggest"),
    ("keras-tuner", "keras_tuner.engine.base_tuner:BaseTuner._try_run_and_update_trial"),
    ("keras-tuner", "keras_tuner.engine.base_tuner:BaseTuner._get_tuner_fname"),
    ("keras-tuner", "keras_tuner.engine.oracle:Oracle._record_values"),
    ("keras-tuner", "keras_tuner.oracles:GridSearchOracle._get_next_combination"),
    ("keras-tuner", "keras_tuner.engine.hyperparameters:Float._get_n_values"),
]


def moved(library: str, part: str) -> str:
    adapter = f"recipes/search/{library.replace('-', '_')}_private.py"
    return f"{library} {importlib.metadata.version(library)} has no {part} any more: {adapter} must find another way."


def require(library: str, part: str) -> None:
    try:
        pkgutil.resolve_name(part)
    except (ImportError, AttributeError):
        pytest.fail(moved(library, part), pytrace=False)


@pytest.mark.parametrize("library, part", PARTS)
def test_a_part_is_where_it_was(library, part):
    require(library, part)


def test_a_part_that_has_moved_is_named_with_the_version(monkeypatch):
    monkeypatch.delattr(optuna.trial.Trial, "_suggest")
    version = importlib.metadata.version("optuna")
    with pytest.raises(pytest.fail.Exception, match=f"optuna {version} has no optuna.trial:Trial._suggest any more: recipes/"):
        require("optuna", "optuna.trial:Trial._suggest")


def test_a_row_of_optuna_is_known_by_its_id(tmp_path):
    """What workers ask of the tables, beside what Optuna's public functions say of the same."""
    tables = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/trials.db")
    study = optuna.create_study(storage=tables)
    for i in range(3):
        trial = study.ask()
        trial.set_user_attr("run", i)
    study.tell(0, 1.0)
    first, second, third = rows = study.trials
    study_id = tables.get_study_id_from_name(study.study_name)
    ids = [optuna_private.trial_id(row) for row in rows]
    assert [tables.get_trial(one).number for one in ids] == [0, 1, 2], moved("optuna", "FrozenTrial._trial_id")
    tables.record_heartbeat(ids[2])
    found = optuna_private.read_unfinished(tables, study_id, "run")
    assert [(one, state, run, beat is not None) for one, state, run, beat in found] == [
        (ids[1], second.state, "1", False),
        (ids[2], third.state, "2", True),
    ]
    assert optuna_private.read_trials(tables, study_id, [ids[0]], ids[1]) == [first, third]


def test_what_optuna_does_through_a_connection_is_its_transaction(tmp_path):
    tables = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/trials.db")
    study = tables.get_study_id_from_name(optuna.create_study(storage=tables).study_name)
    for ends in ("rollback", "commit"):
        with tables.engine.connect() as connection:
            connection.begin()
            connection.exec_driver_sql("begin")  # which Python's sqlite3 would leave to the first change
            with optuna_private.all_through(tables, connection):
                tables.create_new_trial(study)
                assert tables.get_n_trials(study) == 1, moved("optuna", "RDBStorage.scoped_session")
            getattr(connection, ends)()
        assert tables.get_n_trials(study) == (ends == "commit")


def test_a_trial_of_optuna_draws_from_any_distribution():
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(0)).ask()
    for name, distribution in {
        "float": optuna.distributions.FloatDistribution(0.1, 1.0, log=True),
        "int": optuna.distributions.IntDistribution(3, 7, step=4),
        "word": optuna.distributions.CategoricalDistribution(["a", "b"]),
    }.items():
        value = optuna_private.suggest(trial, name, distribution)
        assert distribution._contains(distribution.to_internal_repr(value)) and trial.params[name] == value


def space() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 1, 9, step=4)
    hp.Boolean("flag")
    return hp


@pytest.mark.parametrize(
    "kind, parts",
    [
        (keras_tuner.oracles.RandomSearchOracle, {"_seed_state"}),
        (keras_tuner.oracles.HyperbandOracle, {"_seed_state", "_brackets", "_current_bracket", "_current_iteration"}),
    ],
)
def test_a_tuner_of_kerastuner_has_its_memory_where_it_was(kind, parts):
    made = kind(objective=keras_tuner.Objective("loss", "min"), hyperparameters=space(), seed=1)
    notes = keras_tuner_private.notes_of(made)
    assert parts == set(notes), moved("keras-tuner", f"{kind.__name__} with {sorted(parts - set(notes))}")
    keras_tuner_private.remember(made, notes | {"_seed_state": 7})
    assert keras_tuner_private.notes_of(made)["_seed_state"] == 7


def test_a_grid_of_kerastuner_goes_on_from_any_combination():
    made = keras_tuner.oracles.GridSearchOracle(keras_tuner.Objective("loss", "min"), hyperparameters=space())
    found, values = [], {"units": 1, "flag": False}
    while values:
        found.append(tuple(values.values()))
        values = keras_tuner_private.next_combination(made, values)
    assert sorted(found) == [(units, flag) for units in (1, 5, 9) for flag in (False, True)]
    assert [keras_tuner_private.count_values(hp) for hp in made.hyperparameters.space[:1]] == [3]


def test_nothing_else_of_the_search_touches_private_parts():
    """No `_name` of anything but `self` and `cls`: those of other libraries stand in the adapters, our own in their modules."""
    for path in [*(house.SOURCES / "recipes" / "search").glob("*.py"), house.SOURCES / "recipes" / "tune.py"]:
        if path.stem.endswith("_private"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
                owner = node.value.id if isinstance(node.value, ast.Name) else ""
                assert owner in ("self", "cls"), f"{path.name}:{node.lineno} uses {node.attr}: an adapter should"
