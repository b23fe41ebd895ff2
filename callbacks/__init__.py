"""Keras callbacks for regularisation and optimisation, the curves that they follow, and what one needs to write others.

>>> from callbacks import IntervalEarlyStopping, L2Scheduler, Linear

They know `zoo.graph`, `zoo.files`, `zoo.keras_private` and nothing else of this project. Each callback keeps what it must
remember under the names in its `STATE`; `TrainingState` saves and restores that. Keras is imported when the first of the
names is asked for.
"""

from importlib import import_module

_MODULES = {
    "averaging": ("WeightAveraging", "interpolate"),
    "checkpoint": ("TrainingState",),
    "early_stopping": ("IntervalEarlyStopping",),
    "learning_rate": ("LearningRateFinder", "warmup_cosine", "warmup_cosine_rates"),
    "optimizers": ("OPTIMIZERS", "RATES", "LayerwiseRates", "decayed_rates", "get_optimizer", "layerwise", "names_before"),
    "penalties": ("l2_sp",),
    "regularization": ("DropoutScheduler", "L2Scheduler", "Scheduled", "ScheduledValue"),
    "schedules": ("Constant", "Cosine", "Curve", "Linear", "Piecewise", "Step"),
    "state": ("Stateful", "Validations", "direction", "monitored", "require_weights", "snapshot", "validations"),
    "unfreezing": ("GradualUnfreezing",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
