"""Name the classes of new pictures, with their probabilities, by the model of a finished run.

    zoo predict RUN IMAGE...          # files, folders, patterns; --top 1
    python -m recipes.predict RUN IMAGE...

Folders are walked as for training: links to folders are followed once, system files and what this program wrote are ignored,
and what is no picture is named and left out. The exit status is 0 if every file that was named itself has been predicted, and
2 if one could not be, or nothing was there to predict; all others have been predicted before that is said.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import glob
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recipes.console import say
from recipes.data import notes
from recipes.data.decoding import in_threads
from recipes.data.images import Framing, center, read
from recipes.data.sources.walk import SYSTEM_NAMES, Walk
from recipes.errors import ImageError, UserError, shown
from recipes.runs import model_file
from recipes.settings.predict import Prediction

BATCH_SIZE = 64


@dataclass
class Found:
    """The files to predict, and what the way to them has shown."""

    paths: dict[Path, bool] = field(default_factory=dict)  # whether the file was named itself, not by a folder
    notes: list[str] = field(default_factory=list)  # sentences on what was left out
    problems: list[str] = field(default_factory=list)  # what was named and cannot be predicted


def run(settings: Prediction) -> str:
    """Print a line for each picture, and return what was printed; what cannot be read is named, and the rest predicted.

    Raises:
        UserError: no such run, nothing to predict, or files that were named and could not be read.
    """
    if not settings.images:
        raise UserError(
            "There is nothing to predict: give files, folders or patterns of pictures behind the run, as in "
            f"`zoo predict {shown(settings.run)} IMAGE...`."
        )
    classifier = model_file.read(settings.run)
    found = expand(settings.images)
    task, classes, framing = classifier.task, classifier.classes, classifier.framing
    paths, lines, noted = list(found.paths), [], []
    for start in range(0, len(paths), BATCH_SIZE):
        pixels, good = [], []
        for path, result in in_threads(lambda path: (path, _read(path, framing)), paths[start : start + BATCH_SIZE]):
            if not isinstance(result, ImageError):
                pixels.append(center(result[0], framing))
                noted.append((str(path), "; ".join(result[1])))
                good.append(path)
            elif found.paths[path]:
                found.problems.append(f"{shown(path)} {result}")
            else:
                found.notes.append(f"{shown(path)} {result}: left out.")
        if good:
            guesses = classifier.probabilities(np.stack(pixels))
            for path, guess in zip(good, guesses, strict=True):
                named = _likeliest(guess, classes, settings.top) if task.one_label else _over_half(guess, classes)
                lines.append(f"{shown(path)}  {named}")
                say(lines[-1])
    for note in notes.grouped(noted):
        print(f"note: {note}", file=sys.stderr)
    _say_rest(found, len(lines))
    return "\n".join(lines)


def _say_rest(found: Found, predicted: int) -> None:
    """Say what was left out. Raises UserError for what was named and could not be predicted, or if nothing was."""
    for note in found.notes:
        print(f"warning: {note}", file=sys.stderr)
    if found.problems:
        raise UserError(
            f"{len(found.problems)} of what was given could not be predicted, {predicted} pictures were: "
            f"{'; '.join(found.problems[:20])}."
        )
    if not predicted:
        raise UserError("Nothing that was given is a picture that can be read: give other files or folders.")


def expand(images: Sequence[str]) -> Found:
    """List files as they are, folders with all files below them, patterns expanded here if the shell did not."""
    found = Found()
    for name in images:
        matches = [name] if os.path.lexists(name) else sorted(glob.glob(name, recursive=True))
        if not matches:
            found.problems.append(f"{shown(name)} is no picture, no folder with pictures and no pattern that matches any")
        for match in matches:
            if os.path.isdir(match):
                _add_folder(found, match)
            elif os.path.basename(match).lower() in SYSTEM_NAMES:
                found.notes.append(f"{shown(match)} is a file of the system's: left out.")
            else:
                found.paths[Path(match)] = True
    return found


def _add_folder(found: Found, folder: str) -> None:
    """Add the files below a folder."""
    walk = Walk(folder)
    try:
        files = walk.files_below("")
    except UserError as error:
        found.problems.append(str(error).removesuffix("."))
        return
    for file in files:
        found.paths.setdefault(Path(folder, file), False)
    if not files:
        found.problems.append(f"{shown(folder)} is a folder without any file that could be a picture")
    found.notes += [f"{walk.place(path)} {reason}: left out." for path, reason in walk.left_out]
    found.notes += [f"in {shown(folder)}: {finding}" for finding in walk.summary()]


def _read(path: Path, framing: Framing) -> tuple[np.ndarray, list[str]] | ImageError:
    """Read a picture and the notes on it, or say why it cannot be."""
    try:
        return read(path, framing)
    except ImageError as error:
        return error


def _over_half(guess: np.ndarray, classes: Sequence[str]) -> str:
    """Name the classes over one half, the likeliest first."""
    chosen = [i for i in np.argsort(-guess, kind="stable") if guess[i] > 0.5]
    return "  ".join(f"{shown(classes[i])} {guess[i]:.4f}" for i in chosen) or "(no class over 0.5)"


def _likeliest(guess: np.ndarray, classes: Sequence[str], top: int) -> str:
    """Name the likeliest classes."""
    order = np.argsort(-guess, kind="stable")[:top]
    return "  ".join(f"{shown(classes[i])} {guess[i]:.4f}" for i in order)
