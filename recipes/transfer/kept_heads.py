"""Solved heads, kept in the cache by the content of all that they follow from, so that none is solved twice.

`auto` and the strategies that it tries, `medium`, `large`, repeats and the next run all begin with the same head where
features, labels and folds are the same. A file begins with the digest of the rest: what is damaged is solved anew.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from recipes.compute.arrays import fastest
from recipes.evaluation.tasks import MULTI_CLASS, Task
from recipes.transfer import logistic
from recipes.transfer.logistic import Head, OutOfFold, Tick
from recipes.transfer.view_features import ViewFeatures
from zoo.files import cache_folder, replace

# One more whenever the solver gives other heads.
SOLVER_VERSION = 1


def solved(
    views: ViewFeatures,
    mirrored: Sequence[bool],
    labels: np.ndarray,
    seed: int,
    choose_mirror: bool = True,
    tick: Tick = lambda: None,
    weights: np.ndarray | None = None,
    task: Task = MULTI_CLASS,
    widths: Sequence[int] = (),
    groups: np.ndarray | None = None,
) -> Head:
    """Give the head that `logistic.fit` solves for these arguments: the one that is kept, or a new one, which is kept then.

    A cache that cannot be written costs the next run the time, and this one nothing.
    """
    folds = logistic.folds_of(task, labels, seed, groups)
    given = (SOLVER_VERSION, logistic.PENALTIES.tolist(), choose_mirror, [bool(one) for one in mirrored], list(widths))
    arrays = [labels, weights, *(held_out for _, held_out in folds)]
    path = _folder() / f"{_key(views, given + (task.activation, fastest().name), arrays)}.head"
    if head := _read(path, views.shape[2]):
        return head
    head = logistic.fit(views, mirrored, labels, seed, choose_mirror, tick, weights, task, widths, groups)
    content = _packed(head)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        # What a power cut takes, the digest tells.
        replace(path, lambda new: new.write_bytes(content), len(content), is_durable=False)
    return head


def _folder() -> Path:
    """Name the folder of the solved heads."""
    return cache_folder("heads")


def _key(views: ViewFeatures, given: tuple, arrays: Sequence[np.ndarray | None]) -> str:
    """Name what a head follows from: values that their `repr` tells apart, arrays, and all features."""
    digest = hashlib.sha256(repr((given, views.shape)).encode())
    for array in arrays:
        digest.update(b"none" if array is None else repr((array.shape, array.dtype.str)).encode() + array.tobytes())
    for view in range(views.shape[0]):
        for block in views.blocks(view):
            digest.update(np.ascontiguousarray(block))
    return digest.hexdigest()[:32]


def _packed(head: Head) -> bytes:
    """Write a head as bytes, their digest first."""
    values = asdict(head)
    arrays = {"kernel": values.pop("kernel"), "bias": values.pop("bias")} | values.pop("out_of_fold")
    file = io.BytesIO()
    np.savez(file, **arrays, values=np.frombuffer(json.dumps(values).encode(), "uint8"))
    content = file.getvalue()
    return hashlib.sha256(content).digest() + content


def _read(path: Path, width: int) -> Head | None:
    """Read a head that is kept; None if there is none, or none that is whole."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, content = data[:32], data[32:]
    if hashlib.sha256(content).digest() != digest:
        return None
    with np.load(io.BytesIO(content)) as arrays:
        values = json.loads(arrays["values"].tobytes())
        answers = OutOfFold(arrays["images"], arrays["probabilities"])
        head = Head(arrays["kernel"], arrays["bias"], out_of_fold=answers, **values)
    return head if len(head.kernel) == width else None
