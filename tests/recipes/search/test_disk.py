"""What a search says that it will take on the disk, beside what it takes; what is cached already is not counted."""

import time

import pytest
from helpers import digits_folder

from recipes.data.contents import SLOWEST_TICK
from recipes.data.sources.chosen import scan
from recipes.search.disk import bytes_below
from recipes.search.preparation import prepare_search
from recipes.settings.tune import Tuning
from recipes.transfer.state import Clock


@pytest.mark.slow
def test_the_estimate_is_what_is_taken_and_is_not_counted_again(tmp_path, monkeypatch):
    now, cache = time.time, tmp_path / "cache"
    monkeypatch.setattr(time, "time", lambda: now() + 2 * SLOWEST_TICK)  # the pictures were not written a moment ago
    monkeypatch.setenv("ZOO_CACHE", str(cache))
    settings = Tuning(digits_folder(tmp_path / "digits", 12), tmp_path / "run", model="lenet5")

    def prepared():
        return prepare_search(settings, scan(settings), Clock())

    search = prepared()
    search.features()
    pictures = sum(bytes_below(cache / name) for name in ("pixels", "appearances", "contents"))
    assert search.disk.pictures == pytest.approx(pictures, rel=0.1)
    assert search.disk.features == pytest.approx(bytes_below(cache / "features"), rel=0.1)
    again = prepared().disk
    assert (again.pictures, again.features) == (0, 0)
    assert again.left == search.disk.left + search.disk.pictures + search.disk.features
