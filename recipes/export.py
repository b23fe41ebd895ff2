"""Write a run's network in forms that other programs run, and keep only what answers as it does.

    zoo export RUN --to onnx litert saved_model openvino
    zoo export RUN --to onnx --any-size          # pictures of any size: resizing is in the network
    zoo export RUN --to litert --precision int8  # a quarter of the size, with its accuracy beside
    python -m recipes.export RUN --to onnx

Each form gets a folder with the network, `classes.json`, `framing.json` and `export.json`, which says what was measured;
`MODEL_CARD.md` has all of them in a table. Every network is loaded in a fresh process by its own runtime and compared with
Keras on pictures of the run before it is kept: docs/export.md has the differences of all families.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import statistics
import sys
import time
from pathlib import Path

import numpy as np

from recipes.compute.machine import machine
from recipes.compute.runtime import silenced
from recipes.console import percent, say, table
from recipes.data.images import Framing
from recipes.data.sources.own import mark, refuse_foreign
from recipes.errors import ImageError, UserError, shown
from recipes.formats import agreement, card, pictures, resizing
from recipes.formats.agreement import LIMITS, Agreement
from recipes.formats.facts import facts
from recipes.formats.form import Form, Job
from recipes.formats.network import Network
from recipes.formats.pictures import HELD_OUT, MAX_PICTURES, Picture
from recipes.formats.table import FORMS
from recipes.predict import Tally, expand, say_rest
from recipes.runs import model_file
from recipes.runs.answers import Answer
from recipes.runs.model_file import Classifier
from recipes.settings.export import Exporting
from zoo.disk import WriteError, in_bytes
from zoo.files import replace_folder, write_json, write_text

SCHEMA = 1
QUANTIZED = ("int8", "dynamic")
CALIBRATED_BY, MIN_CALIBRATED_BY = 200, 10
MIN_HELD_OUT = 20
TIMED_CALLS = 20
MAX_REASON = 300
MAX_HELD_OUT = 1_000


class Export:
    """Exports one run."""

    def __init__(self, settings: Exporting, classifier: Classifier):
        self.settings, self.classifier = settings, classifier
        self.network = Network(classifier.model, classifier.framing, settings.any_size)
        self.facts = facts(settings.run, classifier, settings.any_size)
        self.shown, self.source = _compared_on(settings, classifier)
        self.before = classifier.probabilities(np.stack([one.framed for one in self.shown]))
        self.calibration, self.held_out = _judged_on(settings, classifier)
        self.keras = _seconds(classifier, self.shown[0].framed)

    def write(self, form: Form) -> dict:
        """Write one form, look at it, and keep it if it holds; gives what was measured.

        Raises:
            UserError: it cannot be written or run, or answers otherwise.
        """
        measured = {}
        name = "-".join([form.name] + [self.settings.precision] * (self.settings.precision != "float32"))
        folder = self.settings.folder / (f"{name}-any-size" if self.settings.any_size else name)

        def fill(new: Path) -> None:
            job = Job(self.settings.precision, self.facts, self.calibration)
            try:
                with silenced():
                    form.write(self.network, new, job)
            except OSError:
                raise
            except Exception as error:  # converters raise almost anything
                reason = " ".join(str(error).split())[:MAX_REASON] or type(error).__name__
                raise UserError(f"The network cannot be written as {form.name}: {shown(reason)}") from error
            measured.update(self._measured(form, new))
            write_json(new / "classes.json", self.facts["classes"])
            write_json(new / "framing.json", self.facts["framing"])
            write_json(new / "export.json", {"schema": SCHEMA, "recipe": "export"} | measured | {"facts": self.facts})

        say(f"{form.name}: being written, and run on {len(self.held_out or self.shown):,} pictures.")
        replace_folder(folder, fill)
        say(f"{folder / form.file}: {measured['says']}")
        return measured

    def _measured(self, form: Form, folder: Path) -> dict:
        """Look at a form that was written. Raises UserError if it answers otherwise than Keras."""
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        found = {
            "form": form.name,
            "file": form.file,
            "precision": self.settings.precision,
            "bytes": size,
            "compared_on": self.source,
        }
        if self.settings.precision in QUANTIZED:
            found |= self._accuracy(form, folder) | {"compared_on": "held-out pictures of the run"}
        else:
            found |= self._agreement(form, folder)
        return found | {"keras_seconds": self.keras, "machine": machine()}

    def _agreement(self, form: Form, folder: Path) -> dict:
        """Compare the answers. Raises UserError if they differ."""
        answers = agreement.ask(form.name, folder / form.file, [one.given for one in self.shown])
        kind = "any_size" if self.settings.any_size and self.settings.precision == "float32" else self.settings.precision
        found = agreement.compare(self.classifier.task, self.before, answers.probabilities, LIMITS[kind])
        says = _said(found, self.source)
        if not found.holds:
            raise UserError(f"The network as {form.name} does not answer as Keras does, and is not kept: {says}.")
        return {"agreement": found.as_dict(), "seconds": answers.seconds, "says": f"{says}."}

    def _accuracy(self, form: Form, folder: Path) -> dict:
        """Compare the accuracy on held-out pictures. Raises UserError if too much is lost."""
        task, classes = self.classifier.task, self.classifier.classes
        answers = agreement.ask(form.name, folder / form.file, [one.given for one in self.held_out])
        framed = np.stack([one.framed for one in self.held_out])
        guess = self.classifier.probabilities(framed)
        if answers.probabilities.shape != guess.shape or not np.isfinite(answers.probabilities).all():
            raise UserError(f"The network as {form.name} answers what are no probabilities, and is not kept.")
        before = agreement.accuracy(task, classes, self.held_out, guess)
        after = agreement.accuracy(task, classes, self.held_out, answers.probabilities)
        lost, says = before.accuracy - after.accuracy, f"{self.settings.precision} {after}, float32 {before}"
        if not lost <= self.settings.loss + 1e-9:
            raise UserError(
                f"The network as {form.name} loses {percent(lost)} of accuracy, more than --loss {self.settings.loss:g}, and "
                f"is not kept: {says}. Give a higher --loss, or --precision float16."
            )
        return {"float32": before.as_dict(), "accuracy": after.as_dict(), "seconds": answers.seconds, "says": f"{says}."}


def run(settings: Exporting) -> Path:
    """Export, and say how each form answers; return the folder that holds them.

    Raises:
        UserError: no such run, a package is missing, or a form is not kept, which the others do not mind.
    """
    chosen = [FORMS[name] for name in dict.fromkeys(settings.to)]
    for form in chosen:
        form.require(settings.precision, settings.any_size)
    _check_output(settings)
    classifier = model_file.read(settings.run)
    if settings.any_size:
        resizing.check(classifier.framing)
    export, found, problems = Export(settings, classifier), [], []
    mark(settings.folder)
    for form in chosen:
        try:
            found.append(export.write(form))
        except WriteError as error:
            raise UserError(f"--output {shown(error)}") from error
        except UserError as error:
            problems.append(str(error))
    if found:
        exports = card.written_before(settings.folder)
        write_text(settings.folder / card.NAME, card.render(settings.subject, export.facts, exports))
        say(table([_row(one) for one in found]))
        say(f"Keras takes {export.keras * 1e3:.3g} ms a picture here.")
        say(export.facts["input"])
    if problems:
        raise UserError(" ".join(problems))
    return settings.folder


def _seconds(classifier: Classifier, framed: np.ndarray) -> float:
    """Time Keras' `predict_on_batch` on one picture, compiled: the median of some calls."""
    taken = []
    for _ in range(TIMED_CALLS + 1):
        start = time.perf_counter()
        classifier.model.predict_on_batch(framed[None])
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def _row(one: dict) -> dict:
    """Make a row of the table."""
    return {
        "form": one["form"],
        "precision": one["precision"],
        "size": in_bytes(one["bytes"]),
        "ms a picture": one["seconds"] * 1e3,
        "Keras, ms": one["keras_seconds"] * 1e3,
    }


def _said(found: Agreement, source: str) -> str:
    """Say how two networks agree."""
    return (
        f"on {found.pictures:,} {source} probabilities differ by {found.difference:.2g} at most (limit {found.limit:g}), and "
        f"{found.same:,} of {found.clear:,} clear answers are the same"
    )


def _check_output(settings: Exporting) -> None:
    """Refuse to write into a run's folder, which would no more be known as one, and among other files. Raises UserError."""
    refuse_foreign(settings.folder)
    if (settings.folder / "model.keras").exists():
        raise UserError(
            f"--output {shown(settings.folder)} holds a run, which keeps to its own files: choose another, or leave it out."
        )


def _compared_on(settings: Exporting, classifier: Classifier) -> tuple[list[Picture], str]:
    """Choose pictures to compare answers on, and say which they are."""
    framing, known = classifier.framing, pictures.rows(settings.run)
    if settings.images:
        return _given(settings, framing), "pictures of --images"
    held_out = [row for row in known if row.split in HELD_OUT]
    for part, words in ((held_out, "held-out pictures of the run"), (known, "pictures of the run")):
        if read := pictures.read(pictures.spread(part, MAX_PICTURES), framing, settings.any_size):
            return read, words
    print(
        "warning: the pictures of the run are not where they were: answers are compared on crops of two photographs instead; "
        "give --images for others.",
        file=sys.stderr,
    )
    return pictures.made_up(framing, settings.any_size), "crops of two photographs of scikit-learn"


def _given(settings: Exporting, framing: Framing) -> list[Picture]:
    """Read pictures that the user has named. Raises UserError if one cannot be read, or none is there."""
    found, tally, read = expand(settings.images), Tally(), []
    paths = found.paths[:MAX_PICTURES]
    looked_at = pictures.given([Path(path) for path in paths], framing, settings.any_size)
    for path, one in zip(paths, looked_at, strict=False):
        if isinstance(one, ImageError):
            tally.add(Answer(path, error=str(one)), path in found.named)
        else:
            read.append(one)
    for path, reason in found.problems:
        tally.add(Answer(path, error=reason), is_named=True)
    say_rest(found, tally, len(read), "used")
    return read


def _judged_on(settings: Exporting, classifier: Classifier) -> tuple[np.ndarray, list[Picture]]:
    """Choose training pictures for ranges, framed, and labelled held-out ones for the accuracy; none where none are needed.

    Raises:
        UserError: they are not where they were.
    """
    size, channels = classifier.framing.size, classifier.framing.channels
    if settings.precision not in QUANTIZED:
        return np.empty((0, size, size, channels), "float32"), []
    known = pictures.rows(settings.run)
    parts = [[row for row in known if row.split == part] for part in ("train", *HELD_OUT)]
    train, held_out = parts[0], next(filter(None, parts[1:]), [])
    calibration = pictures.read(pictures.spread(train, CALIBRATED_BY), classifier.framing, False)
    judged = pictures.read(pictures.spread(held_out, MAX_HELD_OUT), classifier.framing, settings.any_size)
    if len(calibration) < MIN_CALIBRATED_BY or len(judged) < MIN_HELD_OUT:
        raise UserError(
            f"--precision {settings.precision} needs {MIN_CALIBRATED_BY} training pictures of the run and {MIN_HELD_OUT} "
            f"held-out ones, and {len(calibration)} and {len(judged)} are where they were: bring the folder back, or give "
            "--precision float16."
        )
    return np.stack([one.framed for one in calibration]).astype("float32"), judged
