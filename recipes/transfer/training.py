"""One phase of training by gradient descent: freeze, compile, fit, in this order and nowhere else."""

import contextlib
import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

import zoo
from callbacks.averaging import WeightAveraging
from callbacks.checkpoint import TrainingState
from callbacks.state import Stateful
from recipes.compute.folding import foldable, folded
from recipes.compute.precision import FLOAT32, computed
from recipes.compute.replicas import alone, spread
from recipes.compute.versions import versions
from recipes.data.batches import Batches
from recipes.errors import UserError, refuse_shortage, shown
from recipes.evaluation.tasks import MULTI_CLASS, Task
from recipes.transfer import batch_norm
from recipes.transfer.features import fingerprint, graph
from recipes.transfer.steps import compile_step, part_of
from recipes.transfer.strategies import Phase
from zoo.files import cache_folder
from zoo.progress import Progress

# Each looks at the validation part, and leaves a state.
CHECKS_PER_PHASE = 20
# From the number of epochs that are done to whether training goes on; the weights are as they were when it returns.
Watch = Callable[[int], bool]


def prepare(model: keras.Model, phase: Phase, steps: int) -> keras.Model:
    """Freeze for a phase of so many steps an epoch, and give what to compile.

    That is the model, or the part behind the cut if activations are cached.
    """
    zoo.freeze(model, phase.freeze_until)
    batch_norm.apply(model, phase.batch_norm, steps)
    return part_of(model, phase)


def train(
    part: keras.Model,
    phase: Phase,
    batches: Batches,
    validation: Batches | None,
    folder: Path,
    deadline: float = math.inf,
    report: Callable[[dict], None] = lambda row: None,
    whole: keras.Model | None = None,
    task: Task = MULTI_CLASS,
    watch: Watch | None = None,
    precision: str = FLOAT32,
    devices: int = 1,
) -> list[dict]:
    """Fit a prepared part of the `whole` model, or all of it; return a row of history an epoch.

    A state is left in the folder about every twentieth of the way, from where a later call with the same arguments goes on to
    the same result.

    Args:
        batches: what is trained on.
        validation: what is held out, if anything is.
        folder: where the state lies.
        deadline: when training ends at the latest, as time.monotonic() counts.
        report: gets each row at once; of a training that goes on, the earlier rows again.
        watch: asked after every epoch but the last whether training goes on, with the weights that it would end with.
        precision: of what layers compute, as `precision.chosen` gives it.
        devices: among how many each batch is divided, as `recipes.compute.replicas` has them.

    Raises:
        UserError: the loss became NaN or infinite; the folder cannot be read or written.
    """
    recorder = History(phase, len(batches), deadline, report)
    averaging = [WeightAveraging(phase.average_best, monitor="loss")] if phase.average_best else []
    every = max(1, phase.epochs // CHECKS_PER_PHASE)
    state = _state(folder, [recorder, *averaging], every)
    batches.begin(state.initial_epoch)
    try:
        with (
            spread(part, devices, lambda it: compile_step(it, phase, batches, whole or part, task, precision)) as trained,
            computed(trained, precision),
            folded(foldable(trained, in_training=True)),
        ):
            trained.fit(
                batches,
                validation_data=validation,
                validation_freq=list(range(phase.epochs, 0, -every)),
                epochs=phase.epochs,
                verbose=0,
                shuffle=False,
                initial_epoch=state.initial_epoch,
                callbacks=[Unfilled(batches), *state.callbacks, _Watching(watch, phase.epochs, part, averaging)],
            )
    except OSError as error:
        raise UserError(f"The state of the training: {shown(error)} Or set ZOO_CACHE to one.") from error
    return recorder.rows


class Unfilled(keras.callbacks.Callback):
    """Counts an epoch's last batch in the logged loss as large as it was before it was filled up; comes before who reads it."""

    def __init__(self, batches: Batches):
        super().__init__()
        self._batches, self._means = batches, [0.0, 0.0]  # over the batches before the last, and over all

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Note the mean so far."""
        self._means, self._last = [self._means[1], logs["loss"]], batch

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Put the loss right, if the epoch came to its end."""
        size, filled = self._batches.last
        if size == filled or self._last < len(self._batches) - 1:
            return
        before, (earlier, whole) = len(self._batches.labels) - size, map(float, self._means)
        last = (whole * (before + filled) - earlier * before) / filled
        logs["loss"] = (earlier * before + last * size) / (before + size)


def _state(folder: Path, callbacks: list[Stateful], every: int) -> TrainingState:
    """Take up the state in the folder, or begin one; says which is damaged. Raises UserError for one that cannot be read."""
    try:
        with warnings.catch_warnings(record=True) as damaged:
            warnings.simplefilter("always")
            state = TrainingState(folder, callbacks, every)
    except ValueError as error:  # a sentence already
        raise UserError(str(error)) from error
    except OSError as error:
        refuse_shortage(error, folder)
        raise UserError(f"The state of the training in {shown(folder)} cannot be read ({error.strerror}).") from error
    for warning in damaged:
        print(f"warning: {shown(warning.message)}", file=sys.stderr)
    return state


def state_folder(model: keras.Model, *depends: object) -> Path:
    """Name the folder of the state of a training that begins with the model's weights and depends on nothing else."""
    return cache_folder("training") / fingerprint(model, depends, graph(model), versions())


class _Watching(Stateful):
    """Ends the training when the one who watches says so, after any epoch but the last."""

    def __init__(self, watch: Watch | None, epochs: int, part: keras.Model, averaging: Sequence[WeightAveraging]):
        super().__init__()
        self._watch, self._epochs, self._part, self._averaging = watch, epochs, part, averaging

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Ask, with the weights that training would end with here, and with numbers that Keras may keep what it traces of."""
        if self._watch is None or epoch + 1 == self._epochs:
            return
        model = self.sync()
        with contextlib.ExitStack() as stack:
            for one in self._averaging:
                stack.enter_context(one.averaged())
            stack.enter_context(alone(self._part, model))
            stack.enter_context(computed(self._part, FLOAT32))
            goes_on = self._watch(epoch + 1)
        if not goes_on:
            model.stop_training = True


class History(Stateful):
    """Keeps rows for history.csv, shows a line of progress with the time left, and stops the training when its time is over.

    Raises:
        UserError: at the end of an epoch whose loss is NaN or infinite.
    """

    STATE = ("rows",)

    def __init__(self, phase: Phase, steps: int, deadline: float = math.inf, report: Callable[[dict], None] = lambda row: None):
        super().__init__()
        self.rows: list[dict] = []
        self._phase, self._steps, self._deadline, self._report = phase, steps, deadline, report
        self._progress = Progress(phase.name, steps * phase.epochs, "steps", compiles=True)
        self._note = ""

    def set_state(self, state: dict) -> None:
        """Remember what `get_state` returned, and report its rows again."""
        super().set_state(state)
        self._progress.skip(len(self.rows) * self._steps)
        for row in self.rows:
            self._report(row)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the epoch's clock."""
        self._start = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Show progress, and stop when the time is over."""
        self._progress.advance(1, self._note)
        if time.monotonic() > self._deadline:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Add a row, and report it."""
        values = {
            "learning_rate": float(self.model.optimizer.learning_rate),
            "loss": logs["loss"],
            "accuracy": logs["accuracy"],
            "validation_loss": logs.get("val_loss"),
            "validation_accuracy": logs.get("val_accuracy"),
            "seconds": time.monotonic() - self._start,
        }
        rounded = {name: value if value is None else float(f"{value:.6g}") for name, value in values.items()}
        row = {"phase": self._phase.name, "epoch": epoch + 1} | rounded
        if not math.isfinite(row["loss"]):
            raise UserError(
                f"Training has diverged: the loss became {row['loss']} in epoch {epoch + 1}. "
                f"Give a --learning-rate below {self._phase.learning_rate:g}."
            )
        self.rows.append(row)
        self._report(row)
        self._note = f"epoch {epoch + 1}/{self._phase.epochs} loss {row['loss']:.4f}"

    def on_train_end(self, logs: dict | None = None) -> None:
        """End the line of progress; it says where training stopped, if that was before its last epoch."""
        done, planned = len(self.rows), self._phase.epochs
        self._progress.end(f"ended after {done:,} of {planned:,} epochs" if done < planned else "")
