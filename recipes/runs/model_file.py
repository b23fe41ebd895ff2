"""`model.keras`: a network that predicts, with what a program must know to feed it and to name what it says.

Two members of the zip are this project's: `classes.json`, a list in the order of the outputs, and `framing.json`, how a
picture becomes the model's input. `keras.models.load_model` does not mind them.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recipes.errors import UserError, shown
from recipes.runs.folder import recover

if TYPE_CHECKING:
    import keras

# Between the probabilities of the saved and of the trained model, on the same batch.
MAX_RELOAD_DIFFERENCE = 1e-3
# In another batch: a GPU takes other kernels for it, which were seen to differ by 0.007 (TF32).
MAX_BATCH_DIFFERENCE = 0.05


def save(model: "keras.Model", path: Path, classes: Iterable[str], framing: Mapping) -> None:
    """Write the network alone, with its classes in the order of the outputs and the fields of its framing.

    How it was trained, the optimiser's state among that, would need this project to be loaded again, and four times the
    room.
    """
    import keras

    keras.Model(model.input, model.output, name=model.name).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("classes.json", json.dumps(list(classes)))
        archive.writestr("framing.json", json.dumps(dict(framing)))


def read(folder: Path) -> "tuple[keras.Model, list[str], dict]":
    """Read (model, classes, fields of the framing) of a finished run.

    Raises:
        UserError: there is no run, or its model is damaged.
    """
    import keras

    folder = Path(os.path.abspath(folder))
    recover(folder)
    path = folder / "model.keras"
    if not path.exists():
        inside = folder / "best"
        hint = f"give {shown(inside)}" if (inside / path.name).exists() else "`zoo finetune` writes one"
        raise UserError(f"{shown(folder)} is no finished run: it has no model.keras: {hint}.")
    try:
        with zipfile.ZipFile(path) as archive:
            classes, framing = (json.loads(archive.read(name)) for name in ("classes.json", "framing.json"))
        return keras.models.load_model(path, compile=False), classes, framing
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, TypeError) as error:
        raise UserError(f"{shown(path)} is damaged or was not written by `zoo finetune` ({error}).") from error


class Stranger:
    """Runs a process that cannot import this project, and answers with what a saved model gives there.

    It takes seconds to import Keras, for which nobody need wait: start it before there is something to ask.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        # A GPU is shared with this process; TensorFlow's would otherwise take all of its memory.
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        program = Path(__file__).with_name("stranger.py")
        self._log = open(folder / "log.txt", "w+b")
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            start_new_session=True,
            text=True,
        )

    def answers(self, path: Path, pixels: np.ndarray) -> np.ndarray:
        """Ask the model at `path` for the probabilities `(batch, classes)` of pixels `(batch, height, width, channels)`.

        Raises:
            UserError: the model cannot be loaded there.
        """
        asked, given = self._folder / "pixels.npy", self._folder / "answers.npy"
        np.save(asked, pixels)
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps([str(path), str(asked), str(given)]) + "\n")
            self._process.stdin.flush()
        if self._process.stdout.readline() != "done\n":
            self._log.seek(0)
            last = self._log.read().decode(errors="replace").strip().splitlines()[-1:]
            reason = shown("".join(last)) or f"status {self._process.wait()}"
            raise UserError(f"The saved model, not kept, cannot be loaded where this project is not installed: {reason}")
        return np.load(given)

    def close(self) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self._process.kill()
        self._process.wait()
        self._log.close()


@contextlib.contextmanager
def stranger() -> Iterator[Stranger]:
    """Start a `Stranger` that ends with the block."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        process = Stranger(Path(folder))
        try:
            yield process
        finally:
            process.close()


def check_saved(model: "keras.Model", path: Path, pixels: np.ndarray, reported: np.ndarray, process: Stranger) -> None:
    """Compare the saved model with the trained one, and that with what was reported, on some pictures.

    A model that answers otherwise after loading is worse than none; so is one that does not answer as was reported.

    Args:
        pixels: `(batch, height, width, channels)`.
        reported: probabilities `(batch, classes)`.

    Raises:
        UserError: they differ, or the saved model cannot be loaded where this project is not.
    """
    import keras

    before = keras.ops.convert_to_numpy(model(pixels, training=False))  # `predict` would be traced first
    compared = {
        "saved": (process.answers(path, pixels), MAX_RELOAD_DIFFERENCE),
        "evaluated": (reported, MAX_BATCH_DIFFERENCE),
    }
    for what, (other, limit) in compared.items():
        difference = float(np.abs(before - other).max())
        if not difference < limit:
            raise UserError(
                f"The {what} model differs from the trained one by {difference:.2g} in its probabilities: not kept."
            )
