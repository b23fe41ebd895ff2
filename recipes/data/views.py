"""Views: the crops of a picture that a network is shown."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from recipes.data.images import Framing, center

# Where a crop begins, in shares of the room there is: Krizhevsky et al. 2012, section 4.1.
CORNERS = {"top left": (0, 0), "top right": (0, 1), "bottom left": (1, 0), "bottom right": (1, 1)}


@dataclass(frozen=True)
class View:
    """A crop of a picture, as it is or mirrored; its text is part of the keys of cached features."""

    place: str  # "centre", "wide" (the whole square), or a key of CORNERS
    mirrored: bool = False

    def __str__(self) -> str:
        return f"{self.place} mirrored" if self.mirrored else self.place


# What evaluation sees.
CENTER = View("centre")

# What a head is shown of a training picture: the part that evaluation sees and the whole, each as it is and mirrored.
# Chosen by cross-validation inside hymenoptera's train/ (docs/decisions.md).
VIEWS = (CENTER, View("wide"), View("centre", True), View("wide", True))

# Krizhevsky et al. 2012, section 4.1, average over these five and their mirror images.
TEN_CROP = tuple(View(place, mirrored) for mirrored in (False, True) for place in (*CORNERS, "centre"))


def visible(framing: Framing, mirrored: bool) -> list[View]:
    """Choose the views that a head may be shown of pictures with this framing."""
    has_border = framing.resize > framing.size  # otherwise there is nothing outside the crop to see
    return [view for view in VIEWS if (mirrored or not view.mirrored) and (has_border or view.place != "wide")]


def crop(pixels: np.ndarray, framing: Framing, view: View) -> np.ndarray:
    """Cut one view `(size, size, channels)` out of a picture's pixels `(resize, resize, channels)`."""
    size = framing.size
    if view.place == "wide":
        bands = [Image.fromarray(pixels[..., c]).resize((size, size), Image.BILINEAR) for c in range(pixels.shape[-1])]
        pixels = np.stack(bands, axis=-1)
    elif view.place in CORNERS:
        y, x = ((framing.resize - size) * share for share in CORNERS[view.place])
        pixels = pixels[y : y + size, x : x + size]
    else:
        pixels = center(pixels, framing)
    return pixels[:, ::-1] if view.mirrored else pixels
