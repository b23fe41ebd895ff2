"""Digests that are remembered: never those of a file that has changed, however it was changed."""

import hashlib
import os
import time

import pytest

from recipes.data.contents import SLOWEST_TICK, Contents


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a").write_bytes(b"first")
    return tmp_path / "data"


@pytest.fixture
def later(monkeypatch):
    """A clock by which all that is written now was written long ago."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 2 * SLOWEST_TICK)


def remembered(folder):
    """What the next command knows after this one has read `a`."""
    contents = Contents(folder)
    contents.read("a")
    contents.save()
    return Contents(folder)


def test_the_next_command_knows_what_was_read(folder, later):
    assert remembered(folder).digest("a") == hashlib.sha256(b"first").hexdigest()
    assert Contents(folder).digest("b") is None


def test_a_file_that_was_written_a_moment_ago_is_read_again(folder):
    assert remembered(folder).digest("a") is None


def test_a_change_of_equal_size_under_an_old_time_is_seen(folder, later):
    known, before = remembered(folder), os.stat(folder / "a")
    (folder / "a").write_bytes(b"other")
    os.utime(folder / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert known.digest("a") is None


def test_another_file_in_its_place_is_seen(folder, later):
    known = remembered(folder)
    (folder / "new").write_bytes(b"other")
    os.replace(folder / "new", folder / "a")
    assert known.digest("a") is None


def test_what_is_damaged_is_forgotten(folder, later):
    remembered(folder)
    (file,) = (folder.parent / "cache/contents").iterdir()
    for damage in ("", "[]", '{"a": 1}', '{"a": [1, 2, 3, 4, 5]}', "\0"):
        file.write_text(damage)
        assert Contents(folder).digest("a") is None
