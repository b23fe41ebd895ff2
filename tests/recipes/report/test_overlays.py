import numpy as np
import pytest

from recipes.evaluation.occlusion import Check
from recipes.report.explained import HeatMap, summary, verdict
from recipes.report.overlays import described, overlay


def spot(row, column, side=90, width=12.0):
    """A map that is hot around one place, and speaks against the class far from it."""
    rows, columns = np.mgrid[:side, :side]
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2)) - 0.1


@pytest.mark.parametrize("at, words", [((10, 80), "upper right"), ((45, 45), "in the middle"), ((80, 45), "lower middle")])
def test_words_say_where_a_map_is_hot_and_how_narrowly(at, words):
    heat = spot(*at)
    assert words in described(heat)
    drawn = np.maximum(heat, 0)
    share = np.sort(drawn.ravel())[::-1][: round(0.2 * heat.size)].sum() / drawn.sum()
    assert f"{100 * share:.0f} % of the heat" in described(heat)


def test_an_empty_map_is_said_and_not_drawn():
    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3)).astype("uint8")
    empty = overlay(picture, np.full((224, 224), -1.0))
    assert (empty == empty[..., :1]).all()  # grey
    assert "bees: the map is empty" in HeatMap("bees", np.zeros((8, 8))).words


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_hot_is_lighter_and_a_line_surrounds_the_hottest_fifth(channels):
    picture = np.full((32, 32, channels), 128, "uint8")
    drawn = overlay(picture, spot(8, 8, 32, 6.0))
    assert drawn.shape == (224, 224, 3) and drawn.dtype == np.uint8  # a small picture is enlarged
    light = drawn @ np.array([0.2126, 0.7152, 0.0722])
    assert light[60, 60] > light[60, 200] + 40  # yellow, and dark violet
    assert (drawn == 255).all(axis=-1).any() and (drawn == 0).all(axis=-1).any()


def test_a_verdict_says_no_more_than_the_check():
    assert verdict(Check(0.9, 0.2, 0.8)).endswith("the map is borne out")
    assert "not borne out" in verdict(Check(0.9, 0.8, 0.2))
    assert "neither for nor against" in verdict(Check(0.9, 0.88, 0.9))
    text = summary([Check(0.9, 0.3, 0.8), None, Check(0.8, 0.4, 0.8)])
    assert "of 2 pictures changes the probability of the class by -50.0 points" in text
    assert "a random fifth by -5.0. The maps show what" in text
    assert "by +7.0 points" in (text := summary([Check(0.9, 0.97, 0.9)])) and text.endswith("does not bear the maps out.")
    assert summary([Check(0.9, 0.88, 0.9)]).endswith("neither for nor against the maps.")
    assert summary([None]) == ""
    assert "by +0.0 points, hiding a random fifth by +0.0." in summary([Check(0.9, 0.9 - 1e-7, 0.9 - 1e-7)])  # no minus
