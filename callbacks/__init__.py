"""Keras callbacks for regularisation and optimisation. They know `zoo.layers` and nothing else of this project."""
