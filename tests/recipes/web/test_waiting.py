"""How pictures wait for a network: in batches that grow with the load, within bounds, and nobody for nobody."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("starlette")

from recipes.web.refusals import Refusal
from recipes.web.waiting import SIZES, Line, Room, padded


def picture(number: int) -> np.ndarray:
    return np.full((2, 2, 1), number, "uint8")


def asked(count: int, compute, cancelled: int = 0) -> tuple[list, list[int]]:
    """Ask about so many pictures at once, the first of which keeps the network busy; gives answers and sizes of batches."""

    async def everybody() -> list:
        with ThreadPoolExecutor(1) as thread:
            line = Line(compute, thread, seen.append)
            tasks = [asyncio.create_task(line.ask(picture(i))) for i in range(count)]
            await asyncio.sleep(0)
            for task in tasks[count - cancelled :]:
                task.cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

    seen: list[int] = []
    return asyncio.run(everybody()), seen


def test_each_gets_its_own_answer_and_batches_are_filled_up_to_a_few_sizes():
    sizes = []

    def compute(pixels: np.ndarray) -> list[int]:
        sizes.append(len(pixels))
        return [int(one.max()) for one in pixels]

    told, seen = asked(50, compute)
    assert told == list(range(50)) and sum(seen) == 50 and max(seen) == SIZES[-1] and set(sizes) <= set(SIZES)
    assert len(seen) == 4


def test_nothing_is_computed_for_who_has_left():
    told, seen = asked(10, lambda pixels: [int(one.max()) for one in pixels], cancelled=7)
    assert told[:3] == [0, 1, 2] and sum(seen) == 3 and all(isinstance(one, asyncio.CancelledError) for one in told[3:])


@pytest.mark.fault(
    "Prediction",
    "a network fails on a batch while others wait",
    "those in the batch are told, the next batch is answered",
    "one bad batch must not end the line",
)
def test_a_batch_that_fails_leaves_the_next_one_alone():
    failed = threading.Event()

    def compute(pixels: np.ndarray) -> list[int]:
        if not failed.is_set():
            failed.set()
            raise ValueError("out of memory")
        return [int(one.max()) for one in pixels]

    told, _ = asked(20, compute)
    assert all(isinstance(one, ValueError) for one in told[:16]) and told[16:] == [16, 17, 18, 19]


def test_room_is_bounded_in_pictures_and_bytes_and_given_back():
    room = Room(3, 100)
    with room.place(2), room.coming() as take, room.coming() as another:
        take(30)
        another(20)
        for more in (lambda: room.place(2).__enter__(), lambda: take(51), lambda: another(51)):
            with pytest.raises(Refusal) as refused:
                more()
            assert refused.value.status == 503 and refused.value.headers == {"Retry-After": "1"}
        with room.place(1):
            take(50)
            assert (room.taken_pictures, room.taken_bytes) == (3, 100)
    assert (room.taken_pictures, room.taken_bytes) == (0, 0)


def test_padding_repeats_a_picture():
    filled = padded([picture(1), picture(2), picture(3)])
    assert filled.shape == (4, 2, 2, 1) and filled[:, 0, 0, 0].tolist() == [1, 2, 3, 3]
