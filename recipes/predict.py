"""Name the classes of new pictures, with their probabilities, by the model of a finished run.

zoo predict RUN IMAGE...          # files, folders, globs; --top 1
python -m recipes.predict RUN IMAGE...
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from recipes.console import say
from recipes.data import notes
from recipes.data.decoding import in_threads
from recipes.data.images import Framing, center, read
from recipes.errors import ImageError, UserError, shown
from recipes.evaluation.tasks import of_activation
from recipes.runs import model_file
from recipes.settings.predict import Prediction

BATCH_SIZE = 64


def run(settings: Prediction) -> str:
    """Print a line for each picture, and return what was printed; those that cannot be read are named at the end.

    Raises:
        UserError: no such run, nothing to predict, or pictures that could not be read.
    """
    if not settings.images:
        raise UserError("There is nothing to predict: give files, folders or patterns of pictures behind the run.")
    model, classes, framing = model_file.read(settings.run)
    paths = list(dict.fromkeys(expand(settings.images)))
    task = of_activation(model.layers[-1].activation.__name__)
    framing, lines, problems, noted = Framing.saved(framing), [], [], []
    for start in range(0, len(paths), BATCH_SIZE):
        pixels, good = [], []
        for path, result in in_threads(lambda path: (path, _read(path, framing)), paths[start : start + BATCH_SIZE]):
            if isinstance(result, ImageError):
                problems.append(f"{shown(path)} {result}")
            else:
                pixels.append(center(result[0], framing))
                noted.append((str(path), "; ".join(result[1])))
                good.append(path)
        if good:
            guesses = model.predict(np.stack(pixels), batch_size=32, verbose=0)
            for path, guess in zip(good, guesses, strict=True):
                named = _likeliest(guess, classes, settings.top) if task.one_label else _over_half(guess, classes)
                lines.append(f"{shown(path)}  {named}")
                say(lines[-1])
    for note in notes.grouped(noted):
        print(f"note: {note}", file=sys.stderr)
    if problems:
        raise UserError(f"{len(problems)} of {len(paths)} pictures could not be read: {'; '.join(problems[:20])}.")
    return "\n".join(lines)


def expand(images: Sequence[str]) -> Iterator[Path]:
    """List files as they are, folders with all files below them but hidden ones, globs expanded here if the shell did not.

    Raises:
        UserError: something names no file.
    """
    for name in images:
        matches = [name] if os.path.exists(name) else sorted(glob.glob(name, recursive=True))
        files = [file for match in matches for file in _files(Path(match))]
        if not files:
            raise UserError(f"{shown(name)} is no picture, no folder with pictures and no pattern that matches any.")
        yield from files


def _files(path: Path) -> list[Path]:
    """List a file, or all files below a folder that are not hidden."""
    if not path.is_dir():
        return [path]
    files = (file for file in sorted(path.rglob("*")) if file.is_file())
    return [file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts)]


def _read(path: Path, framing: Framing) -> tuple[np.ndarray, list[str]] | ImageError:
    """Read a picture and the notes on it, or say why it cannot be."""
    try:
        return read(path, framing)
    except ImageError as error:
        return error


def _over_half(guess: np.ndarray, classes: list[str]) -> str:
    """Name the classes over one half, the likeliest first."""
    chosen = [i for i in np.argsort(-guess, kind="stable") if guess[i] > 0.5]
    return "  ".join(f"{shown(classes[i])} {guess[i]:.4f}" for i in chosen) or "(no class over 0.5)"


def _likeliest(guess: np.ndarray, classes: list[str], top: int) -> str:
    """Name the likeliest classes."""
    order = np.argsort(-guess, kind="stable")[:top]
    return "  ".join(f"{shown(classes[i])} {guess[i]:.4f}" for i in order)
