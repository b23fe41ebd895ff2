"""Who is taken for dead, by clocks that the test holds."""

import threading
import time
from dataclasses import replace

import pytest

from recipes.search import liveness, storage
from recipes.search.liveness import GRACE_SECONDS, Unfinished, Watch
from zoo.files import this_process


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands, until the test moves it."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def look(watch: Watch, clock, sign: object, *pauses: float) -> float:
    for pause in pauses:
        clock[0] += pause
        watch.stay_awake()
        silence = watch.silence(0, sign)
    return silence


def test_the_same_sign_for_a_minute_is_silence(clock):
    watch = Watch()
    assert look(watch, clock, "a", 5) == 0
    assert look(watch, clock, "a", *[5] * 12) == 60
    assert look(watch, clock, "b", 5) == 0 and look(watch, clock, "b", 5) == 5


@pytest.mark.fault(
    "Search",
    "a laptop sleeps with all its workers, or the server is away for an hour",
    "no worker is taken for dead: only silence that somebody awake has listened to counts",
    "all are silent then, and all go on together",
)
def test_what_nobody_was_awake_for_is_no_silence(clock):
    watch = Watch()
    look(watch, clock, "a", 5)
    assert look(watch, clock, "a", 3600) == 15 < GRACE_SECONDS
    assert look(watch, clock, "b", 5) == 0


def test_a_process_that_exists_may_hang(monkeypatch):
    me = this_process()
    run = me.as_dict() | {"count": 1, "deaths": 0}
    assert Unfinished(1, False, run, 0.0).is_lost  # who asks runs none
    others = replace(me, pid=me.pid + 1, machine="another").as_dict()
    assert [Unfinished(1, False, run | others, silent).is_lost for silent in (0, 59, 61)] == [False, False, True]
    monkeypatch.setattr(liveness, "this_process", lambda: replace(me, pid=0))
    assert [Unfinished(1, False, run, silent).is_lost for silent in (0, 59, 61)] == [False, False, True]
    dead = run | {"began": "1"}
    assert Unfinished(1, False, dead, 0.0).is_lost


@pytest.mark.fault(
    "Search",
    "SQLite: a worker is stopped while it holds the lock of the study",
    "the others wait, and after a minute say for which process",
    "on one machine whoever stopped it can continue it, and no file's lock can be taken away",
)
def test_who_waits_for_long_says_for_whom(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(liveness, "GRACE_SECONDS", 0.05)
    place = storage.locate(tmp_path / "trials.db")
    held = place.locked("s")
    held.__enter__()
    threading.Timer(0.5, held.__exit__, (None, None, None)).start()
    with place.locked("s"):
        pass
    said = capsys.readouterr().out
    pid = this_process().pid
    assert f"Waiting for process {pid}, which holds {tmp_path / 'trials.db.lock'}: if it stands still" in said
    with place.locked("s"):
        pass
    assert capsys.readouterr().out == ""
