"""Near-duplicates of hand-made pictures in six ways; pictures that look alike in a border alone; many copies."""

import itertools
import tarfile

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from scenes import jpeg, scene
from sklearn.datasets import load_digits

from recipes.data.appearance import SIDE, appearance_of
from recipes.data.chance import more_than_chance
from recipes.data.digits import digit_picture
from recipes.data.duplicates import MAX_PARTNERS, Pair, grouped, near_duplicates

pytestmark = pytest.mark.slow


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


def x_ray(seed):
    """A picture of the same two lungs and ribs as any other, a little shifted, under noise."""
    rng = np.random.default_rng(seed)
    image, shift = Image.new("L", (128, 128), 20), lambda scale: rng.normal(0, scale)
    draw = ImageDraw.Draw(image)
    draw.ellipse([20 + shift(3), 5 + shift(2), 108 + shift(3), 140 + shift(2)], fill=int(150 + shift(10)))
    for x in (45, 83):
        draw.ellipse([x - 17 + shift(2), 25 + shift(2), x + 17 + shift(2), 95 + shift(4)], fill=int(70 + shift(10)))
    for y in range(30, 100, 10):
        draw.line([30 + shift(1), y + shift(1), 98 + shift(1), y + 4 + shift(1)], fill=int(120 + shift(8)), width=2)
    grey = np.asarray(image.filter(ImageFilter.GaussianBlur(1.5)), float) + rng.normal(0, 4, (128, 128))
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))


def digits(count):
    """So many of scikit-learn's digits, in an order drawn at random."""
    images = load_digits().images
    return [digit_picture(images[i]) for i in np.random.default_rng(0).permutation(len(images))[:count]]


# What is found even in a folder in which all pictures look much the same.
TOLD_APART = {way: WAYS[way] for way in ("quality 30", "mirrored", "with less contrast")}


@pytest.mark.parametrize("kind, count", [("digits", 400), ("digits", 30), ("X-rays", 120), ("X-rays", 24)])
def test_pictures_that_all_look_alike_are_not_taken_for_one(kind, count):
    pictures = digits(count) if kind == "digits" else [x_ray(seed) for seed in range(count)]
    found = near_duplicates(thumbnails(*pictures))
    assert found.pairs == [] and found.usual > 5


@pytest.mark.parametrize("kind", ["digits", "X-rays"])
def test_copies_are_found_among_pictures_that_all_look_alike(kind):
    pictures = digits(250) if kind == "digits" else [x_ray(seed) for seed in range(120)]
    copies = [(i, way(pictures[i].convert("RGB"))) for i in range(20) for way in TOLD_APART.values()]
    pairs = near_duplicates(thumbnails(*pictures, *(copy for _, copy in copies))).pairs
    owner = [*range(len(pictures)), *(i for i, _ in copies)]
    right = [pair for pair in pairs if owner[pair.first] == owner[pair.second]]
    assert len(right) >= 0.99 * len(pairs)
    assert len({pair.second for pair in right if pair.first < len(pictures)}) >= 0.9 * len(copies)


def test_a_pair_must_be_more_alike_than_chance_makes_it():
    pictures = thumbnails(*(x_ray(seed) for seed in range(60)))
    pairs, likeness = np.array([[0, 1], [2, 3]]), np.array([0.95, 0.9999])
    assert more_than_chance(pictures, pairs, likeness).tolist() == [False, True]
    assert more_than_chance(pictures[:8], pairs, likeness).all()  # too few to say what is usual
    assert not len(more_than_chance(pictures, pairs[:0], likeness[:0]))


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


def test_the_numbers_of_an_appearance():
    found = appearance_of(scene(0))
    assert found.numbers[:2].tolist() == [160, 120]
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


@pytest.mark.deep
def test_real_digits(shared):
    """Of 1,000 pictures of MNIST no two are taken for one, and copies of 50 of them are found."""
    with tarfile.open(shared / "data" / "mnist.tar.xz") as tar:
        names = (member for member in tar if member.isfile() and "/test/" in f"/{member.name}")
        digits = [Image.open(tar.extractfile(member)).convert("RGB") for member in itertools.islice(names, 0, 10_000, 10)]
    originals = thumbnails(*digits)
    assert near_duplicates(originals).pairs == []
    copies = [TOLD_APART[way](digits[i]) for i in range(0, 1000, 20) for way in TOLD_APART]
    pairs = near_duplicates(np.concatenate([originals, thumbnails(*copies)])).pairs
    owner = [*range(1000), *(i for i in range(0, 1000, 20) for _ in TOLD_APART)]
    right = [pair for pair in pairs if owner[pair.first] == owner[pair.second]]
    assert len(right) >= 0.99 * len(pairs)
    assert len({pair.second for pair in right if pair.first < 1000}) >= 0.9 * len(copies)
