"""Views: the crops of a picture that a network is shown."""

import numpy as np
from PIL import Image

from recipes.data.dataset import Dataset
from recipes.data.images import Framing, center

# What a head is shown of a training picture: the part that evaluation sees and the whole, each as it is and mirrored.
# Chosen by cross-validation inside hymenoptera's train/ (docs/decisions.md); evaluation sees "centre" alone.
VIEWS = ("centre", "wide", "centre mirrored", "wide mirrored")


# Where a crop begins, in shares of the room there is: Krizhevsky et al. 2012, section 4.1, average over these five and
# their mirror images.
CORNERS = {"top left": (0, 0), "top right": (0, 1), "bottom left": (1, 0), "bottom right": (1, 1)}


TEN_CROP = tuple(place + side for side in ("", " mirrored") for place in (*CORNERS, "centre"))


def visible(framing: Framing, mirrored: bool) -> list[str]:
    """The views that a head may be shown of pictures with this framing."""
    views = [view for view in VIEWS if mirrored or not view.endswith("mirrored")]
    if framing.resize == framing.size:  # there is nothing outside the crop to see
        views = [view for view in views if not view.startswith("wide")]
    return views


def crop(data: Dataset, index: int, view: str) -> np.ndarray:
    """Pixels `(size, size, channels)` of one view of a picture."""
    pixels, size, place = data.pixels[[index]][0], data.framing.size, view.removesuffix(" mirrored")
    if place == "wide":
        bands = [Image.fromarray(pixels[..., c]).resize((size, size), Image.BILINEAR) for c in range(pixels.shape[-1])]
        pixels = np.stack(bands, axis=-1)
    elif place in CORNERS:
        y, x = ((data.framing.resize - size) * share for share in CORNERS[place])
        pixels = pixels[y : y + size, x : x + size]
    else:
        pixels = center(pixels, data.framing)
    return pixels[:, ::-1] if view.endswith("mirrored") else pixels
