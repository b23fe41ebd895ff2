"""The rows of files.csv: every file that was found, with what was said of it, or why it was left out."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recipes.data.dataset import Dataset
from recipes.data.images import read_bytes
from recipes.errors import ImageError
from recipes.evaluation.tasks import LABEL_SEPARATOR


def file_rows(data: Dataset, probabilities: np.ndarray) -> Iterator[dict]:
    """Make a row for every file that was found.

    Args:
        probabilities: of the pictures that are used, `(images, classes)`.
    """
    more = _more(data)
    losses = data.task.losses(data.labels, probabilities)
    each = zip(data.paths, data.digests, data.labels, data.splits, probabilities, losses, strict=True)
    for i, (path, digest, label, split, guess, loss) in enumerate(each):
        predicted = np.flatnonzero(data.task.predicted(guess))
        yield {
            "path": path,
            "split": str(split),
            "label": data.task.names(label, data.classes),
            "prediction": LABEL_SEPARATOR.join(data.classes[i] for i in predicted),
            "probability": round(data.task.confidence(guess), 6),
            "loss": round(float(loss), 6) + 0.0,  # + 0.0: no minus before 0
            "reason": "",
            "note": data.notes.get(digest, ""),
            **{name: values[i] for name, values in more.items()},
            "sha256": digest,
        }
    for path, reason in data.left_out:
        empty = dict.fromkeys(("split", "label", "prediction", "probability", "loss", "note"), "")
        yield {"path": path, **empty, "reason": reason, **dict.fromkeys(more, ""), "sha256": _digest(data.root / path)}


def _more(data: Dataset) -> dict[str, list]:
    """Give the columns that only some data have: the group and the weight of each picture."""
    columns = {"group": data.groups, "weight": None if data.weights is None else data.weights.tolist()}
    return {name: values for name, values in columns.items() if values is not None}


def _digest(path: Path) -> str:
    """Compute the digest of a file that was left out; "" for what is no file, or cannot be read."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except ImageError:
        return ""
