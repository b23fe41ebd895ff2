"""The comparison of regularisers on handwritten digits, and the lecture's dropout against Keras'."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from comparisons import goes_on_to_the_same_table, journal, table
from helpers import array

from recipes import cli
from recipes.data.digits import write_digits
from recipes.data.images import Framing
from recipes.lecture import compare_regularizers, comparison
from recipes.lecture.compare_regularizers import METHODS, shifted
from recipes.settings.lecture import CompareRegularizers

FEW = {"L2": (1e-4, 10.0), "dropout": (0.2, 0.9), "early stopping": (1,), "augmentation": (1,)}


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """train/ with 25 pictures of each digit, and test/ with the others."""
    return write_digits(tmp_path_factory.mktemp("digits"), images=25, seed=0)


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory):
    """Settings of a comparison that is done, with fewer strengths."""
    settings = CompareRegularizers(
        digits, tmp_path_factory.mktemp("runs") / "digits", sizes=(60,), held_out=50, epochs=2, seeds=2
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare_regularizers, "STRENGTHS", FEW)
        compare_regularizers.run(settings)
        yield settings


@pytest.mark.slow
@pytest.mark.deep
def test_every_regularizer_has_a_row_and_the_gap_is_drawn(finished):
    rows = table(finished.output)
    assert [(row["images"], row["regularizer"]) for row in rows] == [("60", method) for method in METHODS]
    results = [r["result"] for r in journal(finished.output) if r["piece"].startswith("none: -; 60 images")]
    row = next(row for row in rows if (row["images"], row["regularizer"]) == ("60", "none"))
    assert float(row["accuracy"]) == pytest.approx(sum(r["accuracy"] for r in results) / 2)
    assert float(row["accuracy gap"]) == pytest.approx(sum(r["training_accuracy"] - r["accuracy"] for r in results) / 2)
    assert float(row["loss gap"]) == pytest.approx(sum(r["loss"] - r["training_loss"] for r in results) / 2)
    assert (finished.output / "gap.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.deep
def test_strengths_have_the_lowest_validation_loss_and_the_test_is_for_what_was_chosen(finished):
    records = journal(finished.output)
    chosen = json.loads((finished.output / "result.json").read_text())["chosen"]
    for method, values in FEW.items():
        losses = {
            value: r["result"]["loss"]
            for value in values
            for r in records
            if r["piece"] == f"{method}: {method} {value:g}; 60 images, seed 0, validation"
        }
        assert set(losses) == set(values) and chosen[method] == min(losses, key=losses.get)
    assert chosen["L2"] == 1e-4  # 10 keeps all weights at zero
    tested = [r["piece"] for r in records if r["piece"].endswith("test")]
    assert len(tested) == len(METHODS) * 2 and not any("L2 10" in piece for piece in tested)


@pytest.mark.deep  # as of the optimisers, by the same code
@pytest.mark.slow
def test_a_rerun_trains_nothing_and_a_killed_run_ends_with_the_same_table(finished, tmp_path, monkeypatch):
    goes_on_to_the_same_table(compare_regularizers, finished, 9, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--sizes", "5000"], "pictures to train on: give --sizes up to that"),
        (["--sizes", "0", "100"], "--sizes must be positive"),
        (["--held-out", "0"], "--held-out must be positive"),
        (["--model", "resnet5000"], "no model 'resnet5000'"),
    ],
)
@pytest.mark.slow
def test_bad_flags_are_one_sentence(arguments, sentence, digits, tmp_path, capsys):
    assert cli.main(["compare_regularizers", str(digits), "--output", str(tmp_path / "run"), *arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("zoo: ")]
    assert len(lines) == 1 and sentence in lines[0] and not (tmp_path / "run").exists()


@pytest.mark.slow
def test_pictures_are_moved_and_their_border_is_drawn_out(digits):
    data = comparison.prepare_sample(digits, Framing(32, 32, 1), 0, 20, 20, test=False)
    images = data.part("train")
    original = data.pixels[images[:1]][0].astype(int)
    rng, first = np.random.default_rng(0), np.zeros(60, int)
    seen = {
        (dy, dx)
        for copy in shifted(data, images, 1)(first, rng)
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
        if (copy == np.roll(original, (dy, dx), (0, 1))).all()
    }  # the frame is black: rolling is moving
    assert len(seen) == 9
    np.testing.assert_array_equal(shifted(data, images, 0)(first[:1], rng)[0], original)


def test_dropout_of_the_lecture_and_of_keras_agree_in_expectation():
    """The lecture: masked in training, weights times p at the test. Keras: masked and divided by p, then left alone.

    With V = W / p the lecture's network is Keras' with W: in training, in its mean, and at the test.
    """
    p, rng = 0.6, np.random.default_rng(0)
    x, w = rng.uniform(0.5, 1.5, 84).astype("float32"), rng.normal(size=(84, 10)).astype("float32")
    v = w / p
    masks = rng.random((20_000, 84)) < p
    lecture_mean, lecture_test = (masks * x @ v).mean(axis=0), p * (x @ v)

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((84,)), keras.layers.Dropout(1 - p), keras.layers.Dense(10, use_bias=False)])
    model.layers[-1].set_weights([w])
    keras_mean = array(model(np.tile(x, (20_000, 1)), training=True)).mean(axis=0)
    np.testing.assert_allclose(array(model(x[None]))[0], lecture_test, rtol=1e-4, atol=1e-4)
    # Of the mean of 20,000: each output is a sum of w x m / p with m of variance p (1 - p).
    deviation = np.sqrt((np.square(w.T * x)).sum(axis=1) * (1 - p) / p / 20_000)
    assert (np.abs(keras_mean - lecture_test) < 5 * deviation).all()
    assert (np.abs(lecture_mean - lecture_test) < 5 * deviation).all()
