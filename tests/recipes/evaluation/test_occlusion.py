"""Hiding parts of a picture, against a classifier whose answer is known to hang on one place."""

import numpy as np
import pytest

from recipes.evaluation.occlusion import check, hidden, hottest, moved


def at_the_corner(pictures):
    """Two classes: the brighter the upper left 8 × 8 pixels beside the mean of all, the surer the first."""
    beyond = pictures[:, :8, :8].mean(axis=(1, 2, 3)) - pictures.mean(axis=(1, 2, 3))
    first = 1 / (1 + np.exp(-beyond / 20))
    return np.stack([first, 1 - first], axis=1)


@pytest.fixture
def picture():
    picture = np.full((20, 20, 3), 100, "uint8")
    picture[:8, :8] = 220
    return picture


def test_the_hottest_fifth_is_a_fifth_and_none_of_it_colder_than_the_rest():
    heat = np.random.default_rng(0).normal(size=(3, 20, 30))
    mask = hottest(heat)
    assert mask.sum(axis=(1, 2)).tolist() == [120] * 3
    for one, chosen in zip(heat, mask, strict=True):
        assert one[chosen].min() >= one[~chosen].max()
    assert hottest(np.zeros((10, 10))).sum() == 20  # of equal ones, too


def test_a_moved_mask_has_its_size_and_what_is_hidden_has_the_mean_colour(picture):
    mask = np.zeros((20, 20), bool)
    mask[6:16, 2:14] = True
    other = moved(mask, np.random.default_rng(1))
    assert other.sum() == mask.sum() and (other != mask).any()
    without = hidden(picture, mask)
    assert without.dtype == np.uint8 and (without[10, 4:12] == round(picture.mean())).all()  # the edge is soft
    assert (without[:3] == picture[:3]).all() and (without[:, 17:] == picture[:, 17:]).all()


def test_a_map_of_what_the_answer_hangs_on_is_borne_out_and_another_is_not(picture):
    right = np.zeros((20, 20))
    right[:9, :9] = 1 + np.random.default_rng(0).random((9, 9))
    pictures, classes = np.stack([picture] * 2), np.zeros(2, int)
    true, false = check(pictures, np.stack([right, right[::-1, ::-1]]), classes, at_the_corner)
    assert true.whole == pytest.approx(float(at_the_corner(picture[None])[0, 0]))
    assert true.whole > 0.99 and true.without_hottest < 0.75 and true.without_random > 0.9
    # The other corner: nothing of the answer is there.
    assert false.whole == true.whole and false.without_hottest > 0.99
    again = check(pictures, np.stack([right, right[::-1, ::-1]]), classes, at_the_corner)
    assert again == [true, false]
