"""Near-duplicates of hand-made pictures in six ways; pictures that look alike in a border alone; many copies."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from recipes.data.appearance import SIDE, Appearance, appearance_of
from recipes.data.duplicates import MAX_PARTNERS, Pair, grouped, near_duplicates


def scene(seed, size=(160, 120)):
    """A picture of blurred noise of two sizes: shapes, and something like a texture."""
    rng = np.random.default_rng(seed)
    parts = []
    for radius, gain in ((24, 8), (5, 2)):
        noise = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
        parts.append((np.asarray(noise.filter(ImageFilter.GaussianBlur(radius)), float) - 127.5) * gain)
    return Image.fromarray(np.clip(sum(parts) + 127.5, 0, 255).astype(np.uint8))


def jpeg(image, quality=90):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def cut(image, left, upper, right, lower):
    """What lies between shares of the sides."""
    width, height = image.size
    return image.crop((round(left * width), round(upper * height), round(right * width), round(lower * height)))


def scaled(image, width, height):
    return image.resize((round(width * image.width), round(height * image.height)))


WAYS = {
    "resized": lambda image: jpeg(scaled(image, 0.5, 0.5)),
    "squeezed": lambda image: jpeg(scaled(image, 0.75, 1)),
    "quality 30": lambda image: jpeg(image, 30),
    "cropped": lambda image: jpeg(cut(image, 0, 0, 0.95, 0.95)),
    "cropped at each side": lambda image: jpeg(cut(image, 0.05, 0.05, 0.95, 0.95)),
    "mirrored": lambda image: jpeg(ImageOps.mirror(image)),
    "mirrored and cropped": lambda image: jpeg(ImageOps.mirror(cut(image, 0.05, 0.05, 1, 1))),
    "darker": lambda image: jpeg(ImageEnhance.Brightness(image).enhance(0.6)),
    "with less contrast": lambda image: jpeg(ImageEnhance.Contrast(image).enhance(0.5)),
    "with a border": lambda image: jpeg(ImageOps.expand(image, min(image.size) // 12, (255, 255, 255))),
    "between bars": lambda image: jpeg(ImageOps.expand(image, (0, image.height // 4), (0, 0, 0))),
    "grey": lambda image: image.convert("L"),
}


def thumbnails(*images):
    return np.stack([appearance_of(image).thumbnails for image in images])


@pytest.fixture(scope="module")
def others():
    return [scene(seed) for seed in range(1, 25)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", ["the original", "the copy"])
def test_a_copy_is_found_and_nothing_else(way, first, others):
    pictures = [scene(0), WAYS[way](scene(0))]
    if first == "the copy":
        pictures.reverse()
    (pair,) = near_duplicates(thumbnails(*pictures, *others)).pairs
    assert (pair.first, pair.second, pair.mirrored) == (0, 1, "mirrored" in way)
    assert pair.likeness <= 1 + 1e-6


def test_the_same_picture_has_likeness_one():
    (pair,) = near_duplicates(thumbnails(scene(0), scene(0))).pairs
    assert pair.likeness == pytest.approx(1, abs=1e-5) and not pair.mirrored


def test_pictures_alike_in_their_border_alone_are_no_pair(others):
    framed = [ImageOps.expand(image, 12, (255, 255, 255)) for image in others]
    assert near_duplicates(thumbnails(*framed)).pairs == []
    copy = jpeg(framed[3], 30)
    assert [(pair.first, pair.second) for pair in near_duplicates(thumbnails(*framed, copy)).pairs] == [(3, len(framed))]


def test_blank_pictures_are_nobody_s_copies():
    blank = [Image.new("RGB", (50, 40), color) for color in ("black", "white", "red", "black")]
    assert near_duplicates(thumbnails(*blank, scene(0))).pairs == []


def test_a_border_is_cut_off_and_plain_sky_above_is_not():
    image, sky = scene(0), Image.new("RGB", (160, 120), (120, 160, 220))
    sky.paste(image.crop((0, 40, 160, 120)), (0, 40))
    whole, inside = appearance_of(ImageOps.expand(image, 12, (10, 20, 30))).thumbnails
    direct = appearance_of(image).thumbnails[0].astype(int)
    assert abs(inside - direct).max() <= 1 and abs(whole - direct).max() > 50
    whole, inside = appearance_of(sky).thumbnails
    assert (whole == inside).all()


def test_pairs_over_blocks_are_those_of_one_block(others, monkeypatch):
    pictures = thumbnails(*others, *(jpeg(ImageOps.mirror(image), 50) for image in others))

    def places():
        return {(pair.first, pair.second) for pair in near_duplicates(pictures).pairs}

    assert places() == {(i, i + len(others)) for i in range(len(others))}
    monkeypatch.setattr("recipes.data.duplicates.ROWS", 7)
    monkeypatch.setattr("recipes.data.duplicates.COLUMNS", 5)
    monkeypatch.setattr("recipes.data.chance.ROWS", 11)
    assert places() == {(i, i + len(others)) for i in range(len(others))}


def test_many_copies_are_one_group_and_not_the_square_of_their_number_in_pairs():
    copies = np.repeat(thumbnails(scene(0)), 400, axis=0)
    pairs = near_duplicates(copies).pairs
    assert len(pairs) <= 400 * MAX_PARTNERS
    assert not grouped(pairs, 400).any()


def test_groups_follow_pairs():
    pairs = [Pair(4, 5, 1.0, False), Pair(1, 3, 1.0, False), Pair(3, 4, 1.0, True)]
    assert grouped(pairs, 7).tolist() == [0, 1, 2, 1, 1, 1, 6]


def test_nothing_is_found_among_no_pictures():
    assert near_duplicates(np.zeros((0, 2, SIDE, SIDE), np.uint8)).pairs == []


def test_an_appearance_comes_back_from_its_rows():
    found = appearance_of(scene(0))
    back = Appearance.stored(found.numbers, found.thumbnails)
    assert (back.numbers == found.numbers).all() and (back.width, back.height) == (160, 120)
    grey = np.asarray(scene(0).convert("L"), float)
    assert found.brightness == pytest.approx(grey.mean()) and found.contrast == pytest.approx(grey.std())


@pytest.mark.slow
def test_real_photographs(shared):
    """Of 30 photographs in twelve ways, all but few copies are found, and no other pair among 300."""
    paths = sorted((shared / "data" / "imagenet-samples").iterdir())[::3][:300]
    photos = [Image.open(path).convert("RGB") for path in paths]
    copies = [(i, way(photos[i])) for i in range(30) for way in WAYS.values()]
    found = near_duplicates(thumbnails(*photos, *(copy for _, copy in copies))).pairs
    owner = [*range(len(photos)), *(i for i, _ in copies)]
    assert all(owner[pair.first] == owner[pair.second] for pair in found)
    with_original = {pair.second for pair in found if pair.first < len(photos)}
    assert len(with_original) >= 0.97 * len(copies)
