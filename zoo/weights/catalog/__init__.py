"""Every set of published weights that the zoo knows, as data: a file a publisher."""

from collections.abc import Mapping

from zoo.weights.catalog import (
    cifar,
    keras,
    packages,
    timm,
    timm_convnext,
    timm_hgnet,
    timm_mobile,
    timm_swin,
    timm_tinyvit,
    timm_vit,
    torchvision,
)
from zoo.weights.catalog.entry import Entry

# The first of equals is the first choice.
PUBLISHERS = (
    keras,
    packages,
    torchvision,
    timm,
    timm_convnext,
    timm_hgnet,
    timm_mobile,
    timm_swin,
    timm_tinyvit,
    timm_vit,
    cifar,
)
ENTRIES = tuple(entry for publisher in PUBLISHERS for entry in publisher.ENTRIES)


def entries(model: str) -> list[Entry]:
    """List all entries of a model, its first publisher's first."""
    return [entry for entry in ENTRIES if entry.model == model]


def defaults(model: str) -> list[Entry]:
    """List the entries of a model that may be taken unasked, the first choice first: those that allow commercial use."""
    return [entry for entry in entries(model) if entry.commercial]


def find(model: str, tag: str, options: Mapping[str, object]) -> Entry | None:
    """Find the model's entry of that tag for exactly those builder arguments; None if there is none."""
    for entry in entries(model):
        if entry.tag == tag and dict(entry.options) == dict(options):
            return entry
    return None


def best(model: str, options: Mapping[str, object], variant: str | None) -> Entry | None:
    """Find the default for those builder arguments, of the highest published top-1 accuracy; of equals, the first.

    Args:
        variant: the form of the network that it must be for; None: any.
    """
    fitting = [e for e in defaults(model) if dict(e.options) == dict(options) and variant in (None, e.variant)]
    return max(fitting, key=lambda entry: entry.top1 or 0.0, default=None)
