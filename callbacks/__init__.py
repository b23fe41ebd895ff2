"""Keras callbacks for regularisation and optimisation. They know `zoo.layers` and nothing else of this project.

Each keeps what it must remember under the names in its `STATE`; `checkpoint.TrainingState` saves and restores that.
"""
