"""scikit-learn's handwritten digits as a folder of pictures."""

from pathlib import Path

import numpy as np
from PIL import Image

from recipes.errors import UserError, shown
from zoo.disk import WriteError
from zoo.files import replace

# MNIST's digits lie in a box of 20 pixels, and LeNet-5 sees 32.
DIGIT_SIZE = 20
PICTURE_SIZE = 32


def write_digits(folder: Path, images: int, seed: int) -> Path:
    """Write scikit-learn's digits as pictures, `images` of each class in train/ and the rest in test/.

    Raises:
        UserError: the folder cannot be written.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    try:
        for label in range(10):
            for rank, index in enumerate(order[digits.target[order] == label]):
                path = folder / ("train" if rank < images else "test") / str(label) / f"{index:04}.png"
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    replace(path, digit_picture(digits.images[index]).save)
    except OSError as error:
        told = error if isinstance(error, WriteError) else WriteError(error, folder.parent)
        raise UserError(f"--output {shown(told)}") from error
    return folder


def digit_picture(digit: np.ndarray) -> Image.Image:
    """Enlarge `(8, 8)` values from 0 to 16 into the middle of a black frame, as MNIST's digits lie there."""
    frame = Image.new("L", (PICTURE_SIZE, PICTURE_SIZE))
    box = Image.fromarray(np.uint8(digit * 255 / 16)).resize((DIGIT_SIZE, DIGIT_SIZE), Image.BICUBIC)
    frame.paste(box, ((PICTURE_SIZE - DIGIT_SIZE) // 2,) * 2)
    return frame
