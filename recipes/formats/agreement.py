"""Whether an exported network answers as the one that it was made of: asked in a process of its own, by its own runtime."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import PIPE

import numpy as np

from recipes.console import percent
from recipes.errors import UserError, shown
from recipes.evaluation.intervals import wilson
from recipes.evaluation.tasks import LABEL_SEPARATOR, Task
from recipes.formats.pictures import Picture

TIMED_CALLS = 20
# Between two probabilities: of sums in another order; of a grey level here and there in resizing; and of half precision.
LIMITS = {"float32": 1e-3, "any_size": 2e-3, "float16": 2e-2}


@dataclass(frozen=True)
class Answers:
    """What a runtime says: `(pictures, classes)`; and the medians of the seconds that one picture took it, and Keras, in turns.

    `scores` are how foreign the pictures are, `(pictures,)`; empty where the network does not say it.
    """

    probabilities: np.ndarray
    scores: np.ndarray
    seconds: float
    keras_seconds: float


def ask(form: str, path: Path, pictures: Sequence[np.ndarray], beside: Callable[[], float]) -> Answers:
    """Have an exported network answer pictures `(height, width, channels)`, in a process without Keras and this project.

    Then the first of them is timed, in turns with what `beside` times, so that whatever else the machine does is in both.

    Raises:
        UserError: its runtime cannot load or run it.
    """
    program = str(Path(__file__).with_name("answering.py"))
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zoo-")))
        asked, found = place / "pictures.npz", place / "answers.npz"
        np.savez(asked, **{str(number): pixels for number, pixels in enumerate(pictures)})
        errors = stack.enter_context(open(place / "errors.txt", "w+", encoding="utf-8", errors="backslashreplace"))
        command = [sys.executable, "-P", program, form, str(path), str(asked), str(found)]
        process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=errors, text=True, env=environment)
        stack.enter_context(process)
        stack.callback(process.kill)
        times = list(_in_turns(process, beside))
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        if process.wait() or len(times) < TIMED_CALLS:
            errors.seek(0)
            reason = (errors.read().strip().splitlines() or [f"it ended with status {process.returncode}"])[-1]
            raise UserError(f"The network as {form} cannot be run by its own runtime, and is not kept: {shown(reason)}")
        with np.load(found) as file:
            return Answers(file["probabilities"], file["scores"], *np.median(times, axis=0).tolist())


def _in_turns(process: subprocess.Popen, beside: Callable[[], float]) -> Iterator[tuple[float, float]]:
    """Wait until a process has answered, then give the seconds of its next calls, each with those of what stands beside it."""
    with contextlib.suppress(BrokenPipeError, ValueError):  # it has died, and its status says so
        for _ in range(TIMED_CALLS if process.stdout.readline() else 0):
            process.stdin.write("\n")
            process.stdin.flush()
            yield float(process.stdout.readline()), beside()


@dataclass(frozen=True)
class Agreement:
    """How far an exported network's answers lie from Keras': its probabilities, or its scores of how foreign pictures are.

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


def compare_scores(threshold: float, before: np.ndarray, after: np.ndarray, limit: float) -> Agreement:
    """Compare scores `(pictures,)` of how foreign pictures are, which are unknown above a threshold."""
    if before.shape != after.shape or not np.isfinite(after).all():
        return Agreement(len(before), float("inf"), limit, len(before), 0)
    is_clear, is_same = np.abs(before - threshold) > limit, (before > threshold) == (after > threshold)
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
