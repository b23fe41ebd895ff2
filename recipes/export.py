"""Write a run's network in forms that other programs run, and keep only what answers as it does.

    zoo export RUN --to onnx litert saved_model openvino
    zoo export RUN --to onnx --any-size          # pictures of any size: resizing is in the network
    zoo export RUN --to litert --precision int8  # a quarter of the size, with its accuracy beside
    zoo export RUN --to html                     # a page that answers in a browser, without a server
    python -m recipes.export RUN --to onnx

Each form gets a folder with the network, `classes.json`, `framing.json` and `export.json`, which says what was measured;
`MODEL_CARD.md` has all of them in a table. Every network is loaded in a fresh process by its own runtime and compared with
Keras on pictures of the run before it is kept: docs/export.md has the differences of all families.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from recipes.console import say, table
from recipes.data.images import Framing
from recipes.data.sources.own import mark, refuse_foreign
from recipes.errors import ImageError, UserError, shown
from recipes.formats import card, pictures, resizing
from recipes.formats.exporter import Exporter, Shown, check_place
from recipes.formats.facts import set_limits
from recipes.formats.form import Form, Page
from recipes.formats.pictures import HELD_OUT, MAX_PICTURES, Picture
from recipes.formats.table import FORMS
from recipes.predict import Tally, expand, say_rest
from recipes.runs import model_file
from recipes.runs.answers import Answer
from recipes.runs.folder import held, recover
from recipes.runs.model_file import Classifier
from recipes.settings.export import QUANTIZED, Exporting
from recipes.transfer.grad_cam import GradCam
from zoo.disk import WriteError, in_bytes
from zoo.files import write_text

CALIBRATED_BY, MIN_CALIBRATED_BY = 200, 10
MIN_HELD_OUT = 20
MAX_HELD_OUT = 1_000
OWNER = ".owner"


def run(settings: Exporting) -> Path:
    """Export, and say how each form answers; return the folder that holds them.

    Raises:
        UserError: no such run, a package is missing, or a form is not kept, which the others do not mind.
    """
    chosen = [FORMS[name] for name in dict.fromkeys(settings.to)]
    having = [name for name, form in FORMS.items() if settings.precision in form.precisions]
    for form in chosen:
        form.require(settings.precision, settings.any_size, having)
    _check_output(settings)
    for form in chosen:
        check_place(settings, form)
    classifier = model_file.read(settings.run)
    for flag in [*["--any-size"] * settings.any_size, *(f"--to {form.name}" for form in chosen if form.frames_pictures)]:
        resizing.check(classifier.framing, flag)
    for form in chosen:
        form.fetch()
    mark(settings.folder)
    found, problems = [], []
    with _sentences(), held(settings.folder, settings.folder / OWNER):
        exporter = Exporter(settings, classifier, _shown(settings, classifier), _page(settings, classifier, chosen))
        for form in chosen:
            try:
                found.append(exporter.write(form))
            except UserError as error:
                problems.append(str(error))
        if found:
            _write_cards(settings, exporter.facts[settings.any_size])
    if found:
        say(table([_row(one) for one in found]))
        for sentence in _last_words(chosen, exporter.facts[settings.any_size]):
            say(sentence)
    if problems:
        raise UserError(" ".join(problems))
    return settings.folder


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    """Turn what the system says of writing into a UserError that names --output."""
    try:
        yield
    except WriteError as error:
        raise UserError(f"--output {shown(error)}") from error
    except OSError as error:
        place = f" {shown(error.filename)}" if error.filename else ""
        raise UserError(
            f"The export cannot be written ({error.strerror or shown(error)}{place}): make room there and in the folder for "
            "temporary files, or choose another --output."
        ) from error


def _write_cards(settings: Exporting, facts: Mapping) -> None:
    """Write what was measured of all exports in the folder into its card, and into the run's, where that has one."""
    exports, others = card.written_before(settings.folder, facts["model_sha256"])
    write_text(settings.folder / card.NAME, card.render(settings.subject, facts, exports, others))
    of_run = recover(settings.run) / card.NAME
    with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):  # older runs have none
        text = of_run.read_text("utf-8")
        try:
            write_text(of_run, card.with_section(text, exports))
        except WriteError as error:
            print(f"note: the run's card says nothing of its exports: {shown(error)}", file=sys.stderr)


def _last_words(chosen: Sequence[Form], facts: Mapping) -> Iterator[str]:
    """Say how the networks are fed that were asked for, and what tells pictures of no known class."""
    if any(form.frames_pictures for form in chosen):
        yield "The page reads and frames pictures by itself: open it in a browser, from the disk or any web server."
    if not all(form.frames_pictures for form in chosen):
        yield facts["input"]
    yield facts["unknown_is"]


def _page(settings: Exporting, classifier: Classifier, chosen: Sequence[Form]) -> Page | None:
    """Gather what a page tells of the run; None where no page is asked for."""
    if not any(form.frames_pictures for form in chosen):
        return None
    try:
        maps = GradCam(classifier.model).class_maps
    except (UserError, ValueError):  # a network that knows no places
        maps = None
    return Page(settings.subject, classifier.task.one_label, set_limits(classifier), maps)


def _row(one: dict) -> dict:
    """Make a row of the table."""
    return {
        "form": one["form"],
        "precision": one["precision"],
        "size": in_bytes(one["bytes"]),
        "ms a picture": one["seconds"] * 1e3,
        "Keras, ms": one["keras_seconds"] * 1e3,
    }


def _check_output(settings: Exporting) -> None:
    """Refuse to write into a run's folder, which would no more be known as one, and among other files. Raises UserError."""
    refuse_foreign(settings.folder)
    if (settings.folder / "model.keras").exists():
        raise UserError(
            f"--output {shown(settings.folder)} holds a run, which keeps to its own files: choose another, or leave it out."
        )


def _shown(settings: Exporting, classifier: Classifier) -> Shown:
    """Choose pictures to look at networks with. Raises UserError if those that it takes are not there."""
    if settings.precision in QUANTIZED:
        return _judged_on(settings, classifier)
    size, channels = classifier.framing.size, classifier.framing.channels
    return Shown(*_compared_on(settings, classifier), np.empty((0, size, size, channels), "float32"))


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


def _judged_on(settings: Exporting, classifier: Classifier) -> Shown:
    """Choose training pictures for ranges, and labelled held-out ones for the accuracy.

    Raises:
        UserError: they are not where they were.
    """
    known = pictures.rows(settings.run)
    train, held_out = [row for row in known if row.split == "train"], pictures.held_out(known, MIN_HELD_OUT)
    calibration = pictures.read(pictures.spread(train, CALIBRATED_BY), classifier.framing, False)
    judged = pictures.read(pictures.spread(held_out, MAX_HELD_OUT), classifier.framing, settings.any_size)
    if len(calibration) < MIN_CALIBRATED_BY or len(judged) < MIN_HELD_OUT:
        needs = (
            f"--precision {settings.precision} needs {MIN_CALIBRATED_BY} training pictures of the run and {MIN_HELD_OUT} "
            "held-out ones"
        )
        if len(train) < MIN_CALIBRATED_BY or len(held_out) < MIN_HELD_OUT:
            has = f"it has {len(train)} and {len(held_out)}: train on more pictures"
        else:
            has = f"{len(calibration)} and {len(judged)} are where they were: bring the folder back"
        raise UserError(f"{needs}, and {has}, or give --precision float16.")
    return Shown((), "", np.stack([one.framed for one in calibration]).astype("float32"), judged)
