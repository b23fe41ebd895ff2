"""The store of rows on disk: content, order, several processes, damage, room."""

import contextlib
import gc
import multiprocessing
import os
import resource

import numpy as np
import pytest

from recipes.data.images import read_bytes
from recipes.data.store import Store
from recipes.errors import UserError

ROWS = np.arange(24, dtype="float32").reshape(4, 2, 3)


def store(folder):
    return Store(folder, (2, 3), "float32")


def test_rows_come_back_in_the_order_asked_for(tmp_path):
    store(tmp_path).add(["a", "b"], ROWS[:2])
    store(tmp_path).add(["c", "d"], ROWS[2:], ["note of c", ""])
    again = store(tmp_path)
    rows = again.rows(["d", "a", "c", "a"])
    assert rows.shape == (4, 2, 3) and len(rows) == 4
    np.testing.assert_array_equal(rows[:], ROWS[[3, 0, 2, 0]])
    np.testing.assert_array_equal(rows[[2, 1]], ROWS[[2, 0]])
    np.testing.assert_array_equal(rows.take([3, 0])[:], ROWS[[0, 3]])
    assert again.texts(["c", "a", "e"]) == ["note of c", "", ""]
    assert "a" in again and "e" not in again


def _write(folder, first):
    for start in range(0, 20, 2):
        keys = [f"{first if start % 4 else 'both'} {start}", f"{first} {start + 1}"]
        store(folder).add(keys, np.full((2, 2, 3), start, "float32"))


@pytest.mark.slow
def test_processes_that_write_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write, args=(tmp_path, name)) for name in ("one", "two")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    found = store(tmp_path)
    for name in ("one", "two"):
        for start in range(0, 20, 2):
            np.testing.assert_array_equal(found.rows([f"{name} {start + 1}"])[:], np.full((1, 2, 3), start))


def _cut(array, listing):
    array.write_bytes(array.read_bytes()[:-5])


def _flip(array, listing):
    content = bytearray(array.read_bytes())
    content[-1] ^= 64
    array.write_bytes(content)


def _other_rows(array, listing):
    np.save(array, np.zeros((3, 2, 3), "float32"))


def _folder(path):
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("")


DAMAGE = {
    "cut": _cut,
    "flip": _flip,
    "array gone": lambda array, listing: array.unlink(),
    "array empty": lambda array, listing: array.write_bytes(b""),
    "array of zeros": lambda array, listing: array.write_bytes(bytes(array.stat().st_size)),
    "array a pickle": lambda array, listing: np.save(array, np.array([{}]), allow_pickle=True),
    "array of text": lambda array, listing: array.write_text("[]"),
    "array a folder": lambda array, listing: _folder(array),
    "other rows": _other_rows,
    "listing cut": lambda array, listing: listing.write_bytes(listing.read_bytes()[:10]),
    "listing empty": lambda array, listing: listing.write_bytes(b""),
    "listing []": lambda array, listing: listing.write_text("[]"),
    "listing null": lambda array, listing: listing.write_text("null"),
    "listing {}": lambda array, listing: listing.write_text("{}"),
    "listing of numbers": lambda array, listing: listing.write_text('{"keys": 3, "texts": 4, "crc32": 5}'),
    "listing of lists": lambda array, listing: listing.write_text('{"keys": [[], {}], "texts": [], "crc32": null}'),
    "listing without checksum": lambda array, listing: listing.write_text('{"keys": ["a", "b"], "texts": []}'),
    "listing deep": lambda array, listing: listing.write_text("[" * 100_000),
    "listing bytes": lambda array, listing: listing.write_bytes(bytes(range(128, 256))),
    "listing a folder": lambda array, listing: _folder(listing),
}


@pytest.mark.fault(
    "Runs",
    "a file of the cache that is empty, cut, changed, of another kind, a folder, or gone",
    "forgotten and removed, which is said; its rows are computed again, and found the next time",
    "a cache holds nothing that cannot be had again",
)
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_means_computing_again_never_wrong_rows(tmp_path, damage, capsys):
    store(tmp_path).add(["a", "b"], ROWS[:2])
    store(tmp_path).add(["c"], ROWS[2:3])
    listing = next(path for path in tmp_path.glob("*.json") if '"a"' in path.read_text())
    DAMAGE[damage](listing.with_suffix(".npy"), listing)
    damaged = store(tmp_path)
    assert "a" not in damaged and "b" not in damaged and "c" in damaged
    assert capsys.readouterr().err.count(f"warning: {listing} of the cache is unreadable (") == 1
    damaged.add(["b"], ROWS[1:2])  # in other shards than before
    damaged.add(["a"], ROWS[:1])
    again = store(tmp_path)
    np.testing.assert_array_equal(again.rows(["b", "a", "c"])[:], ROWS[[1, 0, 2]])
    assert not capsys.readouterr().err


def test_the_same_shard_can_be_written_again(tmp_path):
    for damage in ("array a folder", "listing a folder", "array empty"):
        store(tmp_path).add(["a", "b"], ROWS[:2])
        (listing,) = tmp_path.glob("[!.]*.json")
        DAMAGE[damage](listing.with_suffix(".npy"), listing)
        assert "a" not in (damaged := store(tmp_path))
        damaged.add(["a", "b"], ROWS[:2])
        np.testing.assert_array_equal(store(tmp_path).rows(["b", "a"])[:], ROWS[[1, 0]])


def test_many_damaged_shards_are_three_lines(tmp_path, capsys):
    for i in range(9):
        store(tmp_path).add([f"{i}"], ROWS[:1])
    for listing in tmp_path.glob("*.json"):
        listing.write_text("[]")
    store(tmp_path)
    assert capsys.readouterr().err.count("\n") == 3


@pytest.mark.fault(
    "Runs",
    "more files in the cache than a process may open",
    "each is open while it is read only; if nothing can be opened, a sentence says so, and the cache stays",
    "that a process has too many files open says nothing of the file",
)
def test_shards_are_not_held_open(tmp_path):
    for i in range(60):
        store(tmp_path).add([f"{i}"], np.full((1, 2, 3), i, "float32"))
    picture = next(tmp_path.glob("*.npy"))  # as good as any: it is not decoded
    gc.collect()  # what other tests have left open and is closed meanwhile would be room
    held, before, limits = [], len(os.listdir("/proc/self/fd")), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 10, limits[1]))
    try:
        rows = store(tmp_path).rows([f"{i}" for i in range(60)])
        np.testing.assert_array_equal(rows[:][:, 0, 0], np.arange(60))
        np.testing.assert_array_equal(rows.take([7, 50])[[1, 0]][:, 0, 0], [50, 7])
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        shortage = "cannot be opened .Too many open files., which is no fault of the file: raise the limit .`ulimit -n 1024`."
        for read in (lambda: rows[[3]], lambda: store(tmp_path), lambda: read_bytes(picture)):
            with pytest.raises(UserError, match=shortage):
                read()
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert "3" in store(tmp_path)


def test_a_cache_that_is_taken_away_meanwhile_is_one_sentence(tmp_path):
    store(tmp_path).add(["a"], ROWS[:1])
    rows = store(tmp_path).rows(["a"])
    for file in tmp_path.glob("*.npy"):
        file.unlink()
    with pytest.raises(UserError, match=r"cannot be read any more \(No such file or directory\): run the command again"):
        rows[:]


def test_too_little_room_is_said_before_any_work(tmp_path):
    with pytest.raises(UserError, match=r"needs .* in .* are free: make room, or set ZOO_CACHE"):
        store(tmp_path).require_room(10**15)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made .*: set ZOO_CACHE"):
        store(tmp_path / "file" / "cache")
