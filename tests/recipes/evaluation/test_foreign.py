"""How foreign pictures are: scikit-learn finds the same neighbours."""

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from recipes.evaluation import foreign
from recipes.evaluation.foreign import NEIGHBORS, foreignness, of_known, unit


def features(count, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(count, 8)).astype("float32") + shift


def test_the_distance_to_the_third_nearest():
    known, new = features(300), features(40, 1)
    theirs = NearestNeighbors(n_neighbors=NEIGHBORS, metric="cosine").fit(known).kneighbors(new)[0][:, -1]
    np.testing.assert_allclose(foreignness(new, unit(known)), theirs, atol=1e-6)


def test_known_pictures_are_scored_by_others_of_other_groups():
    known, groups = features(60), np.arange(60) // 2
    whole = unit(known)
    for i, score in zip(np.random.default_rng(0).permutation(60), of_known(whole, groups), strict=True):
        likeness = np.sort((whole @ whole[i])[groups != groups[i]])
        np.testing.assert_allclose(score, 1 - likeness[-NEIGHBORS], atol=1e-6)


def test_few_pictures_have_few_neighbours():
    assert len(of_known(unit(features(2)), np.arange(2))) == 0  # none has a second other one
    assert foreignness(features(2), unit(features(1))).shape == (2,)


def test_blocks_do_not_show(monkeypatch):
    known, new = unit(features(50)), features(33, 1)
    whole = foreignness(new, known), of_known(known, np.arange(50))
    monkeypatch.setattr(foreign, "BLOCK", 7)
    np.testing.assert_allclose(foreignness(new, known), whole[0], atol=1e-6)
    np.testing.assert_allclose(of_known(known, np.arange(50)), whole[1], atol=1e-6)


def test_as_many_known_pictures_are_refused_as_promised():
    known, new = unit(features(400, shift=1.0)), features(4_000, 1, shift=1.0)
    limit = np.quantile(of_known(known, np.arange(400)), 0.95)
    assert 0.02 < (foreignness(new, known) > limit).mean() < 0.09
    strange = foreignness(features(500, 2, shift=-1.0), known)
    assert roc_auc_score(np.repeat([0, 1], [4_000, 500]), np.concatenate([foreignness(new, known), strange])) > 0.99
