"""Distortions against what can be worked out by hand."""

import numpy as np
import pytest

from recipes.lecture.distortions import Distortion, distort, elastic_field

SIZE = 32


def pictures(count=1):
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 1)).astype("uint8")


def dot(row, column):
    picture = np.zeros((1, SIZE, SIZE, 1), "uint8")
    picture[0, row, column] = 200
    return picture


class Fixed:
    """A generator whose draws all lie at the same share of their range."""

    def __init__(self, share):
        self.share = share

    def uniform(self, low, high, count):
        return np.full(count, low + self.share * (high - low))


def center_of_mass(picture):
    total = picture.sum()
    rows, columns = np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij")
    return (rows * picture[0, :, :, 0]).sum() / total, (columns * picture[0, :, :, 0]).sum() / total


def test_nothing_asked_nothing_done():
    np.testing.assert_allclose(distort(pictures(3), Distortion(), np.random.default_rng(0)), pictures(3), atol=1e-3)


def test_a_shift_moves_by_so_many_pixels():
    """All draws at the upper end: every pixel is read 3 below and 3 to the right of it."""
    moved = distort(pictures(), Distortion(shift=3), Fixed(1.0))
    np.testing.assert_allclose(moved[0, :-3, :-3], pictures()[0, 3:, 3:], atol=1e-2)
    half = distort(dot(10, 10), Distortion(shift=0.5), Fixed(1.0))
    np.testing.assert_allclose(half[0, 9:11, 9:11, 0], 50, atol=1e-3)  # a quarter each, bilinearly


def test_a_rotation_turns_about_the_centre():
    turned = distort(dot(5, 12), Distortion(rotation=90), Fixed(1.0))
    # What is read at (row, column) comes from (-column, row) of the centre: (5, 12) is seen at (12, 26).
    assert center_of_mass(turned) == pytest.approx((12, 26), abs=1e-3)


def test_scale_and_shear():
    apart = distort(dot(10, 20), Distortion(scale=np.log(2)), Fixed(0.0))  # read from half as far: twice as large
    assert center_of_mass(apart) == pytest.approx((15.5 - 2 * 5.5, 15.5 + 2 * 4.5), abs=1e-3)
    assert apart.sum() == pytest.approx(4 * 200, rel=1e-3)
    sheared = distort(dot(8, 16), Distortion(shear=0.5), Fixed(1.0))
    # Row 8 lies 7.5 above the centre, so it is read 3.75 to the left: the dot is seen 3.75 to the right.
    assert center_of_mass(sheared) == pytest.approx((8, 16 + 3.75), abs=1e-3)


def test_an_elastic_field_is_as_strong_and_as_smooth_as_asked():
    field = elastic_field(400, SIZE, Distortion(elastic=1.5, smoothness=4), np.random.default_rng(0)).reshape(
        400, 2, SIZE, SIZE
    )
    middle = field[:, :, 16, 16]
    assert np.sqrt((middle**2).mean()) == pytest.approx(1.5, rel=0.06)
    # White noise smoothed by a Gaussian of deviation s is correlated as exp(-distance² / 4 s²).
    for distance in (4, 8):
        correlation = (middle * field[:, :, 16, 16 + distance]).mean() / (middle**2).mean()
        assert correlation == pytest.approx(np.exp(-(distance**2) / (4 * 4**2)), abs=0.1)


def test_every_picture_has_its_own_draw_and_a_seed_repeats_it():
    strong = Distortion(rotation=15, scale=0.1, shear=0.1, shift=2, elastic=1)
    twice = np.repeat(pictures(), 2, axis=0)
    first = distort(twice, strong, np.random.default_rng(1))
    assert first.dtype == np.float32 and not np.allclose(first[0], first[1])
    np.testing.assert_array_equal(first, distort(twice, strong, np.random.default_rng(1)))
    assert first.min() >= 0 and first.max() <= 255
