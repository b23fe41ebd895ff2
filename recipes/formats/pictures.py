"""Pictures to look at an exported network with: those of its run, where they lie as they did, or others."""

import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
# Whole pictures of a camera take 36 MB each.
MAX_BYTES, AT_ONCE = 500_000_000, 16
PHOTOGRAPHS = ("china.jpg", "flower.jpg")


@dataclass(frozen=True)
class Picture:
    """A picture as Keras sees it, and as an exported network is given it.

    `framed` is `(size, size, channels)`, `given` the same or, for networks that take any size, `(height, width, channels)`,
    upright and in the network's colours; both uint8. `label` is in words, "" where none is known.
    """

    framed: np.ndarray
    given: np.ndarray
    label: str = ""


def picture(image: Image.Image, framing: Framing, any_size: bool, label: str = "") -> Picture:
    """Frame a picture that is upright and in the network's colours."""
    seen = center(framed(image, framing)[0], framing)
    whole_one = np.array(image).reshape(image.height, image.width, framing.channels) if any_size else seen
    return Picture(seen, whole_one, label)


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
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def held_out(found: Sequence[Row], least: int) -> list[Row]:
    """Choose the rows that accuracy is measured on: the test part, or both held-out parts where that has fewer than `least`."""
    test, validation = ([row for row in found if row.split == part] for part in HELD_OUT)
    return test if len(test) >= least else [*test, *validation]


def spread(found: Sequence[Row], most: int) -> list[Row]:
    """Draw at most so many rows, the same ones every time, in order."""
    chosen = np.random.default_rng(0).permutation(len(found))[:most]
    return [found[i] for i in sorted(chosen)]


def read(wanted: Sequence[Row], framing: Framing, any_size: bool) -> list[Picture]:
    """Read the pictures that lie where they did, as they were, as far as memory goes: of large ones fewer."""

    def look(row: Row) -> Picture | None:
        try:
            data = read_bytes(row.path)
            is_same = hashlib.sha256(data).hexdigest() == row.digest
            return picture(whole(data, framing)[0], framing, any_size, row.label) if is_same else None
        except ImageError:
            return None

    return list(filter(None, _within_memory(look, wanted)))


def given(paths: Sequence[Path], framing: Framing, any_size: bool) -> list[Picture | ImageError]:
    """Read pictures that the user has named, or say why they cannot be; of large ones fewer."""

    def look(path: Path) -> Picture | ImageError:
        try:
            return picture(whole(read_bytes(path), framing)[0], framing, any_size)
        except ImageError as error:
            return error

    return _within_memory(look, paths)


def _within_memory(look: Callable, wanted: Sequence) -> list:
    """Look at one after the other until MAX_BYTES of pictures are in memory."""
    found, size = [], 0
    for start in range(0, len(wanted), AT_ONCE):
        if size > MAX_BYTES:
            break
        new = list(in_threads(look, wanted[start : start + AT_ONCE]))
        size += sum(one.given.nbytes + one.framed.nbytes for one in new if isinstance(one, Picture))
        found += new
    return found


def made_up(framing: Framing, any_size: bool, count: int = MAX_PICTURES) -> list[Picture]:
    """Cut pictures out of two photographs that scikit-learn brings, at random places and sizes."""
    from sklearn.datasets import load_sample_image

    generator, found = np.random.default_rng(0), []
    photographs = [Image.fromarray(load_sample_image(name)) for name in PHOTOGRAPHS]
    for number in range(count):
        image = photographs[number % len(photographs)]
        width, height = (int(generator.integers(side // 4, side + 1)) for side in image.size)
        left, top = (int(generator.integers(0, room + 1)) for room in (image.width - width, image.height - height))
        part = image.crop((left, top, left + width, top + height)).convert("L" if framing.channels == 1 else "RGB")
        found.append(picture(part, framing, any_size))
    return found
