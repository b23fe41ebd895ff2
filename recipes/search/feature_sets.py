"""What the models of a hypermodel are trained on: features of a folder's pictures, or arrays that somebody has."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recipes.data import split
from recipes.data.dataset import HELD_OUT_SHARE, prepare
from recipes.data.sources.chosen import scan_for_one_label
from recipes.data.views import CENTER
from recipes.errors import UserError
from recipes.search.disk import DiskBudget
from recipes.search.preparation import Search, base_recipe
from recipes.settings.tune import Tuning
from recipes.transfer.backbone import backbone, framing, new_head
from recipes.transfer.features import vector_cut

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class FeatureSet:
    """Rows to train on, and rows that judge a trial."""

    train: Pair
    """Features `(rows, ...)` and labels `(rows, ...)`."""
    validation: Pair
    identity: Mapping
    """What must not change from one start of a search to the next."""


def of_folder(settings: Tuning) -> FeatureSet:
    """Compute the last features of a folder's training pictures, as evaluation sees these, or find them in the cache.

    A quarter of them, the one that `zoo tune` holds out, judges trials; the validation and the test part stay unseen.

    Raises:
        UserError: the folder or the network cannot be used.
    """
    found, recipe = scan_for_one_label(settings), base_recipe(settings)
    body = backbone(recipe)
    data = prepare(found, framing(body), settings.validation, settings.test, settings.seed, settings.keep_leaks)
    train, held_out = data.part("train"), data.inner(settings.seed).part("validation")
    cuts, disk = {"pre_logits": vector_cut(body, "pre_logits")}, DiskBudget(settings.folder, np.inf, 0, 0, 0, 0)
    search = Search(settings, new_head(recipe, body, data), data, train, held_out, cuts, [CENTER], disk)
    rows, labels = search.features()["pre_logits"][0], data.labels[train]
    others = np.setdiff1d(np.arange(len(train)), held_out)
    return FeatureSet((rows[others], labels[others]), (rows[held_out], labels[held_out]), search.identity())


def of_arrays(features: object, labels: object, validation: tuple | None, seed: int) -> FeatureSet:
    """Take arrays of features and labels, each `(rows, ...)`.

    Args:
        validation: the same of the rows that judge trials; None to hold out a quarter, drawn by content in proportion to the
            classes, copies of a row together.

    Raises:
        UserError: they are no arrays of one length, or too few.
    """
    train = _pair(features, labels, "data")
    if validation is not None:
        held_out = _pair(*validation, "validation_data")
        return FeatureSet(train, held_out, {"data": _digest(*train), "validation data": _digest(*held_out)})
    rows, targets = train
    digests = [hashlib.sha256(np.ascontiguousarray(row)).hexdigest() for row in rows]
    strata = [str(label) if is_class(targets) else "" for label in targets]
    parts = np.array(split.assign(strata, digests, [""] * len(rows), {"validation": HELD_OUT_SHARE}, seed))
    inner, outer = parts == "train", parts == "validation"
    if not outer.any():
        raise UserError(f"data has {len(rows)} rows, too few to hold some out: give validation_data, or more rows.")
    return FeatureSet((rows[inner], targets[inner]), (rows[outer], targets[outer]), {"data": _digest(*train)})


def is_class(labels: np.ndarray) -> bool:
    """Whether labels are numbers of classes, one a row."""
    return labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer)


def _pair(features: object, labels: object, name: str) -> Pair:
    """Make arrays of features and labels. Raises UserError, naming the argument, for what is none."""
    rows, targets = (value if isinstance(value, np.ndarray) else np.asarray(value) for value in (features, labels))
    if rows.dtype == object or targets.dtype == object or not rows.ndim or not targets.ndim:
        raise UserError(f"{name} must be a folder or (features, labels), two arrays of numbers.")
    if len(rows) != len(targets) or not len(rows):
        raise UserError(f"{name} must have a label for each row of features, found {len(rows)} rows and {len(targets)} labels.")
    return rows, targets


def _digest(*arrays: np.ndarray) -> str:
    """Name arrays by what they hold."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array))
    return f"{len(arrays[0])} rows of {digest.hexdigest()[:12]}"
