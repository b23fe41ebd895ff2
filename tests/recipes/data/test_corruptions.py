"""Corruptions against Pillow, SciPy and the HSV conversion of Python's library."""

import colorsys
import io

import numpy as np
import pytest
from PIL import Image
from scenes import scene
from scipy.ndimage import gaussian_filter

from recipes.data.corruptions import CORRUPTIONS, generator_of
from recipes.settings.evaluate import CORRUPTIONS as NAMES

PIXELS = np.array(scene(3, (224, 224)).convert("RGB"))


def applied(kind, severity, pixels=PIXELS, seed=0, digest="ab" * 32):
    one = next(one for one in CORRUPTIONS[kind] if one.severity == severity)
    before = pixels.copy()
    found = one.apply(pixels, generator_of(seed, digest))
    assert found.dtype == np.uint8 and found.shape == pixels.shape and (pixels == before).all()
    return found


def test_the_names_are_those_of_the_flag():
    assert set(CORRUPTIONS) == set(NAMES)
    assert {len(kinds) for name, kinds in CORRUPTIONS.items() if name != "rotate90"} == {3}


@pytest.mark.parametrize(("severity", "quality"), [(1, 25), (3, 15), (5, 7)])
def test_jpeg_is_pillows(severity, quality):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", quality=quality)
    assert (applied("jpeg", severity) == np.array(Image.open(buffer))).all()


@pytest.mark.parametrize(("severity", "deviation"), [(1, 1), (3, 3), (5, 6)])
def test_blur_is_nearly_a_gaussian_as_wide_in_proportion(severity, deviation):
    expected = gaussian_filter(PIXELS.astype(float), (deviation, deviation, 0), mode="nearest")
    assert np.abs(applied("blur", severity) - expected).mean() < 1.2
    small = np.array(Image.fromarray(PIXELS).resize((56, 56)))
    expected = gaussian_filter(small.astype(float), (deviation / 4, deviation / 4, 0), mode="nearest")
    assert np.abs(applied("blur", severity, small) - expected).mean() < 2


@pytest.mark.parametrize(("severity", "more"), [(1, 0.1), (3, 0.3), (5, 0.5)])
def test_brightness_adds_to_the_value_of_hsv(severity, more):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), "uint8")
    pixels[0, 0] = 0
    found = applied("brightness", severity, pixels)
    for given, made in zip(pixels.reshape(-1, 3), found.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*given / 255)
        assert np.abs(np.array(colorsys.hsv_to_rgb(hue, saturation, min(value + more, 1))) * 255 - made).max() < 1.01


@pytest.mark.parametrize(("severity", "deviation"), [(1, 0.08), (3, 0.18)])
def test_noise_has_its_deviation_and_hangs_on_seed_and_content(severity, deviation):
    gray = np.full((224, 224, 3), 128, "uint8")
    found = applied("noise", severity, gray)
    assert abs((found / 255).std() - deviation) < 0.01 and abs(found.mean() - 127.5) < 1
    assert (found == applied("noise", severity, gray)).all()
    assert (found != applied("noise", severity, gray, seed=1)).any()
    assert (found != applied("noise", severity, gray, digest="cd" * 32)).any()


def test_a_quarter_turn_and_gray_pictures():
    assert (applied("rotate90", 1) == np.array(Image.fromarray(PIXELS).transpose(Image.Transpose.ROTATE_90))).all()
    gray = PIXELS[..., :1]
    for kind, kinds in CORRUPTIONS.items():
        for one in kinds:
            assert (applied(kind, one.severity, gray) != gray).any()
