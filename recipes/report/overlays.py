"""Heat maps over pictures, as a page and a file show them, and the same in words.

The picture is grey below the map, so that all colour is the map's. The colours, viridis, grow evenly lighter from little to
much, also for readers who tell red from green badly, and in print; a line around the hottest fifth says it without colour.
"""

import numpy as np

from recipes.console import percent
from recipes.evaluation.occlusion import hottest

COLORS = "viridis"
# How much of an overlay's colour is the map's.
OPACITY = 0.55
# Smaller pictures are enlarged, or the line would hide them.
MIN_PIXELS = 224
GRAY_SHARES = (0.299, 0.587, 0.114)
# Of the hottest place, in thirds of the picture.
ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "middle", "right")


def overlay(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Draw a map on its picture, with a line around the hottest fifth: `(height, width, 3)`, uint8.

    An empty map, with nothing above 0, leaves the grey picture.

    Args:
        picture: `(height, width, channels)`, uint8.
        heat: `(height, width)`; what is below 0 is drawn as 0.
    """
    import matplotlib

    factor = -(-MIN_PIXELS // len(picture))
    picture, heat = (np.repeat(np.repeat(one, factor, axis=0), factor, axis=1) for one in (picture, heat))
    gray = picture[..., 0] if picture.shape[-1] == 1 else picture @ np.array(GRAY_SHARES)
    drawn = np.repeat(gray[..., None], 3, axis=-1).astype("float32")
    if heat.max() > 0:
        colors = matplotlib.colormaps[COLORS](np.maximum(heat, 0) / heat.max())[..., :3]
        drawn = (1 - OPACITY) * drawn + OPACITY * 255 * colors
        mask = hottest(heat)
        drawn[_grown(mask, 2) & ~_grown(mask, 1)] = 0
        drawn[_grown(mask, 1) & ~mask] = 255
    return np.rint(drawn).clip(0, 255).astype("uint8")


def described(heat: np.ndarray) -> str:
    """Say in words where a map `(height, width)` is hot and how narrowly, such as "hottest at the upper left"."""
    if not heat.max() > 0:
        return "empty"
    mask, drawn = hottest(heat), np.maximum(heat, 0)
    peak = np.unravel_index(heat.argmax(), heat.shape)
    row, column = (names[3 * at // side] for names, at, side in zip((ROWS, COLUMNS), peak, heat.shape, strict=True))
    place = "in the middle" if row == column else f"at the {row} {column}"
    return f"hottest {place}, its hottest fifth holding {percent(drawn[mask].sum() / drawn.sum(), 0)} of the heat"


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Grow a mask `(height, width)` by so many pixels to all sides."""
    for axis in (0, 1):
        padded = np.pad(mask, [(pixels, pixels) if axis == one else (0, 0) for one in (0, 1)])
        views = np.lib.stride_tricks.sliding_window_view(padded, 2 * pixels + 1, axis=axis)
        mask = views.any(axis=-1)
    return mask
