"""scikit-learn's handwritten digits as a folder of pictures."""

import functools
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from recipes.errors import UserError, shown
from zoo.disk import WriteError
from zoo.files import this_process

if TYPE_CHECKING:
    from sklearn.utils import Bunch

# MNIST's digits lie in a box of 20 pixels, and LeNet-5 sees 32.
DIGIT_SIZE = 20
PICTURE_SIZE = 32


def write_digits(folder: Path, images: int, seed: int) -> Path:
    """Write scikit-learn's digits as pictures, `images` of each class in train/ and the rest in test/; as a whole, or not.

    Raises:
        UserError: the folder cannot be written, or holds other files, which stay.
    """
    digits, pictures = _digits(), divided(images, seed)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if there == pictures.keys():
        return folder
    if others := sorted(there - pictures.keys()):
        raise UserError(
            f"--output {shown(folder.parent)} holds other pictures in {shown(folder.name)}/ than this demonstration writes, "
            f"such as {shown(others[0])}: of other settings, or yours. Give another --output, or take that folder away."
        )
    new = folder.with_name(f".{folder.name}.{this_process().token}")
    try:
        for name, index in pictures.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            digit_picture(digits.images[index]).save(path)
        shutil.rmtree(folder, ignore_errors=True)  # a part of these pictures
        new.replace(folder)
    except OSError as error:
        told = error if isinstance(error, WriteError) else WriteError(error, folder.parent)
        raise UserError(f"--output {shown(told)}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def divided(images: int, seed: int) -> dict[str, int]:
    """Draw which digits are in train/ and which in test/: {path: index of the digit}, `images` of each class in train/."""
    target = _digits().target
    order = np.random.default_rng(seed).permutation(len(target))
    return {
        f"{'train' if rank < images else 'test'}/{label}/{index:04}.png": int(index)
        for label in range(10)
        for rank, index in enumerate(order[target[order] == label])
    }


@functools.cache
def _digits() -> "Bunch":
    """Load the digits, once."""
    from sklearn.datasets import load_digits

    return load_digits()


def digit_picture(digit: np.ndarray) -> Image.Image:
    """Enlarge `(8, 8)` values from 0 to 16 into the middle of a black frame, as MNIST's digits lie there."""
    frame = Image.new("L", (PICTURE_SIZE, PICTURE_SIZE))
    box = Image.fromarray(np.uint8(digit * 255 / 16)).resize((DIGIT_SIZE, DIGIT_SIZE), Image.BICUBIC)
    frame.paste(box, ((PICTURE_SIZE - DIGIT_SIZE) // 2,) * 2)
    return frame
