"""The lecture's optimisers by name, and learning rates that differ by layer."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial

import keras
from keras import ops, optimizers

from zoo.graph import before
from zoo.keras_private import index_of, trained_variables

# Keras' momentum is v ← 0.9 v - rate · ∇J, W ← W + v. The lecture writes v as a running mean, with (1 - 0.9) ∇J: the same
# path for a rate ten times as high.
OPTIMIZERS = {
    "sgd": optimizers.SGD,
    "momentum": partial(optimizers.SGD, momentum=0.9),
    "nesterov": partial(optimizers.SGD, momentum=0.9, nesterov=True),
    "adagrad": optimizers.Adagrad,
    "rmsprop": optimizers.RMSprop,
    "adam": optimizers.Adam,
    "adamw": optimizers.AdamW,
}
# A usual learning rate of each, where Adam's is the 0.001 of its paper; `zoo compare_optimizers` looks around them.
RATES = {"sgd": 0.1, "momentum": 0.01, "nesterov": 0.01, "adagrad": 0.01, "rmsprop": 0.001, "adam": 0.001, "adamw": 0.001}
SPARED_FROM_DECAY = ["bias", "gamma", "beta"]


def get_optimizer(
    name: str, learning_rate: float | optimizers.schedules.LearningRateSchedule, weight_decay: float | None = None
) -> optimizers.Optimizer:
    """Make the optimiser of that name in `OPTIMIZERS`.

    `weight_decay` is decoupled from the gradient (Loshchilov & Hutter 2017, arXiv:1711.05101): each step takes
    learning_rate · weight_decay · w off the kernels and spares biases and norms. The default is none, and 0.004 for
    "adamw". Keras writes which variables are spared into no configuration: an optimiser that was read from a file decays
    all, one that is made here again does not.

    Raises:
        ValueError: there is no such optimiser.
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"There is no optimizer {name!r}: there are {', '.join(OPTIMIZERS)}.")
    options = {} if weight_decay is None else {"weight_decay": weight_decay}
    optimizer = OPTIMIZERS[name](learning_rate, **options)
    optimizer.exclude_from_weight_decay(var_names=SPARED_FROM_DECAY)
    return optimizer


@keras.saving.register_keras_serializable("callbacks")
class LayerwiseRates(optimizers.Optimizer):
    """Wraps an optimiser, and multiplies its update of each layer's variables by that layer's rate.

    What is multiplied is the update: Adam divides by the gradient's own size, so that a scaled gradient would change
    nothing. Weight decay, as part of the update, is multiplied as well. The inner optimiser's slots are what they would be
    without the wrapper. Multiplied variables cost memory for one more copy of themselves during a step.

    The rates are variables: they may be changed inside a compiled `fit` with `set_rates`.

    Args:
        inner: any optimiser of Keras without `use_ema`.
        rates: from a layer's name, or a pattern of names, to its rate; the first that matches holds. Layers that none
            matches have rate 1. See `decayed_rates`.

    Raises:
        ValueError: the inner optimiser has `use_ema`, or, in `build`, a pattern matches no trainable layer.
    """

    def __init__(self, inner: optimizers.Optimizer, rates: Mapping[str, float], name: str | None = None):
        if inner.use_ema:
            raise ValueError("LayerwiseRates: an inner optimizer with use_ema would average weights that never were.")
        super().__init__(learning_rate=0.0, name=name)
        self.inner, self.rates = inner, dict(rates)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        unused = [pattern for pattern in self.rates if not any(_matches(pattern, v) for v in variables)]
        if unused:
            names = sorted({v.path.split("/")[-2] for v in variables})
            raise ValueError(f"LayerwiseRates: no trainable layer matches {', '.join(unused)}; there are {', '.join(names)}.")
        self.inner.build(variables)
        self._rates = [
            self.add_variable((), keras.initializers.Constant(self._rate(v)), "float32", name="rate") for v in variables
        ]
        super().build(variables)

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Give layers other rates from the next step on, by the same rules as in `rates`."""
        self.rates = dict(rates)
        if self.built:  # with TensorFlow, not before the first step
            for rate, variable in zip(self._rates, trained_variables(self), strict=True):
                rate.assign(self._rate(variable))

    def apply(self, grads: Sequence, trainable_variables: Sequence[keras.Variable] | None = None) -> None:
        variables = trained_variables(self) if trainable_variables is None else list(trainable_variables)
        if not self.built:
            self.build(variables)
        unchanged = [ops.copy(v) for v in variables]
        self.inner.apply(grads, variables)
        for variable, old in zip(variables, unchanged, strict=True):
            rate = ops.cast(self._rates[index_of(self, variable)], variable.dtype)
            # Exact at both ends: a rate of 1 is the inner optimiser, a rate of 0 moves nothing.
            variable.assign(rate * variable + (1 - rate) * old)

    def _rate(self, variable: keras.Variable) -> float:
        """Find the rate of a variable's layer."""
        return next((rate for pattern, rate in self.rates.items() if _matches(pattern, variable)), 1.0)

    @property
    def variables(self) -> list[keras.Variable]:
        return super().variables + self.inner.variables

    @property
    def learning_rate(self) -> keras.Variable:
        return self.inner.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float) -> None:
        self.inner.learning_rate = learning_rate

    @property
    def iterations(self) -> keras.Variable:
        return self.inner.iterations

    def scale_loss(self, loss: keras.KerasTensor) -> keras.KerasTensor:
        return self.inner.scale_loss(loss)

    def get_config(self) -> dict:
        return {"name": self.name, "inner": keras.saving.serialize_keras_object(self.inner), "rates": self.rates}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> "LayerwiseRates":
        inner = keras.saving.deserialize_keras_object(config.pop("inner"), custom_objects=custom_objects)
        return cls(inner, **config)


def decayed_rates(model: keras.Model, stages: Sequence[str], decay: float) -> dict[str, float]:
    """Make `LayerwiseRates`' rates: 1 behind the last of `stages`, `decay` before it, `decay`² a stage earlier, and so on.

    Raises:
        ValueError: the model has no such stage, is neither functional nor Sequential, or has layers of one name before and
            behind a stage.
    """
    rates: dict[str, float] = {}
    for i, stage in enumerate(stages):
        for name in names_before(model, stage):
            rates.setdefault(name, decay ** (len(stages) - i))
    return rates


def names_before(model: keras.Model, stage: str | None) -> list[str]:
    """List the names by which `LayerwiseRates` knows the trainable layers that a stage depends on; none for None.

    Raises:
        ValueError: there is no such stage, the model has no graph, or a layer behind the stage has one of the names.
    """
    named = {id(v): _name_of(layer, v) for layer in before(model, stage) for v in layer.weights if v.trainable}
    names = dict.fromkeys(named.values())
    for variable in model.trainable_variables:
        if id(variable) not in named and (twice := names.keys() & set(variable.path.split("/")[:-1])):
            raise ValueError(
                f"{model.name} has layers called {min(twice)!r} before and behind {stage!r}: layerwise rates tell layers by "
                "their names, so give one of them another."
            )
    return list(names)


def _name_of(layer: keras.layers.Layer, variable: keras.Variable) -> str:
    """Name the layer of a graph that a variable belongs to, as its path tells: a model inside a model stands in none."""
    names = variable.path.split("/")[:-1]
    return layer.name if layer.name in names else names[0]


def layerwise(optimizer: optimizers.Optimizer) -> LayerwiseRates:
    """Find a model's `LayerwiseRates`, also inside what mixed precision wraps around it.

    Raises:
        ValueError: there is none.
    """
    found = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(found, LayerwiseRates):
        raise ValueError(
            f"Compile the model with callbacks.optimizers.LayerwiseRates(your_optimizer, {{}}); it has {type(found).__name__}."
        )
    return found


def _matches(pattern: str, variable: keras.Variable) -> bool:
    """Whether a layer that the variable is part of has a name of this pattern."""
    return any(fnmatchcase(layer, pattern) for layer in variable.path.split("/")[:-1])
