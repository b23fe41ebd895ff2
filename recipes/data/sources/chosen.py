"""The one place that chooses a source: what a command's settings name becomes a `Listing`."""

from recipes.console import say
from recipes.data.sources.folder import scan_folder
from recipes.data.sources.labels import scan_labels
from recipes.data.sources.listing import Listing
from recipes.errors import shown, some
from recipes.settings.shared import DataCommand

MAX_NAMES = 20


def scan(settings: DataCommand) -> Listing:
    """List the pictures that a command is about, none of them opened, and say what they are taken for.

    Raises:
        UserError: nothing can be learnt from what is there, or it cannot be read.
    """
    found = listed(settings)
    kind = "one for each picture" if found.task.one_label else "any number of them for a picture"
    say(f"{shown(found.root)}: {len(found.classes):,} classes, {kind}: {some(found.classes, MAX_NAMES)}.")
    return found


def listed(settings: DataCommand) -> Listing:
    """List the pictures that a command is about, and say nothing. Raises UserError as `scan` does."""
    labels = getattr(settings, "labels", None)  # a flag of `zoo finetune` alone
    return scan_labels(settings.data, labels) if labels else scan_folder(settings.data)
