"""A tuner of KerasTuner's, or of the user's, over the shared store: its own oracle and its own trials."""

import ast
import contextlib
import hashlib
import inspect
import json
import logging
import shutil
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import keras_tuner
from keras_tuner.engine.trial import Trial as KerasTrial
from keras_tuner.errors import FatalValueError

from recipes.console import say
from recipes.errors import UserError, shown
from recipes.search.best_models import BestModels
from recipes.search.feature_sets import FeatureSet, is_class
from recipes.search.hypermodel_search import HypermodelSearch
from recipes.search.loop import SharedLoop
from recipes.search.oracle import share, written
from recipes.search.study import Study

# What `tune_hypermodel` gives a tuner itself, and what a search that others share has no use for.
OWN_OPTIONS = {
    "hypermodel": "build",
    "objective": "objective",
    "max_trials": "max_trials",
    "max_epochs": "epochs",
    "executions_per_trial": "executions_per_trial",
    "seed": "seed",
    "directory": "output",
    "project_name": "study",
}
USELESS_OPTIONS = ("oracle", "overwrite", "tuner_id", "logger", "max_retries_per_trial", "max_consecutive_failed_trials")


class HypermodelLoop(SharedLoop):
    """Runs trials as the tuner's class does, which comes behind it in the order of bases."""

    models: BestModels

    def score_and_result(self, trial: KerasTrial, *arguments: object, **named: object) -> tuple[float, dict]:
        """Run a trial, and give the objective's value and all metrics of the best epoch."""
        keras.utils.set_random_seed(trial.row.user_attrs["seed"])
        values, self._reported = trial.hyperparameters.values, ()
        if values.get("tuner/trial_id") and not self.checkpoint(values["tuner/trial_id"]).exists():
            # Hyperband goes on with the weights of an earlier trial, which another machine has: from the first epoch, then.
            del values["tuner/trial_id"]
            values["tuner/initial_epoch"] = 0
        try:
            with quiet():
                return self._evaluated(trial, *arguments, **named)
        finally:
            if "tuner/epochs" not in values:  # no other trial goes on from its weights
                shutil.rmtree(self.checkpoint(trial.trial_id).parent, ignore_errors=True)

    def on_epoch_end(self, trial: KerasTrial, model: keras.Model, epoch: int, logs: dict | None = None) -> None:
        """Note which metrics there are."""
        self._reported = tuple(logs or ())
        super().on_epoch_end(trial, model, epoch, logs=logs)

    def _evaluated(self, trial: KerasTrial, *arguments: object, **named: object) -> tuple[float, dict]:
        """Run a trial and keep its model. Raises FatalValueError where no training reports the objective."""
        objective = self.oracle.objective
        try:
            self.evaluate(trial, *arguments, **named)
        except KeyError as error:
            if error.args != (objective.name,):
                raise
        metrics = self.oracle.trials[trial.trial_id].metrics
        for name in getattr(objective, "name_to_direction", (objective.name,)):
            if not metrics.exists(name):
                found = ", ".join(self._reported) or "nothing"
                raise FatalValueError(f"objective {name!r} is not what the training reports: {found}.")
        space = self.oracle.hyperparameters
        new = [hp.name for hp in trial.hyperparameters.space if hp.name not in space]
        if new and not self.oracle.allow_new_entries:
            raise FatalValueError(f"fit declares the hyper-parameter {new[0]!r}, and allow_new_entries is False.")
        self.oracle.score_trial(trial)
        result = {name: history.get_last_value() for name, history in metrics.metrics.items()}
        result["epoch"] = trial.best_step + 1 if self._reported else None
        self._keep_model(trial)
        return float(trial.score), result

    def _keep_model(self, trial: KerasTrial) -> None:
        """Keep the model of the trial's best epoch, if it is among the best and its training has left weights."""
        if not self.checkpoint(trial.trial_id).exists():
            return

        def write(path: Path) -> None:
            model = self.load_model(trial)
            if model.compiled and model.built:  # a file without the optimiser's state has Keras warn whenever it is loaded
                model.optimizer.build(model.trainable_variables)
                model.load_weights(self.checkpoint(trial.trial_id))
            model.save(path)

        try:
            self.models.offer(trial.row.number, self.oracle.sign * trial.score, ".keras", 0, write)
        except Exception as error:
            say(f"The model of trial {trial.row.number} cannot be kept ({type(error).__name__}: {shown(error)}).")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what many models in one process have Keras and TensorFlow warn of, which is meant here."""
    logger = logging.getLogger("tensorflow")  # it warns of tracing again
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():  # KerasTuner keeps the weights of an epoch with its optimiser's, and loads them without
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            yield
    finally:
        logger.setLevel(before)


def make_tuner(search: HypermodelSearch, study: Study, models: BestModels) -> HypermodelLoop:
    """Make the tuner over the study's trials; `build` is called for its space.

    Raises:
        UserError: the objective has no direction or names nothing, or the tuner takes no such options.
    """
    settings, takes = search.settings, _parameters(search.tuner)
    try:
        objective = keras_tuner.Oracle(search.objective).objective
    except (TypeError, ValueError) as error:
        raise UserError(f"objective: {error}") from error
    directions = getattr(objective, "name_to_direction", {objective.name: objective.direction})
    if not directions:
        raise UserError("objective must name what the training reports, such as 'val_loss', found an empty list.")
    for name, direction in directions.items():
        if direction not in ("min", "max", None):  # None: of what HyperModel.fit returns
            raise UserError(f"objective {name!r} must have the direction 'min' or 'max', found {direction!r}.")
    for name in search.tuner_options:
        if name in OWN_OPTIONS or name in USELESS_OPTIONS or name not in takes:
            instead = f": give tune_hypermodel {OWN_OPTIONS[name]}=" if name in OWN_OPTIONS else ""
            raise UserError(f"tuner_options has {name!r}, which {search.tuner.__name__} does not take here{instead}.")
    if "max_epochs" in takes and search.epochs is None:
        raise UserError(f"{search.tuner.__name__} needs epochs: how many the best trials are trained for.")
    own = {
        "max_trials": settings.trials,
        "max_epochs": search.epochs,
        "hyperband_iterations": None,  # until there are max_trials
        "executions_per_trial": search.executions_per_trial,
        "seed": settings.seed + 1,  # KerasTuner takes a seed of 0 for none
        "directory": str(settings.folder),
        "project_name": "training",
    }
    options = {name: value for name, value in own.items() if name in takes} | dict(search.tuner_options)
    kind = type(search.tuner.__name__, (HypermodelLoop, search.tuner), {})
    tuner = kind(search.build, objective=objective, **options)
    share(tuner.oracle, study, settings.trials)
    tuner.models = models
    return tuner


def check_model(tuner: HypermodelLoop, features: FeatureSet) -> None:
    """Build one model, and see that it can be trained on the features.

    Raises:
        UserError: saying what it is.
    """
    model = tuner.build_model(tuner.oracle.get_space())
    if not isinstance(model, keras.Model):
        raise UserError(f"build must return a Keras model, found {type(model).__name__}.")
    if type(tuner.hypermodel).fit is not keras_tuner.HyperModel.fit:
        return  # which knows what the model is for
    if not model.compiled:
        raise UserError("build returns a model that is not compiled: call model.compile(...) before it is returned.")
    rows, labels = features.train
    if labels.dtype.kind in "SU":
        raise UserError("labels are text, and a model learns numbers: give numpy.unique(labels, return_inverse=True)[1].")
    try:
        output = model(keras.ops.convert_to_tensor(rows[:2]))
    except Exception as error:
        reason = shown(str(error).strip().splitlines()[0])
        raise UserError(f"build returns a model that does not take features {rows.shape[1:]} ({reason}).") from error
    if is_class(labels) and hasattr(output, "shape"):
        classes, width = int(labels.max()) + 1, output.shape[-1]
        if width < classes and not (width == 1 and classes == 2):
            raise UserError(
                f"build returns a model with {width} outputs, and the labels are of {classes} classes: give its last layer "
                "as many, or, for a regression, labels as floats."
            )


def claim_search(search: HypermodelSearch, tuner: HypermodelLoop, features: FeatureSet) -> None:
    """Write down what the study is of.

    Raises:
        UserError: it was begun with something else.
    """
    options = json.loads(json.dumps(dict(search.tuner_options), default=lambda value: type(value).__name__))
    tuner.oracle.study.claim(
        {
            **features.identity,
            "tuner": search.tuner.__name__,
            "tuner options": options,
            "objective": str(tuner.oracle.objective),
            "executions per trial": search.executions_per_trial,
            "epochs": search.epochs,
            "batch size": search.batch_size,
            "callbacks": [type(callback).__name__ for callback in search.callbacks],
            "hyper-parameters": written(tuner.oracle.hyperparameters),
            "build": _code_of(search.build),
        }
    )


def _code_of(build: object) -> str:
    """Name a function's, or a class's, source, whatever its comments and layout; its name alone where there is no source."""
    what = type(build) if isinstance(build, keras_tuner.HyperModel) else build
    name = getattr(what, "__qualname__", type(what).__qualname__)
    try:
        source = ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(what))))
    except (OSError, TypeError, SyntaxError):  # of a session, a `functools.partial`, or a lambda inside of a line
        return name
    return f"{name} with code {hashlib.sha256(source.encode()).hexdigest()[:12]}"


def _parameters(kind: type) -> set[str]:
    """Collect the arguments that a class takes by name, those that it passes on to its bases among them."""
    names: set[str] = set()
    for base in kind.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters.values()
            names |= {parameter.name for parameter in parameters}
            if not any(parameter.kind == inspect.Parameter.VAR_KEYWORD for parameter in parameters):
                break
    return names
