"""What a command took before its own clock began, against a clock outside of the process."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import ROOT

from recipes.compute import lifetime
from recipes.transfer.state import Clock

SLEEP = 0.3


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not say when a process began")
def test_the_start_is_the_time_since_the_process_began_and_is_counted_once():
    code = (
        f"import time; time.sleep({SLEEP}); from recipes.compute import lifetime; nobody = lifetime.before(); lifetime.own(); "
        "print(nobody, lifetime.before(), lifetime.before())"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    outside = time.monotonic() - began
    nobody, first, second = map(float, done.stdout.split())
    assert nobody == second == 0 and SLEEP <= first <= outside + 0.02  # it began at a tick of the system's clock


def test_steps_within_steps_are_counted_once_and_add_up(monkeypatch):
    monkeypatch.setattr(lifetime, "before", lambda: 5.0)
    assert Clock.of_command().seconds == {"start": 5.0}
    now = iter(range(101, 200))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))  # each look at the clock takes a second
    clock = Clock(100.0, {"start": 5.0})
    assert clock.began == 95.0  # from which a budget is counted
    with clock.step("outer"):  # 101
        with clock.step("inner"):  # 102 to 103
            pass
        clock.add({"elsewhere": 0.5})
        with clock.step("inner"):  # 104 to 105
            pass
    assert clock.seconds == {"start": 5.0, "inner": 2.0, "elsewhere": 0.5, "outer": 106 - 101 - 2.5}
    assert clock.as_dict() == {"total": 5.0 + 107 - 100} | clock.seconds
