"""Work that goes ahead: in order, bounded, and ended with who takes it."""

import threading
import time

import pytest

from recipes.compute.pipeline import AHEAD, batched, in_order


def test_results_come_in_the_order_of_the_items():
    def work(number):
        time.sleep(0.02 if number % 2 else 0)
        return number

    assert list(in_order(work, range(11), 3)) == list(range(11))
    assert list(in_order(work, [], 3)) == []


def test_no_more_is_taken_than_there_is_work_for():
    taken = []
    found = in_order(lambda number: number, (taken.append(number) or number for number in range(100)), 2)
    assert next(found) == 0 and len(taken) == AHEAD * 2
    assert next(found) == 1 and len(taken) == AHEAD * 2 + 1
    found.close()
    assert len(taken) == AHEAD * 2 + 1


def test_threads_work_at_once():
    barrier = threading.Barrier(2)
    assert list(in_order(lambda _: barrier.wait(5) >= 0, range(2), 2)) == [True, True]


def test_a_failure_is_raised_in_its_turn_and_drops_what_waits():
    done = []

    def work(number):
        if number == 1:
            raise OSError("gone")
        time.sleep(0.05)
        done.append(number)
        return number

    found = in_order(work, range(100), 1)
    assert next(found) == 0
    with pytest.raises(OSError, match="gone"):
        next(found)
    assert len(done) <= 2


def test_groups_are_cut_as_items_come():
    assert list(batched(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(batched([], 3)) == []
