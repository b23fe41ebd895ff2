"""`reference.npz`: what the model of a run says of the pictures that it learnt from, as features at its "pre_logits".

By these a picture's nearest training pictures are found, a picture of no known class is told, and pictures that differ from
those of the training as a whole. Runs that were made before there was this file predict as ever, without all that.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes.errors import UserError, shown
from recipes.runs.folder import recover
from zoo.files import replace, sha256
from zoo.weights import digests
from zoo.weights.formats import archives
from zoo.weights.formats.tensors import WeightsError

NAME = "reference.npz"
# Of the training part, and of each part that was held out.
MAX_PICTURES, MAX_UNSEEN = 10_000, 1_000
LARGEST = float(np.finfo("float16").max)


@dataclass(frozen=True)
class Reference:
    """Training pictures, one entry each: features `(pictures, features)`, labels, paths and the digests of the files.

    Labels are class numbers `(pictures,)` or rows of 0 and 1 `(pictures, classes)`; paths are relative to the data, as in
    files.csv; `groups` are numbers, the same for pictures of one origin. `unseen` are features of held-out pictures;
    `is_trained` says whether the network itself has learnt from the training pictures, and not its head alone.
    """

    features: np.ndarray
    labels: np.ndarray
    paths: tuple[str, ...]
    digests: tuple[str, ...]
    groups: np.ndarray
    unseen: np.ndarray
    is_trained: bool

    @property
    def comparable(self) -> np.ndarray:
        """Features to compare those of new pictures with, as a whole: a trained network knows its own pictures too well."""
        return self.unseen if self.is_trained else self.features


def write(reference: Reference, model: Path) -> Path:
    """Write the file beside a model, whose digest goes into it; features are rounded to half precision.

    Raises:
        WriteError: it cannot be written.
    """
    arrays = {
        "features": _half(reference.features),
        "labels": reference.labels.astype("uint8" if reference.labels.ndim == 2 else "int32"),
        "paths": np.frombuffer("\0".join(reference.paths).encode("utf-8", "surrogateescape"), "uint8"),
        "digests": np.array(reference.digests, "U64"),
        "groups": reference.groups.astype("int32"),
        "unseen": _half(reference.unseen),
        "is_trained": np.array(reference.is_trained),
        "model": np.array(digests.noted(model) or sha256(model), "U64"),
    }
    size = sum(array.nbytes for array in arrays.values())
    return replace(model.with_name(NAME), lambda new: _save(new, arrays), size)


def _half(features: np.ndarray) -> np.ndarray:
    """Round features to half precision, without infinities."""
    return np.clip(features, -LARGEST, LARGEST).astype("float16")


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Save arrays; through an open file, for NumPy would change the name."""
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def read(folder: Path) -> Reference | None:
    """Read the reference of a finished run; None where it has none, for it was made before there were any.

    Raises:
        UserError: it is damaged, or belongs to another model.
    """
    path = recover(folder) / NAME
    if not path.exists():
        return None
    try:
        with archives.opened(path):  # bounded
            pass
        with np.load(path, allow_pickle=False) as found:
            reference, model = _checked({name: found[name] for name in found.files})
    except (WeightsError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{shown(path)} is damaged or was not written by `zoo finetune` ({shown(error)}): make the run again, or remove "
            "it and do without what needs it."
        ) from None
    beside = path.with_name("model.keras")
    if model != (digests.noted(beside) or sha256(beside)):
        raise UserError(
            f"{shown(path)} belongs to another model than {beside.name} beside it: copy the folder as a "
            "whole, or remove it and do without what needs it."
        )
    return reference


def root(folder: Path) -> Path | None:
    """Find the folder of a run's training pictures; None if there is none."""
    try:
        place = Path(json.loads((recover(folder) / "result.json").read_text("utf-8"))["data"])
        return place if place.is_dir() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def required(folder: Path, what: str) -> Reference:
    """Read the reference of a run, for `what` cannot do without.

    Raises:
        UserError: there is none, or as `read` does.
    """
    if (found := read(folder)) is None:
        raise UserError(
            f"{what} needs {NAME}, the features of training pictures, and {shown(folder)} has none, because it came from a hub "
            "or is older: "
            f"make the run again, `zoo finetune --recipe {shown(folder / 'recipe.json')}`."
        )
    return found


def _checked(arrays: dict[str, np.ndarray]) -> tuple[Reference, str]:
    """Put arrays together, and the digest of their model. Raises ValueError or KeyError for what does not fit."""
    features, unseen = (arrays[name].astype("float32") for name in ("features", "unseen"))
    labels = arrays["labels"]
    paths = tuple(arrays["paths"].tobytes().decode("utf-8", "surrogateescape").split("\0"))
    keys, is_trained = tuple(arrays["digests"].tolist()), bool(arrays["is_trained"])
    found = Reference(features, labels, paths, keys, arrays["groups"], unseen, is_trained)
    if features.ndim != 2 or not len(features) or not (np.isfinite(features).all() and np.isfinite(unseen).all()):
        raise ValueError("its features are no finite vectors")
    if {len(labels), len(paths), len(found.digests), len(found.groups)} != {len(features)}:
        raise ValueError("its arrays differ in length")
    if unseen.ndim != 2 or unseen.shape[1] != features.shape[1]:
        raise ValueError("its features differ in length")
    return found, str(arrays["model"])


def balanced(strata: Sequence[int], most: int) -> np.ndarray:
    """Draw at most so many pictures by their classes, indices in order: small classes whole, as many of each larger one."""
    strata = np.asarray(strata)
    numbers = np.bincount(strata - strata.min())
    each = next(each for each in range(numbers.max(), 0, -1) if np.minimum(numbers, each).sum() <= most or each == 1)
    order = np.random.default_rng(0).permutation(len(strata))
    rank = np.empty(len(strata), int)
    for stratum in np.unique(strata):
        inside = order[strata[order] == stratum]
        rank[inside] = np.arange(len(inside))
    return np.flatnonzero(rank < each)[:most]
