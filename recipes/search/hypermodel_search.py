"""What a search with a hypermodel is of: the arguments of `tune_hypermodel`, as all its workers need them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import keras_tuner

from recipes.search import feature_sets
from recipes.search.feature_sets import FeatureSet
from recipes.settings.tune import Tuning

Build = Callable[[keras_tuner.HyperParameters], keras.Model] | keras_tuner.HyperModel


@dataclass(frozen=True)
class HypermodelSearch:
    """The arguments of `tune_hypermodel`, as all workers need them."""

    data: object
    build: Build
    objective: str | keras_tuner.Objective | list | None
    executions_per_trial: int
    tuner: type[keras_tuner.Tuner]
    tuner_options: Mapping
    validation_data: tuple | None
    epochs: int | None
    batch_size: int | None
    callbacks: Sequence[keras.callbacks.Callback]
    settings: Tuning
    """Folder, storage, study, numbers of trials, models and workers, seed, and the network of a folder of pictures."""

    def load_features(self) -> FeatureSet:
        """Find what models are trained on."""
        if isinstance(self.data, str | Path):
            return feature_sets.of_folder(self.settings)
        return feature_sets.of_arrays(*self.data, self.validation_data, self.settings.seed)

    def fit_arguments(self, features: FeatureSet) -> dict:
        """List what `fit` is given by name, as KerasTuner's `search` passes it on: what is not given is left to `fit`."""
        given = {"epochs": self.epochs, "batch_size": self.batch_size}
        named = {name: value for name, value in given.items() if value is not None}
        return named | {"validation_data": features.validation, "callbacks": list(self.callbacks), "verbose": 0}
