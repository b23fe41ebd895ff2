"""A search with a KerasTuner hypermodel of the user's own, from Python: trials in the store of `zoo tune`, and its workers.

    from recipes.search.hypermodels import tune_hypermodel

    best = tune_hypermodel("photos", build, output="runs/heads", max_trials=30, workers=4)

A trial is what KerasTuner makes of it: `build(hp)`, `HyperModel.fit`, `executions_per_trial`, and the tuner's own `run_trial`.
What differs is where trials lie and who runs them; see `docs/tune.md`.
"""

import contextlib
import inspect
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import keras_tuner
from keras_tuner.errors import FatalError

from recipes.compute import signals
from recipes.compute.devices import gpus
from recipes.console import say
from recipes.errors import UserError, shown
from recipes.search import hypermodel_workers
from recipes.search import workers as processes
from recipes.search.best_models import BestModels
from recipes.search.board import Board
from recipes.search.disk import DiskBudget
from recipes.search.folder import check_table, entered, gets_results, mark_finished, study_name, study_storage
from recipes.search.hypermodel_results import Results
from recipes.search.hypermodel_search import Build, FeatureSet, HypermodelSearch
from recipes.search.hypermodel_tuner import HypermodelLoop, check_model, claim_search, make_tuner
from recipes.search.records import TrialRecord, ranked, states_in_words
from recipes.search.storage import locate, used
from recipes.search.study import Study, open_study
from recipes.settings.tune import Tuning
from zoo.arguments import integer

# What says which features a folder of pictures gives, as the flags of `zoo tune`.
NETWORK = ("model", "weights", "alpha", "variant", "preprocessing", "image_size", "validation", "test", "keep_leaks")


@dataclass(frozen=True)
class Tuned:
    """What a search with a hypermodel has found."""

    hyperparameters: keras_tuner.HyperParameters
    """Those of the best trial: `build(hyperparameters)` is its model, untrained."""
    score: float
    """The objective of the best trial."""
    model: Path | None
    """The best trial's model with the weights of its best epoch, for `keras.models.load_model`; None if it is on the machine of
    another worker, or the training has left no weights."""
    trials: list[TrialRecord]
    """All trials by number; `loss` is the objective, with a minus where that is maximised, `result` all metrics."""
    folder: Path
    """Where trials.csv, report.html, result.json and models/ lie."""


def tune_hypermodel(
    data: str | Path | tuple,
    build: Build,
    *,
    output: str | Path,
    objective: str | keras_tuner.Objective | list | None = "val_loss",
    max_trials: int = 10,
    executions_per_trial: int = 1,
    tuner: type[keras_tuner.Tuner] = keras_tuner.BayesianOptimization,
    tuner_options: Mapping | None = None,
    validation_data: tuple | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    seed: int = 0,
    workers: int = 1,
    storage: str | None = None,
    study: str | None = None,
    keep: int = 3,
    **network: object,
) -> Tuned:
    """Search with a KerasTuner hypermodel; called again with the same arguments it goes on where it was cut off.

    Args:
        data: a folder of pictures, of which models see the last features of the frozen network, `(pictures, channels)`, and
            whole numbers as labels; or `(features, labels)`, arrays `(rows, ...)`. A quarter of the rows judges trials.
        build: `build(hp)`, or a `keras_tuner.HyperModel`, that returns a compiled model for them.
        output: folder for trials.csv, report.html, result.json, models/ and, unless `storage` says where, the trials.
        objective: as KerasTuner takes it: a name whose direction it knows, `keras_tuner.Objective("val_f1", "max")`, a list of
            these, or None where `fit` returns a float to minimise.
        max_trials: trials in all, by all workers.
        executions_per_trial: trainings whose mean is a trial's score.
        tuner: a class of KerasTuner's, or one derived from it; `keras_tuner.Hyperband` gets `epochs` as its `max_epochs`.
        tuner_options: more arguments of that class, such as `{"factor": 4}`.
        validation_data: `(features, labels)` that judge trials, beside arrays.
        epochs: of each training; None to leave that to `HyperModel.fit`, or to Keras, which trains one.
        batch_size: None to leave that to `HyperModel.fit`, or to Keras, which takes 32.
        callbacks: for `fit`; each training gets copies.
        seed: of everything random.
        workers: processes on this machine; with more than one, `build` must be defined at the top of a module or a script.
        storage: a SQLite file, or postgresql://USER:PASSWORD@HOST/DATABASE for several machines.
        study: the search's name in `storage`; that of `output` if not given.
        keep: models to keep: those of the best trials.
        **network: for a folder, which network and pictures, as the flags of `zoo tune`: model, weights, alpha, variant,
            preprocessing, image_size, validation, test, keep_leaks.

    Raises:
        UserError: an argument cannot be used, the folder or the study is of another search, or no trial has a score.
    """
    with _in_python():
        hypermodel_workers.check_is_no_worker()
        _check(data, build, tuner, validation_data, callbacks, network)
        max_trials, workers, keep = _count("max_trials", max_trials), _count("workers", workers), _count("keep", keep)
        executions_per_trial = _count("executions_per_trial", executions_per_trial)
        epochs, batch_size = (
            None if value is None else _count(name, value) for name, value in (("epochs", epochs), ("batch_size", batch_size))
        )
        seed = _whole(seed, "seed must be a whole number, 0 or more", 0)
        source = Path(data) if isinstance(data, str | Path) else Path(output)
        settings = Tuning(
            source,
            Path(output),
            trials=max_trials,
            epochs=epochs or 1,
            workers=workers,
            storage=storage,
            study=study or Path(output).resolve().name,
            keep=keep,
            seed=seed,
            mirror="no",
            **network,
        )
        search = HypermodelSearch(
            data=data,
            build=build,
            objective=objective,
            executions_per_trial=executions_per_trial,
            tuner=tuner,
            tuner_options=dict(tuner_options or {}),
            validation_data=validation_data,
            epochs=epochs,
            batch_size=batch_size,
            callbacks=tuple(callbacks),
            settings=settings,
        )
        with signals.raised():
            return run(search)


def run(search: HypermodelSearch) -> Tuned:
    """Search, in this process and its workers, and leave the results if they are this folder's.

    Raises:
        UserError: as `tune_hypermodel` says.
    """
    start, settings = time.monotonic(), search.settings
    if settings.workers > 1:
        hypermodel_workers.check(search)
    features = search.load_features()
    with entered(settings) as is_held, used(locate(study_storage(settings))):
        study = open_study(study_storage(settings), study_name(settings), {"scope": "hypermodel", "seed": settings.seed})
        check_table(settings, len(study.records()))
        is_home = is_held and gets_results(settings, study)
        models = BestModels(DiskBudget(settings.folder, float("inf"), 0, 0, 0, 0), settings.keep)
        tuner = make_tuner(search, study, models)
        check_model(tuner, features)
        claim_search(search, tuner, features)
        results = Results(search, tuner.oracle.objective)
        try:
            _try_all(search, tuner, features, results)
        except KeyboardInterrupt:
            if is_home:
                results.write_table(study.records())
            raise
        if is_home:
            results.write(study, features, time.monotonic() - start)
            mark_finished(study)
        else:
            say(f"{states_in_words(study.records())}. Table and report: {study.home['where']}")
        return _tuned(settings.folder, tuner, study, models)


def _try_all(search: HypermodelSearch, tuner: HypermodelLoop, features: FeatureSet, results: Results) -> None:
    """Run all trials that are left, here or in processes of their own."""
    settings, study = search.settings, tuner.oracle.study
    with Board(settings.trials, study.records, results.scores):
        if settings.workers > 1:
            storage = settings.storage or str(study_storage(settings).resolve())
            joining = replace(settings, workers=1, storage=storage, study=study.name)
            with hypermodel_workers.job(replace(search, settings=joining)) as file:
                processes.run("recipes.search.hypermodels", [str(file)], settings.folder, settings.workers, gpus())
        try:  # alone; or what is left where workers have died
            tuner.search(*features.train, **search.fit_arguments(features))
        except FatalError as error:
            raise UserError(str(error)) from error


def _tuned(folder: Path, tuner: HypermodelLoop, study: Study, models: BestModels) -> Tuned:
    """Collect what was found. Raises UserError where no trial has a score."""
    trials = study.records()
    if not ranked(trials):
        reasons = "; ".join(dict.fromkeys(trial.message for trial in trials if trial.state == "failed"))
        raise UserError(f"No trial has a score. {shown(reasons)}")
    best = ranked(trials)[0]
    hps = tuner.oracle.get_best_trials(1)[0].hyperparameters
    model = next((file for file in models.files() if file.stem.endswith(f" trial {best.number}")), None)
    return Tuned(hps, tuner.oracle.sign * best.loss, model, trials, folder)


def _check(data: object, build: object, tuner: object, validation_data: object, callbacks: object, network: Mapping) -> None:
    """Refuse arguments of the wrong kind. Raises UserError, naming the argument."""
    is_folder = isinstance(data, str | Path)
    if not is_folder and not (isinstance(data, tuple | list) and len(data) == 2):
        raise UserError(f"data must be a folder or (features, labels), two arrays of numbers, found {type(data).__name__}.")
    if is_folder and validation_data is not None:
        raise UserError("validation_data goes with arrays: of a folder, a quarter of the training pictures judges trials.")
    if validation_data is not None and not (isinstance(validation_data, tuple | list) and len(validation_data) == 2):
        raise UserError(f"validation_data must be (features, labels), found {type(validation_data).__name__}.")
    if not callable(build) and not isinstance(build, keras_tuner.HyperModel):
        raise UserError(f"build must be a function build(hp) or a keras_tuner.HyperModel, found {shown(repr(build))}.")
    if not (inspect.isclass(tuner) and issubclass(tuner, keras_tuner.Tuner) and tuner is not keras_tuner.Tuner):
        raise UserError(f"tuner must be a class such as keras_tuner.RandomSearch, or one derived from it, found {tuner!r}.")
    if not isinstance(callbacks, tuple | list):
        raise UserError(f"callbacks must be a list of Keras callbacks, found {type(callbacks).__name__}.")
    for name in [callback.__name__ for callback in callbacks if inspect.isclass(callback)]:
        raise UserError(f"callbacks must be a list of Keras callbacks, found the class {name}: make one, {name}(...).")
    if unknown := sorted(network.keys() - set(NETWORK)):
        raise UserError(f"tune_hypermodel has no argument {unknown[0]!r}; of a network it takes {', '.join(NETWORK)}.")
    if network and not is_folder:
        raise UserError(f"{sorted(network)[0]} is for a folder of pictures, and data are arrays: leave it out.")


def _count(name: str, value: object) -> int:
    """Read a number of trials, workers, epochs. Raises UserError: it is none."""
    return _whole(value, f"{name} must be a positive whole number", 1)


def _whole(value: object, expected: str, least: int) -> int:
    """Read a whole number, NumPy's too. Raises UserError: it is none, or below `least`."""
    try:
        return integer(value, expected, least)
    except ValueError as error:
        raise UserError(str(error)) from None


@contextlib.contextmanager
def _in_python() -> Iterator[None]:
    """Name arguments as Python does in what the functions of the command say: --output is `output`, --trials `max_trials`."""
    try:
        yield
    except UserError as error:
        text = re.sub(r"--(\w[\w-]*)", lambda found: found[1].replace("-", "_"), str(error))
        raise UserError(re.sub(r"\btrials must", "max_trials must", text)) from error


if __name__ == "__main__":
    hypermodel_workers.serve(run)
