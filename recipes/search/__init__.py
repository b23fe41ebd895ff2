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
    hypermodels   `tune_hypermodel`, the same from Python for a KerasTuner hypermodel of the user's own; hypermodel_search: its
                  arguments; feature_sets: its data; hypermodel_tuner, hypermodel_workers, hypermodel_results
    *_private     the parts of Optuna and KerasTuner that may move
"""
