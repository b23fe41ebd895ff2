"""Drift: the statistic by its definition, false alarms as rare as promised, and differences that are found."""

import numpy as np
import pytest
from scipy.stats import binom

from recipes.evaluation.drift import ALARM, MAX_PICTURES, MIN_PICTURES, compare
from recipes.evaluation.foreign import unit


def features(generator, count, shift=0.0):
    return generator.normal(size=(count, 6)) + np.array([2 + shift, 0, 0, 0, 0, 0])


def test_p_is_that_of_the_definition():
    generator = np.random.default_rng(3)
    new, old = features(generator, 25), features(generator, 30, 0.8)
    units = unit(np.concatenate([new, old])).astype(float)
    distances = np.array([[((a - b) ** 2).sum() for b in units] for a in units])
    kernel = np.exp(-distances / np.median([distances[i, j] for i in range(55) for j in range(i)]))

    def mmd(first):
        second = [i for i in range(55) if i not in set(first)]
        inside = kernel[np.ix_(first, first)].mean() + kernel[np.ix_(second, second)].mean()
        return inside - 2 * kernel[np.ix_(first, second)].mean()

    drawn = [mmd(generator.permutation(55)[:25].tolist()) for _ in range(2_000)]
    expected = np.mean([value >= mmd(list(range(25))) for value in drawn])
    assert abs(compare(new, old).p - expected) < 0.03


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_promised():
    generator = np.random.default_rng(0)
    found = [compare(features(generator, 25), features(generator, 40)) for _ in range(200)]
    assert sum(one.is_alarming for one in found) <= binom(200, ALARM).ppf(0.999)
    assert sum(one.p < 0.5 for one in found) in range(*map(int, binom(200, 0.5).interval(0.999)))


def test_differences_are_found_and_said():
    generator = np.random.default_rng(0)
    found = compare(features(generator, 800, 1.0), features(generator, 60))
    assert found.is_alarming and (found.pictures, found.known) == (MAX_PICTURES, 60)
    assert "differ, as a whole" in found.sentence and "p = 0.001" in found.sentence


def test_too_few_say_nothing():
    generator = np.random.default_rng(0)
    assert compare(features(generator, MIN_PICTURES - 1), features(generator, 100)) is None
    assert compare(features(generator, 100), features(generator, MIN_PICTURES - 1)) is None
