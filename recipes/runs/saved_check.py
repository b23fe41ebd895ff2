"""Whether a saved model answers as the trained one, loaded by a process that cannot import this project."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes.compute.compiling import compiled
from recipes.errors import UserError, shown

# Between the probabilities of the saved and of the trained model, on the same batch.
MAX_RELOAD_DIFFERENCE = 1e-3
# In another batch: a GPU takes other kernels for it, which were seen to differ by 0.007 (TF32).
MAX_BATCH_DIFFERENCE = 0.05


class Stranger:
    """Runs a process that cannot import this project, and answers with what a saved model gives there.

    It takes seconds to import Keras, and to load a model, for which nobody need wait: start it before there is something to
    ask, and ask before the answer is needed.
    """

    def __init__(self):
        self._stack, self._asked = contextlib.ExitStack(), 0
        with contextlib.suppress(OSError):  # it is tried again when there is something to ask
            self._start()

    def _start(self) -> None:
        """Start the process, in place of one that has died."""
        self.close()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="zoo-")))
        # A GPU is shared with this process; TensorFlow's would otherwise take all of its memory.
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("stranger.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
            text=True,
        )
        self._process = self._stack.enter_context(process)
        self._stack.callback(process.kill)

    def ask(self, path: Path, pixels: np.ndarray) -> None:
        """Ask the model at `path` for the probabilities of pixels `(batch, height, width, channels)`: `answers` takes them.

        An earlier question whose answer nobody took is forgotten.
        """
        self._question = path, pixels
        with contextlib.suppress(OSError, AttributeError, ValueError):  # `answers` asks again
            self._send()

    def answers(self) -> np.ndarray:
        """Wait for the probabilities `(batch, classes)` that were asked for.

        Raises:
            UserError: the model cannot be loaded there.
            OSError: the process died or had no room, twice; that says nothing of the model.
        """
        try:
            return self._receive()
        except (OSError, AttributeError, ValueError):  # it never began, has died, or wrote half an answer
            self._start()
        try:
            self._send()
            return self._receive()
        except ValueError as error:
            raise OSError("the process that loads it died") from error

    @property
    def _given(self) -> Path:
        """The file into which the answers to the last question go."""
        return self._folder / f"answers-{self._asked}.npy"

    def _send(self) -> None:
        path, pixels = self._question
        self._asked += 1
        asked = self._folder / "pixels.npy"
        np.save(asked, pixels)
        self._process.stdin.write(json.dumps([str(path), str(asked), str(self._given)]) + "\n")
        self._process.stdin.flush()

    def _receive(self) -> np.ndarray:
        reply = {}
        while reply.get("asked") != str(self._given):  # nor what an earlier question was answered
            line = self._process.stdout.readline()
            while line.strip() and not line.startswith("{"):  # whatever was printed while Python started
                line = self._process.stdout.readline()
            reply = json.loads(line)
        if "refused" in reply:
            reason = shown(reply["refused"].strip().splitlines()[-1])
            raise UserError(f"The saved model, not kept, cannot be loaded where this project is not installed: {reason}")
        return np.load(self._given)

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError):
            self._stack.close()


@contextlib.contextmanager
def stranger() -> Iterator[Stranger]:
    """Start a `Stranger` that ends with the block."""
    process = Stranger()
    try:
        yield process
    finally:
        process.close()


@dataclass(frozen=True)
class Check:
    """Compares a saved model with the trained one, which gave `trained`, `(batch, classes)`, for the pixels.

    A model that answers otherwise after loading is worse than none; so is one that does not answer as was reported. The
    process is asked when this is made, and answers while other work goes on.

    Args:
        pixels: `(batch, height, width, channels)`.
    """

    path: Path
    pixels: np.ndarray
    trained: np.ndarray
    process: Stranger

    def __post_init__(self):
        self.process.ask(self.path, self.pixels)

    def require_reported(self, reported: np.ndarray) -> None:
        """Raise UserError where the trained model does not give the probabilities `(batch, classes)` that were reported."""
        self._require("evaluated", reported, MAX_BATCH_DIFFERENCE)

    def require_saved(self) -> None:
        """Wait for the saved model's answer.

        Raises:
            UserError: it differs, or the saved model cannot be loaded where this project is not.
        """
        import keras

        try:
            after = self.process.answers()
        except OSError as error:
            print(f"warning: the saved model was checked in this process alone, not in a fresh one ({error}).", file=sys.stderr)
            (after,) = compiled(keras.models.load_model(self.path))(self.pixels)
        self._require("saved", after, MAX_RELOAD_DIFFERENCE)

    def _require(self, what: str, other: np.ndarray, limit: float) -> None:
        """Raise UserError where answers differ by more than that from those of the trained model."""
        difference = float(np.abs(self.trained - other).max())
        if not difference < limit:
            raise UserError(
                f"The {what} model differs from the trained one by {difference:.2g} in its probabilities: not kept."
            )
