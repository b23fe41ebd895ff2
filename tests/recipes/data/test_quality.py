"""What is odd about single pictures, made so by hand."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from recipes.data.appearance import appearance_of
from recipes.data.quality import remarks


def textured(seed=0, size=(120, 90), brightness=128):
    noise = np.random.default_rng(seed).normal(0, 60, size[::-1])
    image = Image.fromarray(np.clip(noise + 128, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))
    return image.point(lambda value: int(value * brightness / 128))


def numbers(*pictures):
    return np.array([appearance_of(picture).numbers for picture in pictures])


ODD = {
    "blank": lambda: Image.new("L", (120, 90), 200),
    "dark": lambda: textured(brightness=18),
    "bright": lambda: textured().point(lambda value: 235 + value // 12),
    "blurred": lambda: textured().filter(ImageFilter.GaussianBlur(3)),
    "odd-shaped": lambda: textured(size=(240, 60)),
    "small": lambda: textured(size=(20, 20)),
    "large": lambda: textured(size=(600, 500)),
}


@pytest.mark.parametrize("kind", ODD)
def test_one_odd_picture_is_named_with_its_reason_and_remedy(kind):
    pictures = [textured(seed) for seed in range(9)] + [ODD[kind]()]
    (remark,) = remarks(numbers(*pictures))
    assert (remark.picture, remark.kind) == (9, kind)
    assert remark.reason and remark.remedy


@pytest.mark.parametrize("kind", ["dark", "bright", "blurred", "odd-shaped", "small", "large"])
def test_a_folder_of_such_pictures_is_as_it_should_be(kind):
    assert remarks(numbers(*(ODD[kind]() for _ in range(9)))) == []


def test_no_pictures():
    assert remarks(np.empty((0, 5))) == []


def test_sharpness_knows_no_contrast_and_no_background():
    sharp = textured()
    weak = sharp.point(lambda value: 100 + value // 6)
    assert appearance_of(weak).sharpness == pytest.approx(appearance_of(sharp).sharpness, abs=0.1)
    half = sharp.filter(ImageFilter.GaussianBlur(4))
    half.paste(sharp.crop((0, 0, 120, 45)), (0, 0))
    assert appearance_of(half).sharpness > 0.8 * appearance_of(sharp).sharpness
    assert appearance_of(sharp.filter(ImageFilter.GaussianBlur(2))).sharpness < 0.3


@pytest.mark.slow
def test_photographs_and_the_same_blurred(shared):
    paths = sorted((shared / "data" / "hymenoptera").rglob("*.jpg"))[::8]
    photos = [Image.open(path).convert("RGB") for path in paths]
    blurred = [photo.filter(ImageFilter.GaussianBlur(2)) for photo in photos[:12]]
    found = {remark.picture for remark in remarks(numbers(*photos, *blurred)) if remark.kind == "blurred"}
    assert not found & set(range(len(photos))) and len(found) >= 11
