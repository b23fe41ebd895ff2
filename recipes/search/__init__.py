"""A search for hyper-parameters that many workers share, each of which may die at any time.

KerasTuner has the space, the tuners and the loop over trials; the trials lie in Optuna's tables. A worker needs nothing but the
address of the storage and the name of the study; there is no chief.

    records       what is known of a trial, in the words that all of these share
    storage       a SQLite file or a PostgreSQL server; study: the trials in it, and who runs them
    oracle        the tuners; loop: what one worker does; workers: several of them
    space         what a head may be; fine_tuning: how a network may be trained, and a trial of it
    preparation   what is known before the first trial; scopes: what is searched
    folder        whose a folder is; disk, best_models: what may lie in it
    board         what is shown; plots, report, results: what is left behind
    *_private     the parts of Optuna and KerasTuner that may move
    hypermodels   the same for a KerasTuner hypermodel of the user's own, from Python: `tune_hypermodel`
"""

from importlib import import_module

__all__ = ["Tuned", "tune_hypermodel"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.hypermodels"), name)
