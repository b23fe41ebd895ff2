"""Small pictures that a page holds."""

import io

import numpy as np

from recipes.report.charts import data_uri

THUMBNAIL_PIXELS = 160


def thumbnail(image: np.ndarray | None, pixels: int = THUMBNAIL_PIXELS) -> str | None:
    """Make a JPEG, so many pixels a side, of a picture `(height, width, channels)`, uint8, as a data URI; None for None."""
    if image is None:
        return None
    from PIL import Image

    small = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    small.thumbnail((pixels, pixels))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return data_uri("image/jpeg", buffer.getvalue())


def png(image: np.ndarray) -> bytes:
    """Write a picture `(height, width, 3)`, uint8, as a PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
