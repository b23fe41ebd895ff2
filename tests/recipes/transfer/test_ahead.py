"""Features that are computed while pictures are still being read: the right rows, once, and an end whenever it is wanted."""

import shutil
import time
from dataclasses import replace

import keras
import numpy as np
import pytest
from helpers import array, digits_folder, few_digits
from PIL import Image

from recipes.data.images import center
from recipes.errors import UserError
from recipes.settings.finetune import Recipe
from recipes.transfer import ahead, features, passes
from recipes.transfer.ahead import Ahead, cuts_ahead
from recipes.transfer.features import center_features
from recipes.transfer.run import prepare
from recipes.transfer.state import head_cut


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def recipe_of(data, **settings):
    return Recipe(data, model="lenet5", weights="mnist", strategy="small", **settings)


def never(*_):
    raise AssertionError("nothing is to be computed")


def expected(prepared):
    """What the network says of each picture as evaluation sees it, by Keras alone."""
    body = keras.Model(prepared.model.input, prepared.head_cut.output(prepared.model))
    return array(body.predict_on_batch(center(prepared.data.pixels[:], prepared.data.framing)))


@pytest.mark.slow
def test_all_features_are_there_when_the_pictures_are(tmp_path, cache, monkeypatch, capsys):
    """More pictures than a shard has, copies among them, and some that cannot be read: each row once, as Keras gives it."""
    monkeypatch.setattr("recipes.data.decoding.SHARD_IMAGES", 16)
    folder = digits_folder(tmp_path / "digits", 5)
    first, *_ = sorted((folder / "3").iterdir())
    shutil.copyfile(first, first.with_name("copy.png"))
    (folder / "4" / "broken.png").write_bytes(first.read_bytes()[:50])
    prepared = prepare(recipe_of(folder))
    assert "lenet5 up to pre_logits  51/51 views" in capsys.readouterr().err
    assert len(prepared.data.paths) == 51 and len(prepared.data.left_out) == 1
    monkeypatch.setattr(features.engines, "build", never)
    rows = center_features(prepared.model, prepared.head_cut, prepared.data, 32)[:]
    np.testing.assert_allclose(rows, expected(prepared), rtol=0, atol=1e-5 * np.abs(rows).max())
    prepare(recipe_of(folder, batch_size=4))  # all of it is in the cache
    assert "up to" not in capsys.readouterr().err


@pytest.mark.slow
def test_pictures_of_more_bits_are_computed_in_their_range(tmp_path, cache):
    """They change the framing of all, which is known only at the end."""
    folder = few_digits(tmp_path / "digits")
    for path in sorted((folder / "1").iterdir())[:3]:
        grey = np.array(Image.open(path).convert("L")).astype("uint16") * 257
        Image.fromarray(grey).save(path.with_suffix(".tif"))
        path.unlink()
    prepared = prepare(recipe_of(folder))
    assert prepared.data.framing.integer_range == 65535
    rows = center_features(prepared.model, prepared.head_cut, prepared.data, 32)[:]
    np.testing.assert_allclose(rows, expected(prepared), rtol=0, atol=1e-5 * np.abs(rows).max())


@pytest.mark.slow
def test_a_block_that_ends_early_waits_for_no_more_than_a_batch(tmp_path, cache, monkeypatch):
    """Ctrl-C, or a sentence about the pictures, while hundreds of batches wait; and a failure of the thread is raised."""
    prepared = prepare(recipe_of(few_digits(tmp_path / "digits")))
    data, cut, slow = prepared.data, prepared.head_cut, passes.crop

    def block():
        return Ahead(prepared.model, [cut], data.framing, 10_000, 1, "keras")

    monkeypatch.setattr(passes, "crop", lambda *given: time.sleep(0.05) or slow(*given))
    with pytest.raises(KeyboardInterrupt), block() as running:
        running.add([str(number) for number in range(1_000)], data.pixels.take(np.zeros(1_000, int)))
        began = time.monotonic()
        raise KeyboardInterrupt
    assert time.monotonic() - began < 10  # of 50 s that all would take
    assert len(center_features(prepared.model, cut, data, 1)) == len(data.paths)

    def full(*_):
        raise UserError("the disk is full")

    monkeypatch.setattr(ahead, "keep", full)
    with pytest.raises(UserError, match="the disk is full"), block() as running:
        running.add(["new"], data.pixels.take(np.zeros(1, int)))


@pytest.mark.slow
def test_what_is_computed_ahead_is_what_is_needed_whatever_is_chosen(tmp_path, cache):
    prepared = prepare(recipe_of(few_digits(tmp_path / "digits")))
    model, task, recipe = prepared.model, prepared.data.task, prepared.recipe

    def stages(**settings):
        return [str(cut) for cut in cuts_ahead(replace(recipe, **settings), model, head_cut(recipe, model), task)]

    assert stages() == stages(strategy="large") == stages(strategy="full") == ["pre_logits"]
    assert stages(strategy="auto") == ["stage1 pooled", "pre_logits"]
    assert stages(strategy="medium") == stages(strategy="scratch", weights=None) == stages(budget="1h") == []
