"""A search for hyper-parameters that many workers share, each of which may die at any time.

KerasTuner has the space, the tuners and the loop over trials; the trials lie in Optuna's tables. `store` is the tables and
their lock, `oracle` the tuners, `loop` what one worker does; `space` and `trainer` what a head may be and how it is trained;
`board`, `plots` and `kept` what is shown and kept of it. A worker needs nothing but the address of the storage and the name
of the study; there is no chief.
"""
