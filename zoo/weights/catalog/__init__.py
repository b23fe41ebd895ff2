"""Every set of published weights that the zoo knows, as data: a file a publisher."""

from collections.abc import Mapping

from zoo.weights.catalog import cifar, keras, packages, timm, torchvision
from zoo.weights.catalog.entry import Entry

ENTRIES = (*keras.ENTRIES, *packages.ENTRIES, *torchvision.ENTRIES, *timm.ENTRIES, *cifar.ENTRIES)


def entries(model: str) -> list[Entry]:
    """List all entries of a model, the default first."""
    return [entry for entry in ENTRIES if entry.model == model]


def find(model: str, tag: str, options: Mapping[str, object]) -> Entry | None:
    """Find the model's entry of that tag for exactly those builder arguments; None if there is none."""
    for entry in entries(model):
        if entry.tag == tag and dict(entry.options) == dict(options):
            return entry
    return None
