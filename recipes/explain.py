"""Show where a run's network sees a class in pictures, check that by hiding the place, and find training pictures like them.

    zoo explain RUN IMAGE...             # files, folders, patterns
    zoo explain RUN IMAGE... --class NAME --stage stage3
    python -m recipes.explain RUN IMAGE...

Writes `explain.html`, a heat map over each picture as PNG, and `explain.json`, and prints what they say. Measured with whole
ImageNet weights of five families on 200 of ImageNet's pictures: docs/explain.md. The exit status is that of `zoo predict`.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from recipes.console import say
from recipes.data.decoding import in_threads
from recipes.data.images import Framing
from recipes.data.sources.own import mark, refuse_foreign
from recipes.errors import ImageError, UserError, shown, some
from recipes.predict import Found, Tally, expand, say_rest
from recipes.report.explain import MAX_SHOWN, render
from recipes.report.explained import Explained, summary, verdict
from recipes.report.overlays import overlay
from recipes.report.thumbnails import png
from recipes.runs import model_file, reference
from recipes.runs.answers import Answer
from recipes.runs.model_file import Classifier
from recipes.settings.explain import Explaining
from recipes.transfer import explanations
from recipes.transfer.explanations import Explanations, Picture
from recipes.transfer.grad_cam import GradCam
from zoo.disk import WriteError
from zoo.files import write_bytes, write_json, write_text

BATCH_SIZE = 16
PAGE, VALUES = "explain.html", "explain.json"
SCHEMA = 1


def run(settings: Explaining) -> Path:
    """Explain, write, and say what was found; return the folder that holds it.

    Raises:
        UserError: no such run, class or stage; nothing to explain; or files that were named and could not be read.
    """
    if not settings.images:
        raise UserError(
            "There is nothing to explain: give files, folders or patterns of pictures behind the run, as in "
            f"`zoo explain {shown(settings.run)} IMAGE...`."
        )
    _check_output(settings)
    made = _prepared(settings)
    found, tally = expand(settings.images), Tally()
    try:
        count = _explain(settings, made, found, tally)
    except WriteError as error:
        raise UserError(f"--output {shown(error)}") from error
    if count:
        say(f"Open {(settings.folder / PAGE).resolve()}")
    for path, reason in found.problems:
        tally.add(Answer(path, error=reason), is_named=True)
    say_rest(found, tally, count, "explained")
    return settings.folder


def _check_output(settings: Explaining) -> None:
    """Refuse to write into a run's folder, which would no more be known as one, and among other files. Raises UserError."""
    refuse_foreign(settings.folder)
    if (settings.folder / "model.keras").exists():
        raise UserError(
            f"--output {shown(settings.folder)} holds a run, which keeps to its own files: choose another, or leave it out."
        )


def _prepared(settings: Explaining) -> Explanations:
    """Read the run, and what its training pictures are. Raises UserError."""
    classifier = model_file.read(settings.run)
    try:
        grad_cam = GradCam(classifier.model, settings.stage)
    except ValueError as error:  # a sentence already
        raise UserError(str(error)) from error
    known = reference.read(settings.run)
    return Explanations(classifier, grad_cam, _asked(settings.class_name, classifier), known, reference.root(settings.run))


def _asked(name: str | None, classifier: Classifier) -> int | None:
    """Find the number of the class that --class names. Raises UserError."""
    if name is None:
        return None
    if name not in classifier.classes:
        raise UserError(f"--class {shown(name)} is none of the run's classes: choose one of {some(classifier.classes, 20)}.")
    return classifier.classes.index(name)


def _explain(settings: Explaining, made: Explanations, found: Found, tally: Tally) -> int:
    """Explain the pictures batch by batch, and write; gives how many there were."""
    shown_ones: list[Explained] = []
    values, checks, names = [], [], _pictures_in(settings.folder, found.paths)
    for pictures in _batches(found, tally, made.classifier.framing):
        mark(settings.folder)  # not before: where nothing can be explained, no folder is made
        for one in made.of(pictures):
            name = _name(one.path, names)
            write_bytes(settings.folder / name, png(overlay(one.pixels, one.maps[0].heat)))
            values.append(one.as_dict() | {"overlay": name})
            checks.append(one.check)
            shown_ones += [one] if len(shown_ones) < MAX_SHOWN else []
            _tell(one)
    if not values:
        return 0
    checked, missing = summary(checks), _missing(settings, made)
    for line in filter(None, [checked, *missing]):
        say(line)
    stages, subject = made.grad_cam.stages, settings.subject
    what = {"schema": SCHEMA, "recipe": "explain", "run": subject, "stages": list(stages), "summary": checked}
    write_json(settings.folder / VALUES, what | {"pictures": values})
    write_text(settings.folder / PAGE, render(subject, stages, shown_ones, len(values), checked, missing))
    return len(values)


def _batches(found: Found, tally: Tally, framing: Framing) -> Iterator[list[Picture]]:
    """Read pictures, so many at once; what cannot be read is noted, as for `zoo predict`."""
    for start in range(0, len(found.paths), BATCH_SIZE):
        pictures = []
        batch = found.paths[start : start + BATCH_SIZE]
        for path, result in in_threads(lambda path: (path, _read(Path(path), framing)), batch):
            if isinstance(result, Picture):
                pictures.append(result)
                tally.notes.add(path, "; ".join(result.notes))
            else:
                tally.add(Answer(path, error=str(result)), path in found.named)
        if pictures:
            yield pictures


def _read(path: Path, framing: Framing) -> Picture | ImageError:
    """Read a picture, or say why it cannot be."""
    try:
        return explanations.read(path, framing)
    except ImageError as error:
        return error


def _pictures_in(folder: Path, paths: Sequence[str]) -> set[str]:
    """List the names of the pictures that lie where the overlays go, in small letters: no overlay replaces one."""
    place = os.path.realpath(folder)
    there = {parent for parent in {os.path.dirname(path) for path in paths} if os.path.realpath(parent) == place}
    return {os.path.basename(path).lower() for path in paths if os.path.dirname(path) in there}


def _name(path: str, names: set[str]) -> str:
    """Name the overlay of a picture, each another, and remember it."""
    stem = re.sub(r"[^\w.+-]+", "-", Path(path).stem, flags=re.ASCII).strip("-.") or "picture"
    choices = (f"{stem}{f'-{number}' if number > 1 else ''}.png" for number in range(1, len(names) + 2))
    chosen = next(name for name in choices if name.lower() not in names)
    names.add(chosen.lower())
    return chosen


def _tell(one: Explained) -> None:
    """Print what was found in a picture."""
    say(f"{shown(one.path)}  " + "  ".join(f"{shown(name)} {probability:.4f}" for name, probability in one.top))
    for each in one.maps:
        say(f"  {each.words}")
    if one.check:
        say(f"  {verdict(one.check)}")
    if one.neighbors:
        say("  nearest: " + ", ".join(f"{shown(each.path)} ({shown(each.label)})" for each in one.neighbors))


def _missing(settings: Explaining, made: Explanations) -> list[str]:
    """Say why there are no training pictures beside the others, or only their names."""
    if made.reference is None:
        return [
            "There are no nearest training pictures: the run was made before features of them were kept; the same recipe makes "
            f"it anew, `zoo finetune --recipe {shown(settings.run / 'recipe.json')}`."
        ]
    if made.root is None:
        return ["The nearest training pictures are named, not shown: the folder that they were trained from is not here."]
    return []
