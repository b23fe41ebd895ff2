"""Augmentation against what the papers say, by hand; and a run's report that shows it."""

import base64
import csv
import importlib.util
import io
import json
import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from helpers import ROOT, digits_folder, pixels, python
from page import Page
from PIL import Image

from recipes import cli, finetune
from recipes.data import augment
from recipes.data.batches import Batches
from recipes.data.images import Framing, read
from recipes.data.views import TEN_CROP
from recipes.runs import model_file
from recipes.settings.finetune import Recipe
from recipes.transfer import training
from recipes.transfer.run import ten_crop
from recipes.transfer.state import Fitted, Prepared
from recipes.transfer.strategies import Phase

SETTINGS = ("none", "crops", "alexnet", "modern")


def dataset(images=8, size=16, resize=20, channels=3):
    return SimpleNamespace(pixels=pixels(images, resize, resize, channels), framing=Framing(size, resize, channels))


def numbered(side: int, pictures: int = 1) -> np.ndarray:
    """Pictures whose every pixel says where it is."""
    return np.broadcast_to(np.arange(side * side, dtype="int32").reshape(1, side, side, 1), (pictures, side, side, 1))


def own_value(pictures: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures that are filled with their own number, and one-hot labels that are it."""
    filled = np.broadcast_to(np.arange(pictures, dtype="uint8")[:, None, None, None], (pictures, side, side, 1))
    return filled, np.eye(pictures, dtype="float32")


def many(step, batch: np.ndarray, batches: int) -> np.ndarray:
    return np.concatenate([step(batch, np.random.default_rng(i)) for i in range(batches)])


class TestCrops:
    def test_every_place_is_a_window_and_as_likely_as_any_other(self):
        crops = augment.random_crop(numbered(12, 5_000), np.random.default_rng(0), size=8)
        corners = crops[:, 0, 0, 0]
        windows = {y * 12 + x: numbered(12)[0, y : y + 8, x : x + 8] for y in range(5) for x in range(5)}
        for corner, crop in zip(corners, crops, strict=True):
            np.testing.assert_array_equal(crop, windows[corner])
        counts = np.array([(corners == corner).sum() for corner in windows])
        assert ((counts - 200) ** 2 / 200).sum() < 51.2  # chi-squared, 24 degrees of freedom: 99.9 %

    def test_half_of_the_pictures_are_mirrored_and_the_others_are_as_they_were(self):
        before = pixels(4_000, 2, 3, 1)
        after = augment.random_mirror(before, np.random.default_rng(0))
        same = (after == before).all(axis=(1, 2, 3))
        mirrored = (after == before[:, :, ::-1]).all(axis=(1, 2, 3))
        assert (same | mirrored).all()
        assert abs((mirrored & ~same).sum() / (~(same & mirrored)).sum() - 0.5) < 4 * 0.5 / math.sqrt(4_000)

    def test_random_resized_crops_have_the_papers_areas_and_aspects(self):
        generator = np.random.default_rng(0)
        left, upper, right, lower = np.array([augment.rectangle(224, generator) for _ in range(4_000)]).T
        width, height = right - left, lower - upper
        assert (left >= 0).all() and (upper >= 0).all() and (right <= 224).all() and (lower <= 224).all()
        area, aspect = width * height / 224**2, width / height
        assert 0.079 < area.min() < 0.09 and 0.95 < area.max() <= 1
        assert 0.74 < aspect.min() < 0.76 and 1.31 < aspect.max() < 1.35
        small = area < 0.5  # all aspects of these fit: their areas are uniform, their aspects in the logarithm
        assert np.quantile(area[small], 0.5) == pytest.approx(0.29, abs=0.02)
        assert np.log(aspect[small]).mean() == pytest.approx(0, abs=0.02)
        assert np.median(left[small] / (224 - width[small])) == pytest.approx(0.5, abs=0.04)

    def test_a_random_resized_crop_is_that_rectangle_stretched(self):
        ramp = np.broadcast_to(np.arange(200, dtype="uint8")[None, None, :, None], (50, 200, 200, 3))
        crops = augment.random_resized_crop(ramp, np.random.default_rng(3), size=32)
        generator = np.random.default_rng(3)
        for crop in crops:
            left, _, right, _ = augment.rectangle(200, generator)
            centers = left + (np.arange(32) + 0.5) * (right - left) / 32 - 0.5
            np.testing.assert_allclose(crop[7, 2:-2, 1], centers[2:-2], atol=1)


class TestColourShift:
    COLORS = np.array([[60, 0, 0], [30, 25, 0], [10, 5, 12]])

    def training_pictures(self) -> np.ndarray:
        drawn = np.random.default_rng(0).normal(0, 1, (6, 40, 40, 3)) @ self.COLORS.T + 128
        return drawn.clip(0, 255).astype("uint8")

    def test_it_varies_as_the_training_pictures_colours_a_tenth_as_far(self):
        pictures = self.training_pictures()
        covariance = np.cov(pictures[[1, 4, 5]].reshape(-1, 3).T.astype(float), bias=True)
        shift = augment.color_shift(pictures, np.array([1, 4, 5]))
        shifts = shift(np.zeros((40_000, 2, 2, 3), "uint8"), np.random.default_rng(0))
        assert (shifts == shifts[:, :1, :1]).all()  # one colour a picture
        drawn = shifts[:, 0, 0]
        values, components = np.linalg.eigh(covariance)
        along = np.cov((drawn @ components).T)
        np.testing.assert_allclose(np.diag(along), 0.1**2 * values, rtol=0.05)
        np.testing.assert_allclose(np.cov(drawn.T), 0.1**2 * covariance, atol=0.05 * 0.01 * values.max())
        assert (np.abs(drawn.mean(axis=0)) < 4 * drawn.std(axis=0) / 200).all()

    def test_it_is_added_to_the_pixels_and_nothing_is_cut_off(self):
        shift = augment.color_shift(self.training_pictures(), np.arange(6))
        batch = pixels(5, 4, 4, 3)
        change = shift(batch, np.random.default_rng(1)) - batch
        np.testing.assert_allclose(change, np.broadcast_to(change[:, :1, :1], change.shape), atol=1e-4)

    def test_a_large_picture_is_looked_at_on_a_grid(self):
        pictures = np.random.default_rng(0).integers(0, 256, (3, 256, 256, 3), np.uint8)
        deviations, _ = augment.principal_colors(pictures, np.arange(3))
        values = np.linalg.eigvalsh(np.cov(pictures.reshape(-1, 3).T.astype(float)))
        np.testing.assert_allclose(deviations, np.sqrt(values), rtol=0.02)

    def test_grey_pictures_that_are_stored_in_colour_stay_grey(self):
        gray = np.repeat(pixels(4, 8, 8, 1), 3, axis=-1)
        shifted = augment.color_shift(gray, np.arange(4))(gray, np.random.default_rng(0))
        np.testing.assert_allclose(shifted[..., 0], shifted[..., 2], atol=1e-3)


class TestTrivialAugment:
    def test_each_operation_is_as_likely_as_any_other_and_strengths_are_the_papers(self, monkeypatch):
        seen = []
        operations = [lambda image, strength, i=i: seen.append((i, strength)) or image for i in range(len(augment.OPERATIONS))]
        monkeypatch.setattr(augment, "OPERATIONS", operations)
        augment.trivial_augment(pixels(14_000, 1, 1, 3), np.random.default_rng(0))
        kinds, strengths = np.array(seen).T
        counts = np.bincount(kinds.astype(int))
        assert len(counts) == 14 and ((counts - 1_000) ** 2 / 1_000).sum() < 34.5  # 13 degrees of freedom: 99.9 %
        levels = np.abs(strengths) * 30
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-9)
        assert set(np.rint(levels)) == set(range(31)) and abs((strengths > 0).mean() - 0.5) < 0.03

    def change(self, operation: int, strength: float, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
        before = pixels(28, 28, channels).squeeze()
        return before.astype(int), np.asarray(augment.OPERATIONS[operation](Image.fromarray(before), strength)).astype(int)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_by_hand(self, channels):
        change = partial(self.change, channels=channels)
        before, after = change(0, 1.0)
        np.testing.assert_array_equal(after, before)
        before, after = change(3, 0.5)  # 28 / 7 / 2 = 2 pixels to the left
        np.testing.assert_array_equal(after[:, :-2], before[:, 2:])
        assert (after[:, -2:] == 0).all()
        before, after = change(4, -1.0)  # 4 pixels down
        np.testing.assert_array_equal(after[4:], before[:-4])
        before, after = change(6, -1.0)
        np.testing.assert_allclose(after, before * 0.01, atol=1)
        before, after = change(10, 1.0)
        np.testing.assert_array_equal(after, before & 0b11000000)
        before, after = change(11, -0.5)
        np.testing.assert_array_equal(after, np.where(before >= 128, 255 - before, before))

    @pytest.mark.parametrize("operation", range(12))
    @pytest.mark.parametrize("channels", [1, 3])
    def test_without_strength_nothing_changes(self, operation, channels):
        before, after = self.change(operation, 0.0, channels)
        np.testing.assert_array_equal(after, before)


def test_erasing_takes_a_rectangle_from_one_picture_in_ten_and_leaves_the_rest():
    before = pixels(256, 40, 40, 1)
    after = many(augment.random_erasing, before, 10).reshape(10, 256, 40, 40, 1)
    erased = after == 127.5
    np.testing.assert_array_equal(np.where(erased, 0, after), np.where(erased, 0, before))
    masks = erased.all(axis=-1).reshape(-1, 40, 40)
    assert (erased.any(axis=-1).reshape(masks.shape) == masks).all()
    hit = masks.any(axis=(1, 2))
    assert abs(hit.mean() - 0.1) < 4 * 0.3 / math.sqrt(len(hit))
    rows, columns = masks[hit].any(axis=2), masks[hit].any(axis=1)
    np.testing.assert_array_equal(masks[hit], rows[:, :, None] & columns[:, None])
    areas = rows.sum(axis=1) * columns.sum(axis=1) / 1_600
    assert areas.min() > 0.01 and areas.max() < 0.36  # 0.02 to 0.33, and whole pixels


class TestMixing:
    def test_mixups_labels_are_the_weights_of_the_pixels(self):
        pictures, labels = own_value(50, 4)
        mixed, shares = augment.mixup(pictures, labels, np.random.default_rng(0))
        expected = (shares @ np.arange(50))[:, None, None, None]
        np.testing.assert_allclose(mixed, np.broadcast_to(expected, mixed.shape), atol=1e-4)
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
        assert ((shares > 0).sum(axis=1) <= 2).all()

    def test_mixups_weights_are_beta(self):
        pictures, labels = own_value(200, 1)
        weights = np.concatenate(
            [augment.mixup(pictures, labels, np.random.default_rng(i))[1].diagonal() for i in range(20)]
        )  # each picture's own; that of a picture mixed with itself is 1
        assert weights.mean() == pytest.approx(0.5, abs=0.03)
        assert weights.var() == pytest.approx(0.25 / (2 * 0.2 + 1), abs=0.01)  # of a beta distribution: 1 / (4 (2 a + 1))

    @pytest.mark.parametrize("side", [8, 28, 33])
    def test_cutmixs_labels_are_the_areas(self, side):
        pictures, labels = own_value(60, side)
        mixed, shares = augment.cutmix(pictures, labels, np.random.default_rng(side))
        areas = np.stack([(mixed == i).mean(axis=(1, 2, 3)) for i in range(60)], axis=1)
        np.testing.assert_allclose(shares, areas, atol=1e-6)
        assert 0.1 < shares[np.eye(60, dtype=bool)].mean() < 0.95

    def test_what_cutmix_takes_is_a_rectangle_at_its_own_place(self):
        before, labels = pixels(30, 20, 20, 3), np.eye(30, dtype="float32")
        mixed, shares = augment.cutmix(before, labels, np.random.default_rng(0))
        for i, picture in enumerate(mixed):
            other = shares[i].copy()
            other[i] = 0
            source = before[other.argmax()] if other.any() else before[i]
            foreign = (picture != before[i]).any(axis=-1)
            rectangle = foreign.any(axis=1)[:, None] & foreign.any(axis=0)
            np.testing.assert_array_equal(picture, np.where(rectangle[..., None], source, before[i]))

    def test_each_is_taken_as_often_as_the_other(self, monkeypatch):
        for name in ("mixup", "cutmix"):
            monkeypatch.setattr(augment, name, lambda x, y, generator, name=name: (name, y))
        taken = [augment.mix_and_smooth(None, np.eye(2), np.random.default_rng(i))[0] for i in range(400)]
        assert abs(taken.count("mixup") - 200) < 4 * 10

    def test_smoothing_is_that_of_keras_loss(self):
        labels = np.random.default_rng(0).dirichlet(np.ones(5), 8).astype("float32")
        guesses = np.random.default_rng(1).dirichlet(np.ones(5), 8).astype("float32")
        expected = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)(labels, guesses)
        assert float(keras.losses.CategoricalCrossentropy()(augment.smooth(labels), guesses)) == pytest.approx(float(expected))


def batches_of(name: str, seed: int = 0, threads: int = 0, channels: int = 3) -> Batches:
    data = dataset(24, channels=channels)
    read, mix = augment.pipeline(name, data, np.arange(24), mirror=True)
    labels = np.arange(24) % 3
    return Batches(read, np.eye(3, dtype="float32")[labels] if mix else labels, 8, seed, mix, threads)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_same_seed_gives_the_same_bytes_whatever_the_threads(name):
    def drawn(batches, order):
        with ThreadPoolExecutor(3) as pool:
            results = dict(zip(order, pool.map(batches.__getitem__, order), strict=True))
        return [(x.tobytes(), y.tobytes()) for x, y in (results[i] for i in range(3))]

    one = [(x.tobytes(), y.tobytes()) for x, y in (batches_of(name)[i] for i in range(3))]
    assert drawn(batches_of(name), [2, 0, 1]) == one
    assert drawn(batches_of(name, seed=1), [0, 1, 2]) != one


def test_mixing_is_the_same_on_many_threads_at_once():
    """Random numbers that threads share would be drawn in the order of threads."""
    pictures, labels = pixels(8, 16, 16, 3), np.eye(8, dtype="float32")

    def mixed(seed):
        return b"".join(part.tobytes() for part in augment.mix_and_smooth(pictures, labels, np.random.default_rng(seed)))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(mixed, range(200))) == [mixed(seed) for seed in range(200)]


@pytest.mark.parametrize("name", ["alexnet", "modern"])
@pytest.mark.slow
def test_training_ends_with_the_same_weights_whatever_the_threads(name, tmp_path):
    def weights(threads):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((16, 16, 3)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Flatten(),
                keras.layers.Dense(3, "softmax", name="predictions"),
            ]
        )
        phase = Phase("train", 3, 1e-2, None, augment=True, batch_norm="train")
        training.train(model, phase, batches_of(name, threads=threads), None, tmp_path / str(threads))
        return model.layers[-1].get_weights()[0]

    np.testing.assert_array_equal(weights(0), weights(3))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", SETTINGS)
def test_shapes_and_labels(name, channels):
    """Labels that are not mixed are the pictures' own; those that are have a sum of one."""
    batches = batches_of(name, channels=channels)
    x, y = batches[0]
    assert x.shape == (8, 16, 16, channels) and x.dtype == (np.float32 if name in ("alexnet", "modern") else np.uint8)
    samples = np.random.default_rng((0, 0)).permutation(24)[:8]
    if name == "modern":
        np.testing.assert_allclose(y.sum(axis=1), 1, atol=1e-6)
        assert y.min() >= 0.1 / 3 - 1e-6
    else:
        np.testing.assert_array_equal(y, samples % 3)


@pytest.mark.parametrize("name", SETTINGS)
def test_without_mirror_nothing_mirrors(name, monkeypatch):
    def forbidden(pixels, generator):
        raise AssertionError("a picture would have been mirrored")

    monkeypatch.setattr(augment, "random_mirror", forbidden)
    read, _ = augment.pipeline(name, dataset(), np.arange(8), mirror=False)
    read(np.arange(8), np.random.default_rng(0))
    if name != "none":
        read, _ = augment.pipeline(name, dataset(), np.arange(8), mirror=True)
        with pytest.raises(AssertionError):
            read(np.arange(8), np.random.default_rng(0))


@pytest.mark.slow
def test_loss_and_accuracy_of_mixed_labels_by_hand(tmp_path):
    """The accuracy counts the class with the largest share."""
    x = np.random.default_rng(0).normal(size=(40, 5)).astype("float32")
    labels = np.random.default_rng(1).dirichlet(np.ones(4), 40).astype("float32")
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "softmax")])
    guesses = model.predict(x, verbose=0)
    batches = Batches(lambda samples, _: x[samples], labels, 40, 0)
    row = training.train(model, Phase("train", 2, 1e-3, None, augment=True), batches, None, tmp_path)[0]
    assert row["loss"] == pytest.approx(-(labels * np.log(guesses)).sum(axis=1).mean(), rel=1e-4)
    assert row["accuracy"] == pytest.approx((labels.argmax(axis=1) == guesses.argmax(axis=1)).mean())


@pytest.mark.slow
@pytest.mark.parametrize("mirror, views", [("yes", 10), ("no", 5)])
def test_ten_crop_is_the_mean_over_the_crops_cut_by_hand(mirror, views):
    model = keras.Sequential(
        [keras.Input((6, 6, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(4, "softmax")]
    )
    data = dataset(7, size=6, resize=9)
    data.paths, data.classes = list("abcdefg"), list("wxyz")
    data.splits = np.array(["train", "test", "train", "validation", "test", "train", "test"])
    prepared = Prepared(Recipe(Path("x"), mirror=mirror, batch_size=4), data, model)
    means = ten_crop(prepared, Fitted(None, None))
    for i, split in enumerate(data.splits):
        picture = data.pixels[i]
        crops = [picture[:6, :6], picture[:6, 3:], picture[3:, :6], picture[3:, 3:], picture[1:7, 1:7]]
        crops += [crop[:, ::-1] for crop in crops]
        if split == "train":
            assert np.isnan(means[i]).all()
        else:
            np.testing.assert_allclose(means[i], model.predict(np.stack(crops[:views]), verbose=0).mean(axis=0), atol=1e-6)
    assert len(set(TEN_CROP)) == 10


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    return digits_folder(tmp_path_factory.mktemp("digits"), 8)


def ten_crop_loss(output: Path, data: Path, result: dict) -> float:
    """The loss of the means of what the saved model, with its temperature, says of ten crops of each test picture."""
    classifier, losses = model_file.read(output), []
    assert classifier.confidence.temperature != 1
    size, edge = classifier.framing.size, classifier.framing.resize - classifier.framing.size
    with open(output / "files.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    for row in rows:
        picture = read(data / row["path"], classifier.framing)[0]
        crops = [picture[y:, x:][:size, :size] for y in (0, edge) for x in (0, edge)]
        crops.append(picture[edge // 2 :, edge // 2 :][:size, :size])
        crops += [crop[:, ::-1] for crop in crops] if result["head"]["mirrored"] else []
        losses.append(-np.log(classifier.probabilities(np.stack(crops)).mean(axis=0)[classifier.classes.index(row["label"])]))
    return float(np.mean(losses))


@pytest.mark.slow
class TestRun:
    @pytest.mark.parametrize("name, strategy", [("alexnet", "medium"), ("modern", "large")])
    def test_ends_and_shows_its_pictures(self, name, strategy, digits, tmp_path, capsys):
        output = tmp_path / "run"
        assert (
            cli.main(
                [
                    "finetune",
                    str(digits),
                    "--model",
                    "lenet5",
                    "--strategy",
                    strategy,
                    "--epochs",
                    "1",
                    "--augment",
                    name,
                    "--output",
                    str(output),
                ]
            )
            == 0
        )
        result, page = json.loads((output / "result.json").read_text()), Page((output / "report.html").read_text())
        assert [phase["augment"] for phase in result["strategy"]["phases"]] == [True]
        assert f"--augment {name}" in result["command"]
        assert page.texts["augmentation"].count("%") == (0 if name == "alexnet" else 2 * 4 * 6)
        shown = [uri for uri in page.images("src") if uri.startswith("data:image/jpeg")][: 4 * 7]
        grid = [np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))) for uri in shown]
        assert len(grid) == 28 and all(picture.shape == 2 * (result["input"]["size"],) for picture in grid)
        assert all(len({picture.tobytes() for picture in grid[row : row + 7]}) > 4 for row in range(0, 28, 7))
        crops = result["metrics_ten_crop"]
        assert (name == "alexnet") == bool(crops) == ("\ntest, mean over crops  " in capsys.readouterr().out)
        if crops:
            assert set(crops) == {"validation", "test"}
            head, images, *_ = page.table("splits")
            assert head[-2:] == ["validation, mean over crops", "test, mean over crops"]
            assert images[0] == "images" and images[-1] == str(crops["test"]["images"])
            assert crops["test"]["loss"] == pytest.approx(ten_crop_loss(output, digits, result), rel=1e-3)

    def test_none_shows_each_picture_in_one_way_only(self, digits, tmp_path):
        output = tmp_path / "run"
        finetune.run(Recipe(digits, output, "lenet5", strategy="medium", epochs=1, augment="none"))
        assert "augmentation" not in Page((output / "report.html").read_text()).texts
        assert json.loads((output / "result.json").read_text())["head"]["mirrored"] is False

    def test_auto_chooses_a_strategy_that_trains_on_pictures(self, digits, tmp_path):
        finetune.run(Recipe(digits, tmp_path / "run", "lenet5", epochs=1, augment="modern"))
        strategy = json.loads((tmp_path / "run" / "result.json").read_text())["strategy"]
        assert strategy["name"] in ("medium", "large") and {phase["augment"] for phase in strategy["phases"]} == {True}

    def test_a_strategy_that_trains_on_no_pictures_is_one_sentence(self, digits, tmp_path, capsys):
        code = cli.main(
            [
                "finetune",
                str(digits),
                "--model",
                "lenet5",
                "--strategy",
                "small",
                "--augment",
                "modern",
                "--output",
                str(tmp_path / "run"),
            ]
        )
        assert code == 2 and not (tmp_path / "run").exists()
        assert "--augment modern has nothing to act on: strategy small trains the head alone" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_augment_too(backend, tmp_path):
    """Their random numbers are their own in Keras' layers; the same seed gives the same there, too."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    script = """
import pathlib, sys
import keras
import test_augment as t
t.test_the_same_seed_gives_the_same_bytes_whatever_the_threads("modern")
t.test_training_ends_with_the_same_weights_whatever_the_threads("modern", pathlib.Path(sys.argv[1]))
t.test_mixing_is_the_same_on_many_threads_at_once()
print(keras.backend.backend())
"""
    printed = python(
        script, tmp_path, cwd=ROOT, KERAS_BACKEND=backend, PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}:{Path(__file__).parent}"
    )
    assert printed.split()[-1] == backend
