"""Tests and intervals of paired answers, against SciPy, published examples, enumeration and simulation."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest

from recipes.evaluation import paired
from recipes.evaluation.paired import holm, newcombe, sign_flip_test


@pytest.mark.parametrize(("first", "second"), [(1, 7), (0, 1), (5, 5), (0, 6), (30, 12), (700, 801)])
def test_a_picture_each_is_the_exact_test_of_mcnemar(first, second):
    sums = np.array([-1.0] * first + [0.0] * 11 + [1.0] * second)
    assert sign_flip_test(sums) == pytest.approx(binomtest(first, first + second).pvalue, abs=1e-12)
    # weights that are all the same change nothing
    assert sign_flip_test(0.25 * sums) == pytest.approx(binomtest(first, first + second).pvalue, abs=1e-12)


def test_without_a_difference_p_is_1():
    assert sign_flip_test(np.zeros(5)) == sign_flip_test(np.zeros(0)) == 1


def enumerated(sums: np.ndarray) -> float:
    """The share of all signs whose sum lies as far from 0."""
    signs = np.array(list(product((-1, 1), repeat=len(sums))))
    return float((np.abs(signs @ np.abs(sums)) >= abs(sums.sum()) - 1e-12).mean())


def test_groups_of_several_pictures_against_all_signs():
    sums = np.array([3.0, -1, 2, 2, -1, 5, 1, 1, -2, 4])
    assert sign_flip_test(sums) == pytest.approx(enumerated(sums), abs=1e-12)
    # What treats the pictures as if each stood for itself would be sure too early: 18 against 4.
    assert sign_flip_test(sums) > 4 * binomtest(4, 22).pvalue


def test_weights_against_all_signs(monkeypatch):
    sums = np.array([0.7, -0.2, 1.9, 0.4, -0.3, 1.1, 0.6, 0.9, -0.8, 1.4])
    assert sign_flip_test(sums) == pytest.approx(enumerated(sums), abs=0.006)
    whole = np.array([3.0, -1, 2, 2, -1, 5, 1, 1, -2, 4])
    exact = sign_flip_test(whole)
    monkeypatch.setattr(paired, "MAX_ADDITIONS", 0)  # as for very many
    assert sign_flip_test(whole) == pytest.approx(exact, abs=0.006)
    assert sign_flip_test(whole) != exact


def test_the_published_example_of_newcombes_interval():
    """21 children before and after a transplantation: Fagerland, Lydersen & Laake 2014, Statistics in Medicine 33:2850."""
    low, high = newcombe(1, 1, 7, 12)
    assert (low, high) == pytest.approx((0.026, 0.507), abs=5e-4)
    assert newcombe(1, 7, 1, 12) == pytest.approx((-high, -low))  # the other way round


def test_newcombes_interval_where_all_are_alike():
    for cells in ((40, 0, 0, 0), (0, 0, 0, 40), (20, 0, 0, 20)):
        low, high = newcombe(*cells)
        assert -0.15 < low < 0 < high < 0.15 and low == pytest.approx(-high)
    with pytest.raises(ZeroDivisionError):
        newcombe(0, 0, 0, 0)


@pytest.mark.parametrize("cells", [(0.80, 0.05, 0.08, 0.07), (0.5, 0.2, 0.2, 0.1), (0.93, 0.04, 0.01, 0.02)])
@pytest.mark.parametrize("pictures", [30, 150])
def test_newcombes_interval_covers(cells, pictures):
    """The true difference lies inside in 95 of 100 draws or more; seeded."""
    draws = np.random.default_rng(0).multinomial(pictures, cells, 1_500)
    truth = cells[2] - cells[1]
    covered = np.mean([low <= truth <= high for low, high in (newcombe(*map(int, draw)) for draw in draws)])
    assert 0.935 <= covered


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1] and holm([]) == []
