"""`reference.npz`: what was written is read, and what does not belong to the model is refused in a sentence."""

import numpy as np
import pytest

from recipes.errors import UserError
from recipes.runs import reference
from recipes.runs.reference import Reference, balanced


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"a model")
    return path


def some(count=5, labels=None):
    features = np.random.default_rng(0).normal(size=(count, 3)).astype("float32")
    labels = np.arange(count) % 2 if labels is None else labels
    paths = tuple(f"train/\udcff name {i}.jpg" for i in range(count))
    return Reference(features, labels, paths, tuple(f"{i:064x}" for i in range(count)), np.arange(count), features[:2], True)


def test_what_was_written_is_read(model):
    written = some()
    reference.write(written, model)
    found = reference.read(model.parent)
    np.testing.assert_allclose(found.features, written.features, rtol=1e-3)
    np.testing.assert_array_equal(found.labels, written.labels)
    assert (found.paths, found.digests) == (written.paths, written.digests)


def test_features_beyond_half_precision_are_kept_finite(model):
    written = some()
    written.features[0, 0] = 1e9
    reference.write(written, model)
    assert reference.read(model.parent).features[0, 0] == np.finfo("float16").max


def test_several_labels_are_rows(model):
    reference.write(some(2, np.array([[0, 1, 1], [1, 0, 0]], "float32")), model)
    assert reference.read(model.parent).labels.tolist() == [[0, 1, 1], [1, 0, 0]]


def test_older_runs_have_none(model):
    assert reference.read(model.parent) is None
    with pytest.raises(UserError, match=r"--drift needs reference.npz.*older: make the run again"):
        reference.required(model.parent, "--drift")


@pytest.mark.fault(
    "Models",
    "`reference.npz` of another run lies beside a model",
    "refused: both files are named",
    "distances would say nothing",
)
def test_another_models_is_refused(model):
    reference.write(some(), model)
    model.write_bytes(b"another")
    with pytest.raises(UserError, match=r"reference.npz belongs to another model than model.keras"):
        reference.read(model.parent)


@pytest.mark.fault(
    "Models",
    "`reference.npz` is cut off, or holds something else",
    "refused: the file is named, and what to do",
    "pictures would be called unknown by chance",
)
@pytest.mark.parametrize("damage", ["cut", "text", "lengths", "infinite"])
def test_damaged_is_refused(model, damage):
    path = reference.write(some(), model)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "text":
        path.write_text("features")
    else:
        with np.load(path) as found:
            arrays = dict(found)
        if damage == "lengths":
            arrays["labels"] = arrays["labels"][1:]
        else:
            arrays["features"][0] = np.inf
        np.savez(path, **arrays)
    with pytest.raises(UserError, match=r"reference.npz is damaged .*make the run again"):
        reference.read(model.parent)


def test_small_classes_are_kept_whole():
    strata = np.repeat([0, 1, 2], [100, 5, 40])
    drawn = balanced(strata, 45)
    assert np.bincount(strata[drawn]).tolist() == [20, 5, 20]
    assert (np.diff(drawn) > 0).all()
    assert len(balanced(strata, 1_000)) == 145
    assert len(balanced(np.arange(50), 20)) == 20  # more classes than places
