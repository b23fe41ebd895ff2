"""The rows of files.csv: every file that was found, with what was said of it, or why it was left out."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from recipes.data.dataset import Dataset
from recipes.data.images import read_bytes
from recipes.errors import ImageError
from recipes.evaluation.tasks import LABEL_SEPARATOR


@dataclass(frozen=True)
class FileRows:
    """A row for every file that was found, made anew for whoever asks: of many pictures a list would take 1 kB each.

    Args:
        probabilities: of the pictures that are used, `(images, classes)`.
    """

    data: Dataset
    probabilities: np.ndarray

    def __iter__(self) -> Iterator[dict]:
        data, more = self.data, _more(self.data)
        losses = data.task.losses(data.labels, self.probabilities)
        each = zip(data.paths, data.digests, data.labels, data.splits, self.probabilities, losses, strict=True)
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
        empty = dict.fromkeys(("split", "label", "prediction", "probability", "loss", "note"), "")
        for (path, reason), digest in zip(data.left_out, self._digests_of_left_out, strict=True):
            yield {"path": path, **empty, "reason": reason, **dict.fromkeys(more, ""), "sha256": digest}

    @cached_property
    def _digests_of_left_out(self) -> list[str]:
        """Digests of the files that are not used, which are read for that."""
        return [_digest(self.data.root / path) for path, _ in self.data.left_out]


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
