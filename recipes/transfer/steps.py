"""The compiled training step of a phase, which TensorFlow traces once a run: trials, what is taken, and repeats.

To trace a step of MobileNetV2 takes as long as twenty of its steps. What differs between two trainings of the same part is
therefore a variable that the traced step reads: the schedule's numbers, the optimiser's, and those of `callbacks.l2_sp`.
"""

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np

import zoo
from callbacks.learning_rate import warmup_cosine
from callbacks.optimizers import LayerwiseRates, decayed_rates, get_optimizer
from callbacks.state import snapshot
from recipes.compute.compiling import jit
from recipes.compute.precision import FLOAT32
from recipes.data.batches import Batches
from recipes.evaluation.tasks import Task
from recipes.transfer.strategies import Phase

SCHEDULED = ("warmup_target", "warmup_steps", "decay_steps")


@dataclass(frozen=True)
class _Step:
    """A compiled step: what it hangs on, its schedule, and what each variable of its optimiser began with, all alike."""

    key: tuple
    schedule: keras.optimizers.schedules.CosineDecay
    begin: list[np.ndarray]


_parts: WeakKeyDictionary[keras.Model, dict[str, keras.Model]] = WeakKeyDictionary()
_steps: WeakKeyDictionary[keras.Model, _Step] = WeakKeyDictionary()


def part_of(model: keras.Model, phase: Phase) -> keras.Model:
    """Take what a phase compiles, the same whenever it is asked for: the model, or what is behind the cut."""
    if phase.augment:
        return model
    parts = _parts.setdefault(model, {})
    if phase.freeze_until not in parts:
        parts[phase.freeze_until] = zoo.split(model, phase.freeze_until)[1]
    return parts[phase.freeze_until]


def compile_step(
    part: keras.Model, phase: Phase, batches: Batches, whole: keras.Model, task: Task, precision: str = FLOAT32
) -> None:
    """Compile a part that is prepared for a phase, or begin anew with the step that was compiled for its like.

    Args:
        whole: the model that the part is of.
        precision: in which the step is going to be traced.
    """
    key, known = (precision, *_key(part, phase, batches, task)), _steps.get(part)
    steps = len(batches) * phase.epochs
    if known and known.key == key and keras.backend.backend() == "tensorflow":
        _change(known.schedule, phase.learning_rate, steps)
        for variable, value in zip(part.optimizer.variables, known.begin, strict=True):
            variable.assign(np.broadcast_to(value, variable.shape))
        return
    schedule = warmup_cosine(phase.learning_rate, steps)
    for name in SCHEDULED:
        setattr(schedule, name, keras.Variable(getattr(schedule, name), trainable=False, dtype="float32"))
    compile_whole(part, _optimizer(phase, schedule, whole), batches.labels, task)
    _steps[part] = _Step(key, schedule, [snapshot(variable).flat[0] for variable in part.optimizer.variables])


def _key(part: keras.Model, phase: Phase, batches: Batches, task: Task) -> tuple:
    """Collect what a traced step hangs on, beside its variables."""
    # Penalties themselves, not their ids: while they are held, no other can have theirs.
    penalties = [variable.regularizer for variable in part.trainable_variables]
    moments = len(batches) if phase.batch_norm == "adapt" else None
    numbers = phase.optimizer, phase.weight_decay, phase.layer_decay, phase.batch_norm, moments, batches.labels.ndim, task
    return (*numbers, *map(id, part.trainable_variables), *penalties)


def _change(schedule: keras.optimizers.schedules.CosineDecay, peak: float, steps: int) -> None:
    """Give a schedule another peak and number of steps."""
    other = warmup_cosine(peak, steps)
    for name in SCHEDULED:
        getattr(schedule, name).assign(getattr(other, name))


def compile_whole(part: keras.Model, optimizer: keras.optimizers.Optimizer, labels: np.ndarray, task: Task) -> None:
    """Compile a part, and make the variables of its optimiser and metrics at once, not in the first step.

    A step that makes variables is traced twice by TensorFlow, which takes longer than a short training.
    """
    accuracy = Counted(getattr(keras.metrics, task.accuracy_metric(labels)), "accuracy")
    part.compile(optimizer, task.loss(labels), weighted_metrics=[accuracy], jit_compile=jit())
    optimizer.build(part.trainable_variables)
    part.compute_metrics(None, labels[:1], np.zeros((1, *part.output_shape[1:]), "float32"))
    part.reset_metrics()


class Counted(keras.metrics.MeanMetricWrapper):
    """Averages over samples, each of which counts once whatever its weight; those without one only fill up a batch."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Add a batch: `(batch, ...)` of truth and of answers, and weights `(batch,)`, or None."""
        return super().update_state(y_true, y_pred, None if sample_weight is None else keras.ops.sign(sample_weight))


def _optimizer(
    phase: Phase, schedule: keras.optimizers.schedules.LearningRateSchedule, model: keras.Model
) -> keras.optimizers.Optimizer:
    """Make the phase's optimiser, with rates that differ by the model's stages if it asks for that."""
    optimizer = get_optimizer(phase.optimizer, schedule, phase.weight_decay)
    if phase.layer_decay == 1:
        return optimizer
    return LayerwiseRates(optimizer, decayed_rates(model, zoo.stages(model), phase.layer_decay))
