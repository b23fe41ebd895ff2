"""A solved head is kept by all that it follows from, and never solved twice; what is damaged is solved anew."""

from pathlib import Path

import numpy as np
import pytest

from recipes.evaluation.tasks import MULTI_CLASS
from recipes.transfer import kept_heads, logistic
from recipes.transfer.view_features import ViewFeatures


@pytest.fixture
def solutions(monkeypatch, tmp_path):
    """Counts what is solved, in a cache of its own."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    counted, fit = [], logistic.fit
    monkeypatch.setattr(logistic, "fit", lambda *given: counted.append(given) or fit(*given))
    return counted


def given(seed: int = 0, **changes):
    rng = np.random.default_rng(seed)
    labels = np.arange(40) % 2
    x = rng.normal(size=(2, 40, 6)).astype("float32") + labels[:, None]
    values = {"views": ViewFeatures(x.reshape(80, 6), 2), "mirrored": [False, True], "labels": labels, "seed": 0}
    return values | changes


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "heads").iterdir())


def test_the_second_time_it_is_read_and_is_the_same(solutions, tmp_path):
    ticks = []
    first = kept_heads.solved(**given())
    again = kept_heads.solved(**given(), tick=lambda: ticks.append(0))
    assert len(solutions) == 1 == len(files(tmp_path)) and not ticks
    for one, other in zip(vars(first).values(), vars(again).values(), strict=True):
        if not isinstance(one, logistic.OutOfFold):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first.out_of_fold.images, again.out_of_fold.images)
    np.testing.assert_array_equal(first.out_of_fold.probabilities, again.out_of_fold.probabilities)


def swapped() -> np.ndarray:
    labels = np.arange(40) % 2
    labels[:2] = labels[1::-1]
    return labels


def nudged() -> ViewFeatures:
    views = given()["views"]
    rows = views.rows.copy()
    rows[-1, -1] += 1e-6
    return ViewFeatures(rows, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": swapped()},
        {"views": nudged()},
        {"seed": 1},  # other folds
        {"weights": np.linspace(1, 2, 40)},
        {"choose_mirror": False},
        {"mirrored": [False, False]},
        {"widths": (3, 3)},
        {"groups": np.array([str(i // 4) for i in range(40)])},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_it_follows_from_has_changed(change, solutions):
    kept_heads.solved(**given())
    kept_heads.solved(**given(**change))
    assert len(solutions) == 2


@pytest.mark.fault(
    "Runs",
    "a solved head in the cache is cut short, or a byte of it is changed",
    "It is solved anew, and kept again.",
    "The file begins with the digest of the rest.",
)
@pytest.mark.parametrize("fault", ["cut", "changed", "empty"])
def test_a_damaged_head_is_solved_anew(fault, solutions, tmp_path):
    first = kept_heads.solved(**given())
    (file,) = files(tmp_path)
    data = file.read_bytes()
    file.write_bytes({"cut": data[:-20], "changed": data[:200] + bytes([data[200] ^ 1]) + data[201:], "empty": b""}[fault])
    again = kept_heads.solved(**given())
    assert len(solutions) == 2 and file.read_bytes() == data
    np.testing.assert_array_equal(first.kernel, again.kernel)


def test_a_cache_that_cannot_be_written_costs_time_alone(solutions, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file"))
    head = kept_heads.solved(**given(), task=MULTI_CLASS)
    assert head.kernel.shape == (6, 2) and len(solutions) == 1
