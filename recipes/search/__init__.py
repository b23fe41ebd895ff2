"""A search for hyper-parameters that many workers share, each of which may die at any time.

KerasTuner has the space, the tuners and the loop over trials; the trials lie in Optuna's tables. `store` is the tables and
their lock, `oracle` the tuners, `loop` what one worker does. A worker needs nothing but the address of the storage and the
name of the study; there is no chief.
"""
