"""Which training pictures' features go into an exported network, and what their scores promise."""

from types import SimpleNamespace

import numpy as np
import pytest

from recipes.evaluation.tasks import MULTI_CLASS
from recipes.formats import unknown
from recipes.runs import reference
from recipes.runs.reference import Reference

WIDTH, CLASSES = 20, 4


def features(count, seed, spread=0.5):
    """Pictures of four kinds, and which kind each is of."""
    generator = np.random.default_rng(seed)
    kinds = generator.integers(0, CLASSES, count)
    return (4 * np.eye(WIDTH)[kinds] + spread * generator.standard_normal((count, WIDTH))).astype("float32"), kinds


def known(monkeypatch, count, room, is_trained=False, threshold=0.25):
    """What is chosen of so many training pictures, where so many bytes are free."""
    rows, kinds = features(count, 0)
    found = Reference(rows, kinds, ("",) * count, ("",) * count, np.arange(count), features(400, 1)[0], is_trained)
    monkeypatch.setattr(reference, "read", lambda _: found)
    monkeypatch.setattr(unknown, "ALWAYS_BYTES", room)
    sure = SimpleNamespace(foreign_threshold=lambda refused: threshold)
    model = SimpleNamespace(count_params=lambda: 0)
    return unknown.known(None, SimpleNamespace(classes=("a", "b", "c", "d"), task=MULTI_CLASS, confidence=sure, model=model))


def test_all_go_along_where_there_is_room_with_the_threshold_of_the_run(monkeypatch):
    found, words = known(monkeypatch, 300, 300 * WIDTH * 4)
    assert found.units.shape == (300, WIDTH) and found.threshold == 0.25 and "among 300 of 300" in words
    np.testing.assert_allclose(np.linalg.norm(found.units, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("is_trained", [False, True])
def test_fewer_keep_the_promise_by_a_threshold_of_their_own(is_trained, monkeypatch):
    found, words = known(monkeypatch, 3000, 400 * WIDTH * 4, is_trained)
    assert len(found.units) == 400 and "among 400 of 3,000" in words
    refused = (found.scores(features(4000, 2)[0]) > found.threshold).mean()
    assert 0.02 < refused < 0.09  # 5 % of known ones
    assert (found.scores(np.random.default_rng(3).standard_normal((500, WIDTH))) > found.threshold).mean() > 0.95


def test_why_there_is_none_is_said(monkeypatch):
    assert known(monkeypatch, 3000, 11 * WIDTH * 4) == (None, unknown.NONE.format(reason=unknown.LARGE))
    assert known(monkeypatch, 300, 10**6, threshold=np.inf) == (None, unknown.NONE.format(reason=unknown.FEW))
    monkeypatch.setattr(reference, "read", lambda _: None)
    found, words = unknown.known(None, SimpleNamespace(confidence=None))
    assert found is None and "no reference.npz" in words
