"""A run that may be killed at any moment and goes on as if nothing had happened.

Keras' `BackupAndRestore` loses the seeds of dropout, the patience of callbacks and the order of the data, and a kill while
it writes destroys the file that it would go back to.
"""

import json
import os
import random
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import keras
import numpy as np

from callbacks.state import Stateful, require_weights, snapshot
from zoo.files import flush, publish, replace
from zoo.keras_private import CALLBACK_STATE

SCHEMA = 1
# The key in the JSON under which the name of an array stands in its place.
ARRAY = "__array__"
# What a state tells besides arrays, and of which type that is.
PARTS = {"schema": int, "epoch": int, "stopped": bool, "callbacks": list, "history": dict, "epochs": list}


class TrainingState(Stateful):
    """Saves the whole state of training after every `every` epochs, and takes it up again when the same script is rerun.

    >>> state = TrainingState("run/state", [IntervalEarlyStopping(), L2Scheduler(Linear(0, 1e-4, 20))])
    >>> batches = Batches(..., first_epoch=state.initial_epoch)   # the order of data: a function of seed and epoch
    >>> model.fit(batches, epochs=50, shuffle=False, initial_epoch=state.initial_epoch, callbacks=state.callbacks)

    In the state: all variables of the model, seeds of its layers among them, and of the optimiser; what the callbacks
    remember; the history; the generators of Python, NumPy and PyTorch. Not in it, for Keras gives no access: the order in
    which `fit` itself shuffles arrays (give a `PyDataset`, and `shuffle=False`), and TensorFlow's global generator (give
    layers and `tf.data` seeds).

    The file is written beside the old one, flushed to the disk, and renamed; the state before is kept. A damaged file is
    known by its checksums, said, and the state before is used; where both are damaged the run begins anew. A kill costs at
    most the epochs since the last state.

    Args:
        folder: where state.npz and previous.npz lie; nothing else in it is touched.
        callbacks: the fit's, each with `get_state` and `set_state`, or one of Keras' own that are known here: `EarlyStopping`,
            `ReduceLROnPlateau`, `ModelCheckpoint`, `LearningRateScheduler`, `TerminateOnNaN`. Others, which remember
            nothing, can be given to fit beside `state.callbacks`.
        every: epochs between two states; the end of training is always saved.

    Raises:
        TypeError: nothing tells what a callback remembers.
        OSError: a state is there and cannot be opened.
    """

    def __init__(self, folder: str | os.PathLike, callbacks: Sequence[keras.callbacks.Callback] = (), every: int = 1):
        super().__init__()
        forgetful = [type(one).__name__ for one in callbacks if not _is_known(one)]
        if forgetful:
            raise TypeError(
                f"A resumed run would lose what {', '.join(forgetful)} remembers: give it get_state and set_state, as "
                f"callbacks.Stateful has them. Known of Keras' own: {', '.join(one.__name__ for one in CALLBACK_STATE)}."
            )
        self._folder, self._others, self._every = Path(folder), list(callbacks), every
        self._damaged: list[Path] = []
        self._found = self._read()
        # First of all: when an epoch begins it finds every other callback, and Keras' history, done with the one before.
        self.callbacks = [self, *callbacks]

    @property
    def initial_epoch(self) -> int:
        """Number of epochs done, for `fit`; of a run that a callback has stopped, a number that no run reaches."""
        if self._found is None:
            return 0
        return sys.maxsize if self._found["stopped"] else self._found["epoch"]

    def on_train_begin(self, logs: dict | None = None) -> None:
        require_weights(self.model, "TrainingState")

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self._found is not None:
            if epoch != self.initial_epoch:
                raise ValueError(
                    f"The run in {self._folder} is to go on with epoch {self.initial_epoch}, fit begins with {epoch}: "
                    "give fit initial_epoch=state.initial_epoch."
                )
            self._restore()
        elif epoch % self._every == 0:
            self._save(epoch)

    def on_train_end(self, logs: dict | None = None) -> None:
        if self._found is not None:
            self._restore()
        elif self.model.history.epoch:  # none: fit was to do nothing, so that there is nothing to go on from
            self._save(self.model.history.epoch[-1] + 1)

    def _variables(self) -> list[keras.Variable]:
        """Collect the variables of the model, and then those of its optimiser."""
        model = self.sync()
        if not model.optimizer.built:  # with TensorFlow, not before the first step
            model.optimizer.build(model.trainable_variables)
        return [*model.variables, *model.optimizer.variables]

    def _save(self, epoch: int) -> None:
        """Write the state in which training goes on with this epoch."""
        arrays = {f"variable{i}": snapshot(v) for i, v in enumerate(self._variables())}
        state = {
            "schema": SCHEMA,
            "epoch": epoch,
            "stopped": self.model.stop_training,
            "callbacks": [{"name": type(c).__name__, "state": _state_of(c)} for c in self._others],
            "history": self.model.history.history,
            "epochs": self.model.history.epoch,
            "python": random.getstate(),
            "numpy": np.random.get_state(legacy=False),
        }
        if "torch" in sys.modules:
            arrays["torch"] = sys.modules["torch"].get_rng_state().numpy()
        text = json.dumps(_pack(state, arrays))
        self._write(arrays | {"state": np.frombuffer(text.encode(), np.uint8)})

    def _write(self, arrays: dict[str, np.ndarray]) -> None:
        """Replace the state by these arrays, and keep it as the previous one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        state = self._folder / "state.npz"

        def write(new: Path) -> None:
            np.savez(new, **arrays)
            flush(new)
            if state.exists() and state not in self._damaged:
                publish(state, self._folder / "previous.npz")  # killed after this line, a run goes on from the previous one

        replace(state, write, sum(array.nbytes for array in arrays.values()))
        self._damaged = []

    def _read(self) -> dict | None:
        """Read the newest state that is not damaged; None if there is none. Which are damaged is said."""
        said = []
        for name in ("state.npz", "previous.npz"):
            path = self._folder / name
            if not path.exists():
                continue
            with open(path, "rb") as file:
                try:
                    found = _load(file)
                except Exception as error:  # of zip, of NumPy, of JSON, or of what is missing: whatever damage leads to
                    said.append(f"{path} is damaged ({str(error) or type(error).__name__})")
                    self._damaged.append(path)
                    continue
            if found["schema"] != SCHEMA:
                raise ValueError(f"{path} is a state of schema {found['schema']}, this program writes {SCHEMA}.")
            if said:
                warnings.warn(f"{said[0]}: going on from the state before it, epoch {found['epoch']}.", stacklevel=3)
            return found
        if said:
            warnings.warn(f"{'; '.join(said)}: the run begins anew.", stacklevel=3)
        return None

    def _restore(self) -> None:
        """Give model, callbacks, history and generators what was found, once."""
        found, self._found = self._found, None
        arrays, variables = found["arrays"], self._variables()
        saved = [arrays[key] for key in sorted((k for k in arrays if k.startswith("variable")), key=lambda k: int(k[8:]))]
        if [tuple(v.shape) for v in variables] != [a.shape for a in saved]:
            raise ValueError(f"The state in {self._folder} is another model's: {len(saved)} variables, here {len(variables)}.")
        names = [c["name"] for c in found["callbacks"]]
        if names != [type(c).__name__ for c in self._others]:
            raise ValueError(f"The state in {self._folder} was saved with other callbacks: {', '.join(names) or 'none'}.")
        for variable, value in zip(variables, saved, strict=True):
            variable.assign(value)
        for callback, state in zip(self._others, found["callbacks"], strict=True):
            _set_state(callback, state["state"])
        self.model.history.history, self.model.history.epoch = found["history"], found["epochs"]
        version, internal, gauss = found["python"]
        random.setstate((version, tuple(internal), gauss))
        np.random.set_state(found["numpy"])
        if "torch" in arrays:
            torch = sys.modules["torch"]
            torch.set_rng_state(torch.from_numpy(arrays["torch"]))


def _load(file: BinaryIO) -> dict:
    """Read a state, and the arrays in it. Raises whatever its damage leads to."""
    with np.load(file) as members:
        arrays = {key: members[key] for key in members.files}  # NumPy's zip compares each one's checksum
    found = _unpack(json.loads(arrays.pop("state").tobytes()), arrays)
    wrong = [part for part, kind in PARTS.items() if not isinstance(found[part], kind)]
    if wrong:
        raise ValueError(f"no {', '.join(wrong)} in it")
    return found | {"arrays": arrays}


def _is_known(callback: keras.callbacks.Callback) -> bool:
    """Whether it can be told what a callback remembers."""
    return type(callback) in CALLBACK_STATE or (hasattr(callback, "get_state") and hasattr(callback, "set_state"))


def _state_of(callback: keras.callbacks.Callback) -> dict:
    """Return what a callback remembers."""
    if type(callback) in CALLBACK_STATE:
        return {name: getattr(callback, name) for name in CALLBACK_STATE[type(callback)]}
    return callback.get_state()


def _set_state(callback: keras.callbacks.Callback, state: dict) -> None:
    """Let a callback remember what `_state_of` returned."""
    if type(callback) in CALLBACK_STATE:
        vars(callback).update(state)
    else:
        callback.set_state(state)


def _pack(value: object, arrays: dict[str, np.ndarray]) -> object:
    """Turn a value into what JSON can hold, and put its arrays aside under names of their own."""
    if isinstance(value, dict):
        return {key: _pack(item, arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(item, arrays) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        arrays[f"array{len(arrays)}"] = value
        return {ARRAY: f"array{len(arrays) - 1}"}
    return value


def _unpack(value: object, arrays: dict[str, np.ndarray]) -> object:
    """Turn what `_pack` gave back into the value."""
    if isinstance(value, dict):
        return arrays[value[ARRAY]] if set(value) == {ARRAY} else {k: _unpack(v, arrays) for k, v in value.items()}
    return [_unpack(item, arrays) for item in value] if isinstance(value, list) else value
