"""Label suspects: flipped labels come first, nobody vouches for a copy of himself, and what is left out is left out."""

import numpy as np
import pytest

from recipes.transfer.suspects import (
    PENALTIES,
    SHOWN_NEIGHBORS,
    combined,
    left_out,
    nearest,
    normalized,
    regressed,
    suspects,
    thresholds,
)


def clusters(images=150, classes=3, features=20, flipped=8, seed=0):
    """Features around a centre for each class, labels of which some are wrong, the true classes, and which are wrong."""
    rng = np.random.default_rng(seed)
    truth = np.arange(images) % classes
    features = 4 * rng.normal(size=(classes, features))[truth] + rng.normal(size=(images, features))
    wrong = rng.choice(images, flipped, replace=False)
    labels = truth.copy()
    labels[wrong] = (labels[wrong] + rng.integers(1, classes, flipped)) % classes
    return features.astype("float32"), labels, truth, set(wrong.tolist())


def test_flipped_labels_are_the_suspects_and_their_true_class_is_likelier():
    features, labels, truth, wrong = clusters()
    found = suspects(features, labels)
    assert {suspect.picture for suspect in found} == wrong
    assert [suspect.probability for suspect in found] == sorted(suspect.probability for suspect in found)
    for suspect in found:
        assert suspect.likelier == truth[suspect.picture] != suspect.label == labels[suspect.picture]
        assert suspect.is_confident and suspect.probability < suspect.likelier_probability <= 1
        assert len(suspect.neighbors) == SHOWN_NEIGHBORS and suspect.picture not in suspect.neighbors
        assert (truth[list(suspect.neighbors)] == truth[suspect.picture]).all()


def test_clean_labels_have_no_suspects():
    features, _, truth, _ = clusters()
    assert suspects(features, truth) == []


def test_the_scale_of_the_features_does_not_matter():
    features, labels, _, _ = clusters()
    one, other = (suspects(x, labels) for x in (features, 1000 * features))
    assert [suspect.picture for suspect in one] == [suspect.picture for suspect in other]


def test_a_copy_with_the_same_wrong_label_does_not_vouch_for_it():
    """One wrong picture thirty times: without groups its copies agree with it, with groups the others judge."""
    features, labels, _, wrong = clusters(flipped=1)
    picked = np.concatenate([np.arange(len(labels)), [*wrong] * 29])
    copies = {i for i, source in enumerate(picked) if source in wrong}
    hidden = suspects(features[picked], labels[picked])
    told = suspects(features[picked], labels[picked], groups=picked)
    assert not copies & {suspect.picture for suspect in hidden}
    assert copies <= {suspect.picture for suspect in told}
    assert not any(copies & set(suspect.neighbors) for suspect in told if suspect.picture in copies)


@pytest.mark.parametrize("size", [1, 3])
def test_what_is_left_out_is_what_a_fit_without_it_predicts(size):
    """The closed form against scikit-learn's ridge regression without the group."""
    from sklearn.linear_model import Ridge

    features, labels, _, _ = clusters(images=60, features=8)
    units, truth, groups = normalized(features), np.eye(3)[labels], np.arange(60) // size
    found = regressed(units, truth, groups)
    centered = units - units.mean(axis=0)
    top = np.linalg.eigvalsh((centered.T @ centered).astype(float))[-1]
    tried = []
    for penalty in PENALTIES:
        apart = np.zeros_like(truth)
        for group in np.unique(groups):
            out = groups == group
            # The closed form keeps the penalty of the whole, and centres with it: both are those of one fit.
            apart[out] = Ridge(alpha=penalty * top, tol=1e-10).fit(units[~out], truth[~out]).predict(units[out])
        tried.append(np.abs(apart - found).max())
    assert min(tried) < 1e-4


def test_probabilities_of_pictures_with_a_class_of_one():
    features, labels, _, _ = clusters(flipped=0)
    features, labels = np.concatenate([features, features[:1] + 100]), np.append(labels, 3)
    units, groups = normalized(features), np.arange(len(labels))
    found = left_out(units, labels, groups, nearest(units, groups, 5))
    assert found.shape == (151, 4) and np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_nearest_over_blocks_are_those_of_the_whole_table(monkeypatch):
    monkeypatch.setattr("recipes.transfer.suspects.BLOCK", 4)
    units, groups = normalized(np.random.default_rng(0).normal(size=(30, 5))), np.arange(30) // 2
    likeness = np.where(groups[:, None] == groups, -9, units @ units.T)
    for count in (1, 7):
        np.testing.assert_array_equal(nearest(units, groups, count), np.argsort(-likeness, axis=1)[:, :count])
    few = nearest(units[:5], groups[:5], 10)
    assert (few[:4, :3] >= 0).all() and (few[:, 4:] == -1).all() and few[0, 3] == -1


def test_thresholds_are_the_mean_probabilities_of_those_that_carry_the_label():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.7, 0.3, 0.0], [0.2, 0.8, 0.0]])
    np.testing.assert_allclose(thresholds(probabilities, np.array([0, 0, 1])), [0.8, 0.8, 1.0])


def test_the_weights_of_the_judges_are_those_of_a_logistic_regression():
    """Of two classes, against scikit-learn's without a penalty; a judge that knows nothing counts nothing."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    good, fair, none = (gain * (2 * labels - 1) + rng.normal(size=400) for gain in (1.0, 0.5, 0.0))
    scores = [np.stack([0 * one, one], axis=1) for one in (good, fair)]
    told = LogisticRegression(C=np.inf, fit_intercept=False).fit(np.stack([good, fair], axis=1), labels)
    found = combined(scores, labels)
    np.testing.assert_allclose(found, told.predict_proba(np.stack([good, fair], axis=1)), atol=1e-3)
    against = combined([scores[0], np.stack([0 * good, none - (2 * labels - 1)], axis=1)], labels)
    np.testing.assert_allclose(against, combined(scores[:1], labels), atol=1e-3)


def test_features_that_are_all_the_same_and_one_group_of_all_are_judged_without_fault():
    labels = np.arange(12) % 3
    same = suspects(np.ones((12, 4)), labels)
    together = suspects(clusters(images=12)[0], labels, groups=np.zeros(12, int))
    assert not any(one.is_confident for one in [*same, *together])
    assert all(one.neighbors == () for one in together)
