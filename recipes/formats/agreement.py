"""Whether an exported network answers as the one that it was made of: asked in a process of its own, by its own runtime."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from recipes.console import percent
from recipes.errors import UserError, shown
from recipes.evaluation.intervals import wilson
from recipes.evaluation.tasks import LABEL_SEPARATOR, Task
from recipes.formats.pictures import Picture

# Between two probabilities: of sums in another order; of a grey level here and there in resizing; and of half precision.
LIMITS = {"float32": 1e-3, "any_size": 2e-3, "float16": 2e-2}


@dataclass(frozen=True)
class Answers:
    """What a runtime says: `(pictures, classes)`; and the median of the seconds that a picture took alone."""

    probabilities: np.ndarray
    seconds: float


def ask(form: str, path: Path, pictures: Sequence[np.ndarray]) -> Answers:
    """Have an exported network answer pictures `(height, width, channels)`, in a process without Keras and this project.

    Raises:
        UserError: its runtime cannot load or run it.
    """
    program = Path(__file__).with_name("answering.py")
    with tempfile.TemporaryDirectory(prefix="zoo-") as place:
        asked, found = Path(place, "pictures.npz"), Path(place, "answers.npz")
        np.savez(asked, **{str(number): pixels for number, pixels in enumerate(pictures)})
        done = subprocess.run(
            [sys.executable, "-P", str(program), form, str(path), str(asked), str(found)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"},
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
            raise UserError(f"The network as {form} cannot be run by its own runtime, and is not kept: {shown(reason)}")
        with np.load(found) as file:
            return Answers(file["probabilities"], float(np.median(file["seconds"])))


@dataclass(frozen=True)
class Agreement:
    """How far an exported network's answers lie from Keras'.

    `clear` counts the pictures whose answer is so sure that the limit cannot turn it, and `same` those of them with the same
    answer.
    """

    pictures: int
    difference: float
    limit: float
    clear: int
    same: int

    @property
    def holds(self) -> bool:
        """Whether both answer alike."""
        return self.difference <= self.limit and self.same == self.clear

    def as_dict(self) -> dict:
        """Write the values as JSON takes them."""
        return asdict(self)


def compare(task: Task, before: np.ndarray, after: np.ndarray, limit: float) -> Agreement:
    """Compare probabilities `(pictures, classes)`; what is no number never agrees."""
    if before.shape != after.shape or not np.isfinite(after).all():
        return Agreement(len(before), float("inf"), limit, len(before), 0)
    if task.one_label:
        least, most = np.sort(before, axis=1)[:, -2:].T if before.shape[1] > 1 else (np.zeros(len(before)), before[:, 0])
        is_clear, is_same = most - least > limit, before.argmax(axis=1) == after.argmax(axis=1)
    else:
        is_clear, is_same = (np.abs(before - 0.5) > limit).all(axis=1), ((before > 0.5) == (after > 0.5)).all(axis=1)
    difference = float(np.abs(before - after).max())
    return Agreement(len(before), difference, limit, int(is_clear.sum()), int((is_clear & is_same).sum()))


@dataclass(frozen=True)
class Measured:
    """The accuracy on pictures with known labels, with its 95 % interval."""

    accuracy: float
    low: float
    high: float
    pictures: int

    def __str__(self) -> str:
        return f"{percent(self.accuracy)} ({percent(self.low)} to {percent(self.high)}, {self.pictures:,} pictures)"

    def as_dict(self) -> dict:
        """Write the values as JSON takes them."""
        return {"accuracy": self.accuracy, "interval": [self.low, self.high], "pictures": self.pictures}


def accuracy(task: Task, classes: Sequence[str], pictures: Sequence[Picture], guess: np.ndarray) -> Measured:
    """Measure the accuracy of probabilities `(pictures, classes)` on labelled pictures."""
    words = [picture.label for picture in pictures]
    named = words if task.one_label else [tuple(filter(None, word.split(LABEL_SEPARATOR))) for word in words]
    each = task.accuracy(task.encode(named, classes), guess)
    return Measured(float(each.mean()), *wilson(float(each.sum()), len(each)), len(each))
