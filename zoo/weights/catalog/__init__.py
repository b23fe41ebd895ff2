"""Every set of published weights that the zoo knows, as data: a file a publisher."""

from collections.abc import Mapping

from zoo.weights.catalog import cifar, keras, packages, timm, timm_convnext, timm_mobile, torchvision
from zoo.weights.catalog.entry import Entry

ENTRIES = (
    *keras.ENTRIES,
    *packages.ENTRIES,
    *torchvision.ENTRIES,
    *timm.ENTRIES,
    *timm_convnext.ENTRIES,
    *timm_mobile.ENTRIES,
    *cifar.ENTRIES,
)


def entries(model: str) -> list[Entry]:
    """List all entries of a model, the default first."""
    return [entry for entry in ENTRIES if entry.model == model]


def find(model: str, tag: str, options: Mapping[str, object]) -> Entry | None:
    """Find the model's entry of that tag for exactly those builder arguments; None if there is none."""
    for entry in entries(model):
        if entry.tag == tag and dict(entry.options) == dict(options):
            return entry
    return None


def best(model: str, options: Mapping[str, object], variant: str | None) -> Entry | None:
    """Find the model's entry of the highest published top-1 accuracy for those builder arguments; of equals, the first.

    Args:
        variant: the form of the network that it must be for; None: any.
    """
    fitting = [e for e in entries(model) if dict(e.options) == dict(options) and variant in (None, e.variant)]
    return max(fitting, key=lambda entry: entry.top1 or 0.0, default=None)
