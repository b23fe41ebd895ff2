"""The picture that an experiment looks at: the user's, or one that comes with scikit-learn."""

import io
from importlib import resources
from pathlib import Path

import keras
import numpy as np

from recipes.data.digits import digit_picture
from recipes.data.images import ImageError, center, decode, read_bytes
from recipes.errors import UserError, shown
from recipes.transfer.backbone import framing


def picture(model: keras.Model, path: Path | None = None) -> np.ndarray:
    """Read a picture as the model takes it, `(height, width, channels)`; without a path, one that scikit-learn has.

    Raises:
        UserError: the file is no picture.
    """
    frame = framing(model)
    try:
        return center(decode(_example(frame.channels) if path is None else read_bytes(path), frame)[0], frame)
    except ImageError as error:
        raise UserError(f"{shown(path)} {error}: give a picture.") from error


def _example(channels: int) -> bytes:
    """Encode a handwritten digit for a network that sees grey, a photograph for one that sees colours."""
    if channels == 1:
        from sklearn.datasets import load_digits

        file = io.BytesIO()
        digit_picture(load_digits().images[5]).save(file, "PNG")
        return file.getvalue()
    return resources.files("sklearn.datasets.images").joinpath("china.jpg").read_bytes()
