"""Say what pictures show, on a page, those first of which a run is least sure; the run learns on as labels come in.

    zoo label DATA RUN                                            # http://127.0.0.1:8000/, which only this machine reaches
    zoo finetune DATA --corrections runs/label/DATA/corrections.csv
    python -m recipes.label DATA RUN ...

Each label is on the disk before the page says that it is saved; the same command goes on where it was ended. How many labels
that saves on CIFAR-10: docs/label.md.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import sys
from contextlib import ExitStack
from pathlib import Path

from recipes.console import quantity, say, suggest
from recipes.data.dataset import warn_of_left_out
from recipes.data.sources.chosen import to_label
from recipes.data.sources.corrections_file import CorrectionsFile
from recipes.data.sources.own import check_output, mark
from recipes.errors import UserError, shown
from recipes.runs import model_file, reference
from recipes.runs.folder import held
from recipes.settings.label import Labelling
from recipes.transfer.pool import Pool, pool
from recipes.web import listening

BEGUN, OWNER = "corrections.csv", ".owner"


def run(settings: Labelling) -> Path:
    """Serve the page until somebody ends it; return the table of corrections.

    Raises:
        UserError: no such run or pictures, the output is another command's or in use, or the address cannot be listened on.
    """
    listening.check_installed("label")
    check_output(settings)
    token, listener = listening.token_of(settings), listening.listener_of(settings)
    with ExitStack() as stack:
        mark(settings.folder)
        stack.enter_context(held(settings.folder, settings.folder / OWNER))
        table = CorrectionsFile(settings.folder / BEGUN)
        classifier = model_file.read(settings.run)
        known = reference.read(settings.run)
        pictures = pool(to_label(settings.data, classifier.classes), classifier)
        _check_table(settings, table, pictures)
        _say_plan(settings, pictures, table, has_reference=known is not None)
        from recipes.web.desk import Desk
        from recipes.web.label_app import application

        desk = Desk(pictures, classifier.classes, classifier.task, known, table)
        served = application(desk, classifier.framing, token)
        listening.run_until_ended(settings, served, listener, token)
    _tell(settings, table)
    return table.place


def _check_table(settings: Labelling, table: CorrectionsFile, pictures: Pool) -> None:
    """Refuse, with a UserError, a table of other pictures: a command would not take it."""
    there = {file.path for file in pictures.listing.files} | {path for path, _ in pictures.listing.left_out}
    if foreign := [path for path in table.wishes if path not in there]:
        raise UserError(
            f"{shown(table.place)} is about other pictures, such as {shown(foreign[0])}, which {shown(settings.data)} lacks: "
            "give another --output."
        )


def _say_plan(settings: Labelling, pictures: Pool, table: CorrectionsFile, has_reference: bool) -> None:
    """Say what there is to label, and what was labelled before."""
    warn_of_left_out(pictures.listing.root, pictures.left_out, table="")
    done = len(table.wishes)
    labelled = sum(bool(file.label) for file in pictures.files)
    of_these = f", {labelled:,} of them with a label" if labelled else ""
    say(f"{shown(settings.data)}: {quantity(len(pictures.files), 'picture')}{of_these}; {done:,} done before.")
    if not has_reference:
        print(
            f"note: {shown(settings.run)} has no reference.npz, the features of its training pictures: the order stays as the "
            "run sees it, and learns nothing from new labels.",
            file=sys.stderr,
        )


def _tell(settings: Labelling, table: CorrectionsFile) -> None:
    """Say how many labels there are, where they lie, and what to do with them."""
    say(f"{quantity(len(table.wishes), 'picture')} done: {shown(table.place)}")
    if table.wishes:
        suggest({"train with these labels": ["zoo", "finetune", settings.data, "--corrections", table.place]})
