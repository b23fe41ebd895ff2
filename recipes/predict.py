"""Name the classes of new pictures, with their probabilities, by the model of a finished run.

    zoo predict RUN IMAGE...                      # files, folders, patterns; --top 1
    zoo predict RUN IMAGE... --csv answers.csv    # --json FILE, --json -, --parquet FILE, --all-classes
    python -m recipes.predict RUN IMAGE...

Folders are walked as for training: links to folders are followed once, system files and what this program wrote are ignored,
and what is no picture is named and left out. The exit status is 0 if every file that was named itself has been predicted, and
2 if one could not be, or nothing was there to predict; all others have been predicted before that is said.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import contextlib
import glob
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from recipes.console import Columns, say
from recipes.data.notes import Notes
from recipes.data.sources.own import RUN_FILES
from recipes.data.sources.walk import SYSTEM_NAMES, Walk
from recipes.errors import UserError, shown, some
from recipes.evaluation.drift import Drift
from recipes.runs import model_file
from recipes.runs.answer_files import FILES, Layout, as_line
from recipes.runs.answers import BATCH_SIZE, Answer, answers
from recipes.runs.assurance import FeatureSample, assurance
from recipes.runs.model_file import Classifier
from recipes.settings.predict import Prediction
from zoo.progress import Progress

MAX_SAID = 100
# Whose widths say how wide the first column of a table is.
MEASURED_PATHS = 1_000
MAX_PROBLEMS = 20
# Letters of a class's name for which a column leaves room from the first row on.
MAX_NAME = 40
OVER = 0.5


@dataclass
class Found:
    """The files to predict, and what the way to them has shown."""

    paths: list[str] = field(default_factory=list)
    named: set[str] = field(default_factory=set)  # files that were given themselves, not by a folder
    notes: list[str] = field(default_factory=list)  # sentences on what was left out
    problems: list[tuple[str, str]] = field(default_factory=list)  # what was given and cannot be predicted, and why


@dataclass
class Tally:
    """What there is to say at the end, however many pictures there were."""

    predictions: Counter[str] = field(default_factory=Counter)
    notes: Notes = field(default_factory=Notes)
    left_out: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unsaid: int = 0  # left out, beyond those that are listed
    unknown: int = 0  # pictures of no known class
    failed: int = 0  # what was given itself and could not be predicted

    def add(self, answer: Answer, is_named: bool) -> None:
        """Count an answer."""
        if not answer.error:
            self.predictions[answer.prediction] += 1
            self.unknown += bool(answer.is_unknown)
            self.notes.add(answer.path, answer.note)
        elif is_named:
            self.failed += 1
            if len(self.problems) < MAX_PROBLEMS:
                self.problems.append(f"{shown(answer.path)} {answer.error}")
        elif len(self.left_out) < MAX_SAID:
            self.left_out.append(f"{shown(answer.path)} {answer.error}: left out.")
        else:
            self.unsaid += 1


def run(settings: Prediction) -> int:
    """Say or write what each picture shows, and return how many were predicted; what cannot be read is named.

    Raises:
        UserError: no such run, nothing to predict, or files that were named and could not be read.
    """
    if not settings.images:
        raise UserError(
            "There is nothing to predict: give files, folders or patterns of pictures behind the run, as in "
            f"`zoo predict {shown(settings.run)} IMAGE...`."
        )
    _check_places(settings)
    classifier = model_file.read(settings.run)
    sure, unable = assurance(settings.run, classifier, settings.coverage, settings.refuse, settings.score)
    found, tally, predicted, sample = expand(settings.images), Tally(), 0, FeatureSample()
    layout = Layout(classifier.classes, settings.top, settings.all_classes, settings.coverage is not None)
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(FILES[name](path, layout)) for name, path in settings.files.items()]
        if settings.prints_json:
            writers.append(lambda answer: say(as_line(answer, layout)))
        writers = writers or [_screen(classifier, found.paths, settings.top, layout.has_sets)]
        told = answers(sure, found.paths, settings.top, sample)
        for answer in _counted(told, len(found.paths), _is_watched(settings, found)):
            predicted += not answer.error
            tally.add(answer, answer.path in found.named)
            for write in writers:
                write(answer)
        for path, reason in found.problems:
            tally.add(Answer(path, error=reason), is_named=True)
            for write in writers:
                write(Answer(path, error=reason))
    if settings.files and not settings.prints_json:
        counts = some((f"{name or 'none'} {count:,}" for name, count in tally.predictions.most_common()), 10)
        say(f"{predicted:,} pictures predicted{': ' if counts else ''}{counts}. Written: {some(settings.files.values())}.")
    _say_doubts(unable, tally, predicted, sure.drift(sample.features))
    say_rest(found, tally, predicted, "predicted")
    return predicted


def _check_places(settings: Prediction) -> None:
    """Refuse, with a UserError, to replace what no answers are in: a picture, a device, or a file of the run."""
    for name, path in settings.files.items():
        if what := _kept(path, settings.run):
            raise UserError(f"--{name} {shown(path)} {what}, which no answers replace: give a new file behind --{name}.")


def _kept(path: Path, place: Path) -> str:
    """Say in words that follow its path what a file is that is not to be replaced; "" for any other, or none.

    Args:
        place: the run's folder.
    """
    if not path.exists():
        return ""
    if not path.is_file():
        return "is no ordinary file"
    if path.name in RUN_FILES and os.path.realpath(path.parent) == os.path.realpath(place):
        return "is a file of the run's"
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path):
            return "is a picture"
    except Image.DecompressionBombError:
        return "is a picture"
    except (OSError, ValueError):
        return ""


def _say_doubts(unable: Sequence[str], tally: Tally, predicted: int, drift: Drift | None) -> None:
    """Say what the run cannot tell, how many pictures are unknown, and whether all of them differ from what it knows."""
    for note in unable:
        print(f"note: {note}", file=sys.stderr)
    if tally.unknown:
        pictures, are = "picture" if predicted == 1 else "pictures", "is" if tally.unknown == 1 else "are"
        print(f"note: {tally.unknown:,} of {predicted:,} {pictures} {are} unknown: like none of the training.", file=sys.stderr)
    if drift and drift.is_alarming:
        print(f"warning: {drift.sentence}", file=sys.stderr)


def _is_watched(settings: Prediction, found: Found) -> bool:
    """Whether progress is shown: where it takes a while, and no lines on the terminal say so."""
    quiet = bool(settings.files) or settings.prints_json or not sys.stdout.isatty()
    return quiet and len(found.paths) > BATCH_SIZE


def _counted(found: Iterator[Answer], total: int, is_watched: bool) -> Iterator[Answer]:
    """Pass answers on, and show how many there are, with rate and time left."""
    if not is_watched:
        yield from found
        return
    with Progress("prediction", total, "images") as progress:
        for answer in found:
            yield answer
            progress.advance()


def _screen(classifier: Classifier, paths: Sequence[str], top: int, has_sets: bool) -> Callable[[Answer], None]:
    """Make what prints an answer: a row of a table on a terminal; a line, which scripts can take apart, anywhere else."""
    table = _columns(classifier, paths, top, has_sets) if sys.stdout.isatty() else None

    def write(answer: Answer) -> None:
        if answer.error:
            return
        sets = [f"{{{', '.join(map(shown, answer.set))}}}"] if answer.set is not None else []
        doubts, path = [*sets, "unknown" if answer.is_unknown else ""], shown(answer.path)
        if table and classifier.task.one_label:
            ranked = (cell for name, share in answer.ranked for cell in (shown(name), f"{share:.4f}"))
            say(table.row([path, *ranked, *doubts]))
            return
        text = _words(answer.ranked) if classifier.task.one_label else _over_half(classifier.classes, answer)
        say(table.row([path, text, *doubts]) if table else "  ".join(filter(None, [path, text, *doubts])))

    return write


def _columns(classifier: Classifier, paths: Sequence[str], top: int, has_sets: bool) -> Columns:
    """Make the columns of the table on a terminal; the last, of what is unknown, needs no name."""
    last = ("set", "") if has_sets else ("",)
    path = max((len(shown(path)) for path in paths[:MEASURED_PATHS]), default=0)
    if not classifier.task.one_label:
        return Columns(("picture", "classes over 0.5", *last), (path, 0, *(0 for _ in last)))
    ranks, name = min(top, len(classifier.classes)), min(MAX_NAME, max(len(shown(name)) for name in classifier.classes))
    names = ("class", "probability", *("next", "probability") * (ranks - 1))
    return Columns(("picture", *names, *last), (path, *(name, 0) * ranks, *(0 for _ in last)))


def _words(pairs: Sequence[tuple[str, float]]) -> str:
    """Write classes with their probabilities."""
    return "  ".join(f"{shown(name)} {share:.4f}" for name, share in pairs)


def _over_half(classes: Sequence[str], answer: Answer) -> str:
    """Name the classes over one half, the likeliest first."""
    pairs = sorted(zip(classes, answer.probabilities, strict=True), key=lambda pair: -pair[1])
    return _words([pair for pair in pairs if pair[1] > OVER]) or "(no class over 0.5)"


def say_rest(found: Found, tally: Tally, count: int, done: str) -> None:
    """Say what was left out of what was to be `done`, such as "predicted".

    Raises:
        UserError: something that was named could not be, or nothing was.
    """
    for note in tally.notes.sentences():
        print(f"note: {note}", file=sys.stderr)
    for note in (*found.notes, *tally.left_out):
        print(f"warning: {note}", file=sys.stderr)
    if tally.unsaid:
        print(
            f"warning: {tally.unsaid:,} more files are left out; `zoo predict --csv FILE` writes the reason of each.",
            file=sys.stderr,
        )
    if tally.failed:
        raise UserError(
            f"{tally.failed} of what was given could not be {done}, {count} pictures were: {'; '.join(tally.problems)}."
        )
    if not count:
        raise UserError("Nothing that was given is a picture that can be read: give other files or folders.")


def expand(images: Sequence[str]) -> Found:
    """List files as they are, folders with all files below them, patterns expanded here if the shell did not; each once."""
    found, sources = Found(), 0
    for name in images:
        matches = [name] if os.path.lexists(name) else sorted(glob.glob(name, recursive=True))
        if not matches:
            found.problems.append((name, "is no picture, no folder with pictures and no pattern that matches any"))
        for match in matches:
            sources += 1
            if os.path.isdir(match):
                _add_folder(found, match)
            elif os.path.basename(match).lower() in SYSTEM_NAMES:
                found.notes.append(f"{shown(match)} is a file of the system's: left out.")
            else:
                found.paths.append(str(Path(match)))
                found.named.add(found.paths[-1])
    if sources > 1:  # a folder alone lists each file once
        found.paths = list(dict.fromkeys(found.paths))
    return found


def _add_folder(found: Found, folder: str) -> None:
    """Add the files below a folder."""
    walk = Walk(folder)
    try:
        files = walk.files_below("")
    except UserError as error:
        found.problems.append((folder, f"is a folder that cannot be read ({getattr(error.__cause__, 'strerror', error)})"))
        return
    found.paths += [str(Path(folder, file)) for file in files]
    if not files:
        found.problems.append((folder, "is a folder without any file that could be a picture"))
    found.notes += [f"{walk.place(path)} {reason}: left out." for path, reason in walk.left_out]
    found.notes += [f"in {shown(folder)}: {finding}" for finding in walk.summary()]
