"""Every callback with every kind of model and of fit: it works, or it is refused in a sentence before the first step."""

import keras
import numpy as np
import pytest
from keras import layers

from callbacks.averaging import WeightAveraging
from callbacks.checkpoint import TrainingState
from callbacks.early_stopping import IntervalEarlyStopping
from callbacks.learning_rate import LearningRateFinder
from callbacks.optimizers import LayerwiseRates
from callbacks.regularization import DropoutScheduler, L2Scheduler
from callbacks.schedules import Constant
from callbacks.unfreezing import GradualUnfreezing


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="mine")
        self.a, self.drop, self.b = layers.Dense(4, name="a"), layers.Dropout(0.1), layers.Dense(1, name="b")

    def call(self, x, training=False):
        return self.b(self.drop(self.a(x), training=training))


def nested():
    inner, inputs = keras.Input((8,)), keras.Input((8,))
    base = keras.Model(inner, layers.Identity(name="cut")(layers.Dense(4, name="a")(inner)), name="base")
    return keras.Model(inputs, layers.Dense(1, name="b")(layers.Dropout(0.1)(base(inputs, training=False))))


MODELS = {
    "sequential": lambda: keras.Sequential([keras.Input((8,)), *stack()]),
    "unbuilt": lambda: keras.Sequential(stack()),
    "subclassed": Subclassed,
    "called": lambda: called(Subclassed()),
    "nested": nested,
}
CALLBACKS = {
    "averaging": lambda folder: [WeightAveraging(2)],
    "stopping": lambda folder: [IntervalEarlyStopping(2, verbose=False)],
    "l2": lambda folder: [L2Scheduler(Constant(0.1))],
    "dropout": lambda folder: [DropoutScheduler(Constant(0.1))],
    "unfreezing": lambda folder: [GradualUnfreezing({0: "cut", 2: None})],
    "finder": lambda folder: [LearningRateFinder(steps=4, verbose=False)],
    "state": lambda folder: TrainingState(folder, [L2Scheduler(Constant(0.1))]).callbacks,
}
FITS = {
    "plain": {},
    "every second": {"validation_freq": 2},
    "listed": {"validation_freq": [2, 3]},
    "never": {"validation_freq": 9},
    "without": {"validation_data": None},
    "split": {"validation_data": None, "validation_split": 0.5},
    "no epochs": {"epochs": 0},
    "later": {"initial_epoch": 1},
    "weighted": {"class_weight": {0: 1.0, 1: 2.0}},
    "two steps": {"steps_per_epoch": 2},
}
LATE = "needs the weights of .* when fit begins, and it has none yet: begin a Sequential model with keras.Input"
# With TensorFlow a model without a size of input has its weights after the first step only; elsewhere fit builds it before.
UNBUILT = {
    (kind, name, "plain"): LATE
    for kind in ("unbuilt", "subclassed")
    for name in ("averaging", "stopping", "l2", "finder", "state")
    if keras.backend.backend() == "tensorflow"
}
if UNBUILT:
    UNBUILT["unbuilt", "unfreezing", "plain"] = "is a Sequential model without a size of input: begin it with keras.Input"
REFUSED = UNBUILT | {
    ("called", "unfreezing", "plain"): "mine is of the class Subclassed, whose code alone tells the order of its layers",
    ("subclassed", "unfreezing", "plain"): "mine is of the class Subclassed, whose code alone tells the order of its layers",
    ("sequential", "averaging", "never"): "validation_freq=9 validates in none of the 3 epochs",
    ("sequential", "stopping", "never"): "validation_freq=9 validates in none of the 3 epochs",
    ("sequential", "finder", "split"): "tries 4 rates, a step each, and fit has 3 epochs of 1 steps: give fit epochs=4",
    ("sequential", "averaging", "without"): "monitors 'val_loss': give fit validation_data",
    ("sequential", "stopping", "without"): "monitors 'val_loss': give fit validation_data",
}
X = np.random.default_rng(0).standard_normal((16, 8)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def case(kind, name, fit):
    """What the gate leaves to `make deep`: fits that differ in what this callback does not look at."""
    validates, looks = fit in ("every second", "listed", "never", "without", "split"), name in ("averaging", "stopping")
    rest = fit != "plain" and (validates != looks or fit in ("weighted", "two steps"))
    return pytest.param(kind, name, fit, marks=pytest.mark.deep if rest else (), id=f"{kind}-{name}-{fit}")


CASES = [case(kind, name, "plain") for kind in MODELS for name in CALLBACKS]
CASES += [case("sequential", name, fit) for name in CALLBACKS for fit in list(FITS)[1:]]


def called(model):
    model(X[:1])
    return model


def stack():
    return [layers.Dense(4, name="a"), layers.Identity(name="cut"), layers.Dropout(0.1), layers.Dense(1, name="b")]


@pytest.mark.slow
@pytest.mark.fault(
    "Callbacks",
    "a callback with a model that it cannot work with, such as one without weights or without a graph",
    "it works, or is refused in a sentence before the first step; the matrix has every kind of model and of fit",
    "errors of Keras came in the middle of the training, or nothing happened without a word",
)
@pytest.mark.parametrize("kind, name, fit", CASES)
def test_it_works_or_is_refused_before_the_first_step(kind, name, fit, tmp_path):
    model, steps = MODELS[kind](), []
    model.compile(LayerwiseRates(keras.optimizers.Adam(0.01), {}), "mse", run_eagerly=True)
    count = keras.callbacks.TerminateOnNaN()
    count.on_train_batch_end = lambda batch, logs=None: steps.append(logs["loss"])
    options = {"epochs": 3, "validation_data": (X, Y), **FITS[fit]}

    def train():
        return model.fit(X, Y, 8, verbose=0, callbacks=[*CALLBACKS[name](tmp_path), count], **options)

    if says := REFUSED.get((kind, name, fit)):
        with pytest.raises(ValueError, match=says):
            train()
        assert not steps
    else:
        train()
        assert bool(steps) == (fit != "no epochs") and np.isfinite(steps).all()
    assert all(v.regularizer is None for v in model.weights)
