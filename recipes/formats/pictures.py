"""Pictures to look at an exported network with: those of its run, where they lie as they did, or others."""

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from recipes.data.decoding import in_threads
from recipes.data.images import Framing, center, framed, read_bytes, whole
from recipes.errors import ImageError
from recipes.runs.folder import recover
from zoo.files import from_cell

HELD_OUT = ("test", "validation")
# So many of a run's pictures are enough.
MAX_PICTURES = 100
PHOTOGRAPHS = ("china.jpg", "flower.jpg")


@dataclass(frozen=True)
class Picture:
    """A picture upright and in the colours that the network takes, of any size; its label in words, "" where none is known."""

    image: Image.Image
    framing: Framing
    label: str = ""

    @property
    def pixels(self) -> np.ndarray:
        """All of it: `(height, width, channels)`, uint8."""
        return np.array(self.image).reshape(self.image.height, self.image.width, self.framing.channels)

    @cached_property
    def framed(self) -> np.ndarray:
        """What the network is shown: `(size, size, channels)`, uint8."""
        return center(framed(self.image, self.framing)[0], self.framing)


@dataclass(frozen=True)
class Row:
    """A picture of a run: where it lies, its part, its label, and the digest of the file."""

    path: Path
    split: str
    label: str
    digest: str


def rows(run: Path) -> list[Row]:
    """List the pictures of a run, as far as anybody knows where they are."""
    place = recover(run)
    try:
        root = Path(json.loads((place / "result.json").read_text("utf-8"))["data"])
        root = root.parent if root.is_file() else root
        with open(place / "files.csv", newline="", encoding="utf-8", errors="surrogateescape") as file:
            found = [{name: from_cell(cell or "") for name, cell in row.items() if name} for row in csv.DictReader(file)]
        return [Row(root / row["path"], row["split"], row["label"], row["sha256"]) for row in found if row["split"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def spread(found: Sequence[Row], most: int) -> list[Row]:
    """Draw at most so many rows, the same ones every time, in order."""
    chosen = np.random.default_rng(0).permutation(len(found))[:most]
    return [found[i] for i in sorted(chosen)]


def read(wanted: Iterable[Row], framing: Framing) -> list[Picture]:
    """Read the pictures that lie where they did, as they were."""

    def look(row: Row) -> Picture | None:
        try:
            data = read_bytes(row.path)
            is_same = hashlib.sha256(data).hexdigest() == row.digest
            return Picture(whole(data, framing)[0], framing, row.label) if is_same else None
        except ImageError:
            return None

    return [picture for picture in in_threads(look, list(wanted)) if picture]


def given(paths: Iterable[Path], framing: Framing) -> list[Picture | ImageError]:
    """Read pictures that the user has named, or say why they cannot be."""

    def look(path: Path) -> Picture | ImageError:
        try:
            return Picture(whole(read_bytes(path), framing)[0], framing)
        except ImageError as error:
            return error

    return list(in_threads(look, list(paths)))


def made_up(framing: Framing, count: int = MAX_PICTURES) -> list[Picture]:
    """Cut pictures out of two photographs that scikit-learn brings, at random places and sizes."""
    from sklearn.datasets import load_sample_image

    generator, found = np.random.default_rng(0), []
    for number in range(count):
        image = Image.fromarray(load_sample_image(PHOTOGRAPHS[number % 2]))
        width, height = (int(generator.integers(side // 4, side + 1)) for side in image.size)
        left, top = (int(generator.integers(0, room + 1)) for room in (image.width - width, image.height - height))
        part = image.crop((left, top, left + width, top + height))
        found.append(Picture(part.convert("L" if framing.channels == 1 else "RGB"), framing))
    return found
