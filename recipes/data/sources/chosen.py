"""The one place that chooses a source: what a command's settings name becomes a `Listing`."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from recipes.console import say
from recipes.data.sources import corrections
from recipes.data.sources.archive import ENDINGS, is_archive, unpacked, without_wrappers
from recipes.data.sources.folder import scan_folder, scan_unlabelled
from recipes.data.sources.groups import by_pattern
from recipes.data.sources.labels import scan_labels
from recipes.data.sources.listing import OUTSIDE, File, Listing
from recipes.data.sources.tfds import is_prepared, scan_tfds
from recipes.errors import UserError, shown, some
from recipes.settings.shared import DataCommand
from recipes.settings.sources import is_tfds, named_columns

MAX_NAMES = 20
TABLES = (".csv", ".tsv", ".txt", ".parquet")


def scan(settings: DataCommand) -> Listing:
    """List the pictures that a command is about, none of them opened, and say what they are taken for.

    Raises:
        UserError: nothing can be learnt from what is there, or it cannot be read.
    """
    found = listed(settings)
    tell(settings, found)
    return found


def tell(settings: DataCommand, found: Listing) -> None:
    """Say what pictures are taken for."""
    kind = "one for each picture" if found.task.one_label else "any number of them for a picture"
    say(f"{shown(settings.data)}: {len(found.classes):,} classes, {kind}: {some(found.classes, MAX_NAMES)}.")


def listed(settings: DataCommand, needs_labels: bool = True, known: Collection[str] = ()) -> Listing:
    """List the pictures that a command is about, and say nothing. Raises UserError as `scan` does.

    Args:
        needs_labels: whether a folder without class folders is refused; if not, its pictures have no labels.
        known: classes of a finished run that is to be measured: any of them, and any part, is enough. Others that are found
            come behind them.
    """
    groups, columns = getattr(settings, "groups", None), getattr(settings, "columns", None)
    given = corrections.read(settings.corrections) if settings.corrections else None
    table = settings.data if _is_table(settings.data) else getattr(settings, "labels", None)  # a flag of `zoo finetune` alone
    if columns and not table:
        raise UserError(f"--columns is about a table, and {shown(settings.data)} is none: give a table, or --labels.")
    if table:
        found = scan_labels(_folder_of_table(settings), table, named_columns(columns), groups, known)
    else:
        found = _scan_pictures(settings, needs_labels, known, given.labels if given else ())
        found = by_pattern(found, groups) if groups else found
    if known:
        found = replace(found, classes=(*known, *(name for name in found.classes if name not in known)))
    return corrections.corrected(found, given, is_learnt=not known) if given else found


def to_label(data: Path, classes: Collection[str]) -> Listing:
    """List the pictures that a person may label: those with labels, and those without, whose label is ().

    Args:
        classes: what the labels may be; folders of other names say nothing where no folder is called as one of them.

    Raises:
        UserError: there is none, or they cannot be listed.
    """
    settings = DataCommand(data)
    if _is_table(data):
        return listed(settings, known=classes)
    found = _scan_pictures(settings, False, classes, classes)
    loose = tuple(File(path, (), "") for path, reason in found.left_out if reason == OUTSIDE)
    left_out = tuple(one for one in found.left_out if one[1] != OUTSIDE)
    return replace(found, files=(*found.files, *loose), left_out=left_out)


def _scan_pictures(settings: DataCommand, needs_labels: bool, known: Collection[str], labels: Collection[str] = ()) -> Listing:
    """List the pictures of what is no table; `labels` are what corrections give to those without. Raises UserError."""
    data, data_dir = settings.data, getattr(settings, "data_dir", None)
    if is_tfds(data):
        return scan_tfds(data, data_dir, known)
    if data_dir:
        raise UserError(f"--data-dir is about tfds:NAME, and {shown(data)} is none: leave it out.")
    if is_archive(data):
        data = without_wrappers(unpacked(data))
    _check_kind(data)
    if is_prepared(data):
        return scan_tfds(data, known=known)
    unlabelled = scan_unlabelled(data, labels) if labels or not needs_labels else None
    return unlabelled or scan_folder(data, known)


def _folder_of_table(settings: DataCommand) -> Path:
    """Find the folder that a table's paths are relative to. Raises UserError for DATA that cannot have a table."""
    data, labels = settings.data, getattr(settings, "labels", None)
    if _is_table(data):
        if labels:
            raise UserError(f"{shown(data)} is a table itself: give it alone, or --labels with the folder of its pictures.")
        return data.parent
    if is_tfds(data):
        raise UserError(f"--labels is about a folder of pictures, and {shown(data)} has labels itself: leave it out.")
    root = unpacked(data) if is_archive(data) else data
    _check_kind(root)
    return root


def scan_for_one_label(settings: DataCommand) -> Listing:
    """List the pictures as `scan` does, for a command that needs classes which exclude each other.

    Raises:
        UserError: a picture has no label, or several; or see `scan`.
    """
    found = scan(settings)
    if not found.task.one_label:
        raise UserError(
            f"{shown(settings.data)} gives pictures any number of labels, and `zoo {settings.COMMAND}` needs one for each: use "
            "`zoo finetune`, or a table with one label a picture."
        )
    return found


def _check_kind(root: Path) -> None:
    """Refuse a file that is none of the kinds that are read, with a UserError."""
    if root.is_file():
        raise UserError(
            f"{shown(root)} is not a folder, nor by its ending a table ({', '.join(TABLES)}) or an archive "
            f"({', '.join(ENDINGS)}): give one of these, or a data set as tfds:NAME."
        )


def _is_table(data: Path) -> bool:
    """Whether DATA is a table by its name, and no folder."""
    return data.suffix.lower() in TABLES and not data.is_dir()
