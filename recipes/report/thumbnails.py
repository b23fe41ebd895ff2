"""Small pictures that a page holds."""

import io

import numpy as np

from recipes.report.charts import data_uri

THUMBNAIL_PIXELS = 160


def thumbnail(image: np.ndarray | None) -> str | None:
    """Make a small JPEG of a picture `(height, width, channels)`, uint8, as a data URI; None for None."""
    if image is None:
        return None
    from PIL import Image

    small = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return data_uri("image/jpeg", buffer.getvalue())
