"""L2 penalty and dropout that change during one compiled `fit`.

A compiled step reads a layer's attributes once, when it is traced; afterwards only variables can change what it does.
So for the time of the fit the numbers live in variables that the model holds, the kernels' regularizers and the
dropout layers read them there, and the step is traced with them once. Layers keep their class and their configuration:
whatever is saved, also in the middle of the fit, is a model of stock layers, and no weight is added to it.
"""

from collections.abc import Callable

import keras
from keras import layers, ops

from callbacks.state import Stateful, require_weights
from zoo.graph import is_named, penalized, walk
from zoo.keras_private import track, untrack

# Under which names layers keep the rate of a dropout.
RATES = ("rate", "drop_rate", "dropout_rate", "dropout", "recurrent_dropout")


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
    """Adds value · Σ w² over the kernels to the loss, on top of what penalty they have; biases, norms, embeddings are spared.

    Kernels are those of `zoo.regularize`, also inside models and wrappers. Frozen layers add nothing.

    Args:
        curve: from epoch, or step, to value; see `callbacks.schedules`.
        layers: pattern of the names of the layers, or of those that they lie in, as of file names.
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
        require_weights(model, type(self).__name__)
        undo = []
        for _, kernel, _ in penalized(model, self.layers):
            undo.append(_restore(kernel, kernel.regularizer))
            kernel.regularizer = _penalty(kernel.regularizer, value)
        return undo


class DropoutScheduler(Scheduled):
    """Sets the rate of the model's dropout layers, also of those that were built with a rate of 0, and inside other models.

    A kept value is divided by 1 - rate, so that the expectation stays what it is without dropout; the lecture multiplies
    by the probability of being present at test time instead, which agrees in expectation.
    `SpatialDropout`, `GaussianDropout` and `AlphaDropout` do with the rate what they do in Keras. Attention that was built
    with a dropout takes part, other attention has no place for it. A recurrent layer's own dropout, and that of layers
    which Keras does not know, cannot be set, and is refused.
    After the fit the layers have the rate that they were built with.

    Args:
        curve: from epoch, or step, to rate; see `callbacks.schedules`.
        layers: pattern of the names of the layers, or of those that they lie in, as of file names. The default takes all,
            those that drop whole branches of a residual network (stochastic depth) among them.
        by: "epoch", or "step": the optimiser's count of steps.
        name: under which the rate is logged.
    """

    what = "dropout"

    def __init__(self, curve: Callable[[float], float], layers: str = "*", by: str = "epoch", name: str = "dropout"):
        super().__init__(curve, layers, by, name)
        self._noisy: list[str] = []  # layers that cannot drop everything

    def check(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise ValueError(f"A dropout rate must lie between 0 and 1, the curve of {self.name!r} gives {value}.")
        if value == 1 and self._noisy:
            raise ValueError(f"The rate of {self._noisy[0]!r} must be below 1, the curve of {self.name!r} gives 1.")

    def attach(self, model: keras.Model, value: keras.Variable) -> list[Callable]:
        undo, found = [], _droppers(model, self.layers)
        self._noisy = [layer.name for layer in found if isinstance(layer, layers.GaussianDropout | layers.AlphaDropout)]
        self.check(float(value))
        for i, layer in enumerate(found):
            seed = getattr(layer, "seed_generator", None)
            if seed is None:  # as in a layer that was built with a rate of 0
                seed = keras.random.SeedGenerator(layer.seed)
                undo.append(_hold(model, f"seed_{i}_{self.name}", seed))
            layer.call = _scheduled_call(_DROPPERS[type(layer).call], layer, seed, value)
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


def _droppers(model: keras.Model, pattern: str) -> list[layers.Layer]:
    """List the dropout layers of such a name, or inside a layer of such a name.

    Raises:
        ValueError: another layer drops by itself, at a rate that is written into the step when that is traced.
    """
    paths = [path for path in walk(model) if is_named(path, pattern) and not any(map(_ignores_dropout, path))]
    found = [path for path in paths if type(path[-1]).call in _DROPPERS]
    holders = {id(layer) for path in found for layer in path}
    for *within, layer in paths:
        rates = [name for name in RATES if isinstance(rate := vars(layer).get(name), float) and rate > 0]
        if rates and id(layer) not in holders:
            place = "/".join(one.name for one in (*within, layer))
            raise ValueError(
                f"DropoutScheduler cannot change the {rates[0]} of {place!r} ({type(layer).__name__}) during a fit: build it "
                "with a rate of 0 and put a Dropout layer beside it, or leave it out by `layers`."
            )
    return [path[-1] for path in found]


def _ignores_dropout(layer: layers.Layer) -> bool:
    """Whether this is attention built without dropout, whose layer for it is never called."""
    return isinstance(layer, layers.MultiHeadAttention | layers.GroupQueryAttention) and not layer.get_config()["dropout"]


def _scheduled_call(drop: Callable, layer: layers.Layer, seed: keras.random.SeedGenerator, rate: keras.Variable) -> Callable:
    """Make the call of a dropout layer whose rate is a variable."""

    def call(inputs: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        return drop(layer, inputs, ops.convert_to_tensor(rate), seed) if training else inputs

    return call


def _drop(
    layer: layers.Layer, inputs: keras.KerasTensor, rate: keras.KerasTensor, seed: keras.random.SeedGenerator
) -> keras.KerasTensor:
    """Drop as `Dropout` does."""
    return _keep(inputs, _noise_shape(inputs, layer.noise_shape), rate, seed)


def _drop_channels(
    layer: layers.Layer, inputs: keras.KerasTensor, rate: keras.KerasTensor, seed: keras.random.SeedGenerator
) -> keras.KerasTensor:
    """Drop whole channels, as `SpatialDropout1D`, `2D` and `3D` do."""
    between = [1] * (len(inputs.shape) - 2)
    is_first = getattr(layer, "data_format", None) == "channels_first"  # which of one dimension does not know
    return _keep(inputs, _noise_shape(inputs, (None, None, *between) if is_first else (None, *between, None)), rate, seed)


def _keep(
    inputs: keras.KerasTensor, shape: tuple, rate: keras.KerasTensor, seed: keras.random.SeedGenerator
) -> keras.KerasTensor:
    """Set to 0 what is dropped, and scale up the rest."""
    keep = 1 - rate
    kept = ops.cast(keras.random.uniform(shape, seed=seed, dtype="float32") < keep, "float32")
    scale = kept / ops.maximum(keep, 1e-7)  # at rate 1 nothing is kept, and 0 / 0 would be no number
    return inputs * ops.cast(scale, inputs.dtype)


def _multiply(
    layer: layers.Layer, inputs: keras.KerasTensor, rate: keras.KerasTensor, seed: keras.random.SeedGenerator
) -> keras.KerasTensor:
    """Multiply by noise around 1, as `GaussianDropout` does."""
    noise = keras.random.normal(ops.shape(inputs), seed=seed, dtype="float32")
    return inputs * ops.cast(1 + ops.sqrt(rate / (1 - rate)) * noise, inputs.dtype)


def _saturate(
    layer: layers.Layer, inputs: keras.KerasTensor, rate: keras.KerasTensor, seed: keras.random.SeedGenerator
) -> keras.KerasTensor:
    """Set what is dropped to the lowest value of a SELU, and keep mean and variance, as `AlphaDropout` does."""
    lowest = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946
    shape = _noise_shape(inputs, layer.noise_shape)
    kept = ops.cast(keras.random.uniform(shape, seed=seed, dtype="float32") >= rate, "float32")
    scale = ops.rsqrt((1 - rate) * (1 + rate * lowest**2))
    return ops.cast(scale * (ops.cast(inputs, "float32") * kept + lowest * (1 - kept) - lowest * rate), inputs.dtype)


def _noise_shape(inputs: keras.KerasTensor, shape: tuple | None) -> tuple:
    """Return the shape of the noise, in which None stands for the inputs' own size."""
    whole = ops.shape(inputs)
    return whole if shape is None else tuple(size if noise is None else noise for size, noise in zip(whole, shape, strict=True))


# By the `call` that a layer has of Keras; a class of a user's own that replaces it is not among them.
_DROPPERS = {
    layers.Dropout.call: _drop,
    layers.SpatialDropout2D.call: _drop_channels,
    layers.GaussianDropout.call: _multiply,
    layers.AlphaDropout.call: _saturate,
}


def _hold(model: keras.Model, name: str, generator: keras.random.SeedGenerator) -> Callable:
    """Make the generator's state one of the model's variables, and return what undoes it."""
    track(model, name, generator)

    def release() -> None:
        delattr(model, name)
        untrack(model, generator)

    return release


def _trace_again(model: keras.Model) -> None:
    """Make the compiled steps anew, for a step reads the layers' attributes when it is traced."""
    model.make_train_function(force=True)
    model.make_test_function(force=True)
