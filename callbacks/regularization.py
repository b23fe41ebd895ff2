"""L2 penalty and dropout that change during one compiled `fit`.

A compiled step reads a layer's attributes once, when it is traced; afterwards only variables can change what it does.
So for the time of the fit the numbers live in variables that the model holds, the kernels' regularizers and the
dropout layers read them there, and the step is traced with them once. Layers keep their class and their configuration:
whatever is saved, also in the middle of the fit, is a model of stock layers, and no weight is added to it.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase

import keras
from keras import layers, ops

from callbacks.state import Stateful
from zoo.keras_private import untrack
from zoo.layers import kernels


class ScheduledValue(keras.random.SeedGenerator):
    """Holds a number that may change between two compiled steps.

    What a layer or model holds of this class reaches the step as a variable on every backend, but is none of its
    weights: it is not counted, saved, or restored with them. That is how Keras treats the state of a seed.
    """

    def __init__(self, value: float, name: str):
        super().__init__(seed=0, name=name)
        # Not cast by mixed precision: 1 - rate would lose digits.
        self.state = keras.Variable(value, dtype="float32", trainable=False, autocast=False, name=name)


class Scheduled(Stateful):
    """Sets one number by a curve, at the start of each epoch or of each step, and logs it under `name`.

    A subclass says in `what` what it is a number of, refuses in `check` values that it cannot have, and lets the model read
    it in `attach`, which returns what undoes that.
    """

    what: str

    def __init__(self, curve: Callable[[float], float], layers: str, by: str, name: str):
        super().__init__()
        if by not in ("epoch", "step"):
            raise ValueError(f'by must be "epoch" or "step", found {by!r}.')
        self.curve, self.layers, self.by, self.name = curve, layers, by, name
        self._undo = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.detach()
        model = self.model
        self._scheduled = ScheduledValue(self._value(0), self.name)
        self._undo = self.attach(model, self._scheduled.state)
        if not self._undo:
            raise ValueError(f"{type(self).__name__}: {model.name} has {self.what} in no layer named {self.layers!r}.")
        self._undo.append(_hold(model, f"scheduled_{self.name}", self._scheduled))
        _trace_again(model)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self.by == "epoch":
            self._set(epoch)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        if self.by == "step":
            self._set(int(self.model.optimizer.iterations))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs[self.name] = float(self._scheduled.state)

    def on_train_end(self, logs: dict | None = None) -> None:
        self.detach()
        _trace_again(self.model)

    def check(self, value: float) -> None:
        """Refuse a value that the number cannot have, with a ValueError."""
        raise NotImplementedError

    def attach(self, model: keras.Model, value: keras.Variable) -> list[Callable]:
        """Let the layers named `self.layers` read the value, and return what undoes that; nothing, if there are none."""
        raise NotImplementedError

    def detach(self) -> None:
        """Give the layers back what they had: for a fit that was interrupted; otherwise its end does so."""
        while self._undo:
            self._undo.pop()()

    def _set(self, time: float) -> None:
        """Let the layers read the curve's value from the next step on."""
        self.sync()
        self._scheduled.state.assign(self._value(time))

    def _value(self, time: float) -> float:
        """Follow the curve. Raises ValueError where it leaves what the number can be."""
        value = float(self.curve(time))
        self.check(value)
        return value


class L2Scheduler(Scheduled):
    """Adds value · Σ w² over the kernels to the loss, on top of what penalty they have; biases and norms are spared.

    Frozen layers add nothing.

    Args:
        curve: from epoch, or step, to value; see `callbacks.schedules`.
        layers: pattern of the layers' names, as of file names.
        by: "epoch", or "step": the optimiser's count of steps.
        name: under which the value is logged.
    """

    what = "kernels"

    def __init__(self, curve: Callable[[float], float], layers: str = "*", by: str = "epoch", name: str = "l2"):
        super().__init__(curve, layers, by, name)

    def check(self, value: float) -> None:
        if value < 0:
            raise ValueError(f"An L2 penalty must be 0 or more, the curve of {self.name!r} gives {value}.")

    def attach(self, model: keras.Model, value: keras.Variable) -> list[Callable]:
        undo = []
        for layer, kernel, _ in kernels(model):
            if fnmatchcase(layer.name, self.layers):
                undo.append(_restore(kernel, kernel.regularizer))
                kernel.regularizer = _penalty(kernel.regularizer, value)
        return undo


class DropoutScheduler(Scheduled):
    """Sets the rate of the model's `Dropout` layers, also of those that were built with a rate of 0.

    A kept value is divided by 1 - rate, so that the expectation stays what it is without dropout; the lecture multiplies
    by the probability of being present at test time instead, which agrees in expectation.
    After the fit the layers have the rate that they were built with.

    Args:
        curve: from epoch, or step, to rate; see `callbacks.schedules`.
        layers: pattern of the layers' names, as of file names. The default takes all, those that drop whole branches of
            a residual network (stochastic depth) among them.
        by: "epoch", or "step": the optimiser's count of steps.
        name: under which the rate is logged.
    """

    what = "dropout"

    def __init__(self, curve: Callable[[float], float], layers: str = "*", by: str = "epoch", name: str = "dropout"):
        super().__init__(curve, layers, by, name)

    def check(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise ValueError(f"A dropout rate must lie between 0 and 1, the curve of {self.name!r} gives {value}.")

    def attach(self, model: keras.Model, value: keras.Variable) -> list[Callable]:
        undo = []
        for layer in model.layers:
            if type(layer) is layers.Dropout and fnmatchcase(layer.name, self.layers):
                seed = getattr(layer, "seed_generator", None)
                if seed is None:  # as in a layer that was built with a rate of 0
                    seed = keras.random.SeedGenerator(layer.seed)
                    undo.append(_hold(model, f"seed_{layer.name}", seed))
                layer.call = _dropout(layer.noise_shape, seed, value)
                undo.append(lambda layer=layer: delattr(layer, "call"))
        return undo


def _penalty(before: Callable | None, factor: keras.Variable) -> Callable:
    """Make a penalty of factor · Σ w² on top of the one that was there."""

    def penalty(kernel: keras.KerasTensor) -> keras.KerasTensor:
        added = ops.cast(factor, kernel.dtype) * ops.sum(ops.square(kernel))
        return added if before is None else before(kernel) + added

    return penalty


def _restore(kernel: keras.Variable, regularizer: Callable | None) -> Callable:
    """Make what gives the kernel back its regulariser."""
    return lambda: setattr(kernel, "regularizer", regularizer)


def _dropout(noise_shape: tuple | None, seed: keras.random.SeedGenerator, rate: keras.Variable) -> Callable:
    """Make the call of a dropout layer whose rate is a variable."""

    def call(inputs: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        if not training:
            return inputs
        shape = ops.shape(inputs)
        if noise_shape is not None:
            shape = tuple(size if noise is None else noise for size, noise in zip(shape, noise_shape, strict=True))
        keep = 1 - ops.convert_to_tensor(rate)
        kept = ops.cast(keras.random.uniform(shape, seed=seed, dtype="float32") < keep, "float32")
        scale = kept / ops.maximum(keep, 1e-7)  # at rate 1 nothing is kept, and 0 / 0 would be no number
        return inputs * ops.cast(scale, inputs.dtype)

    return call


def _hold(model: keras.Model, name: str, generator: keras.random.SeedGenerator) -> Callable:
    """Make the generator's state one of the model's variables, and return what undoes it."""
    setattr(model, name, generator)

    def release() -> None:
        delattr(model, name)
        untrack(model, generator)

    return release


def _trace_again(model: keras.Model) -> None:
    """Make the compiled steps anew, for a step reads the layers' attributes when it is traced."""
    model.make_train_function(force=True)
    model.make_test_function(force=True)
