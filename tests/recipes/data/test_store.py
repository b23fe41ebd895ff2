"""The store of rows on disk: content, order, several processes, damage, room."""

import multiprocessing

import numpy as np
import pytest

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
    assert again.texts["c"] == "note of c"
    assert "a" in again and "e" not in again


def _write(folder, first):
    for start in range(0, 20, 2):
        keys = [f"{first if start % 4 else 'both'} {start}", f"{first} {start + 1}"]
        store(folder).add(keys, np.full((2, 2, 3), start, "float32"))


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


@pytest.mark.parametrize("damage", ["cut", "flip", "listing cut", "array gone"])
def test_damage_means_computing_again_never_wrong_rows(tmp_path, damage):
    store(tmp_path).add(["a", "b"], ROWS[:2])
    (array,), (listing,) = tmp_path.glob("*.npy"), tmp_path.glob("*.json")
    content = bytearray(array.read_bytes())
    if damage == "cut":
        array.write_bytes(content[:-5])
    elif damage == "flip":
        content[-1] ^= 64
        array.write_bytes(content)
    elif damage == "listing cut":
        listing.write_bytes(listing.read_bytes()[:10])
    else:
        array.unlink()
    damaged = store(tmp_path)
    assert "a" not in damaged and "b" not in damaged
    damaged.add(["a", "b"], ROWS[:2])
    np.testing.assert_array_equal(store(tmp_path).rows(["b"])[:], ROWS[1:2])


def test_too_little_room_is_said_before_any_work(tmp_path):
    with pytest.raises(UserError, match=r"needs .* in .* are free: make room, or set ZOO_CACHE"):
        store(tmp_path).require_room(10**15)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made .*: set ZOO_CACHE"):
        store(tmp_path / "file" / "cache")
