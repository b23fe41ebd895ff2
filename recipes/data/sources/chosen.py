"""The one place that chooses a source: what a command's settings name becomes a `Listing`."""

from recipes.data.sources.folder import scan_folder
from recipes.data.sources.labels import scan_labels
from recipes.data.sources.listing import Listing
from recipes.settings.shared import DataCommand


def scan(settings: DataCommand) -> Listing:
    """List the pictures that a command is about, none of them opened.

    Raises:
        UserError: nothing can be learnt from what is there, or it cannot be read.
    """
    labels = getattr(settings, "labels", None)  # a flag of `zoo finetune` alone
    return scan_labels(settings.data, labels) if labels else scan_folder(settings.data)
