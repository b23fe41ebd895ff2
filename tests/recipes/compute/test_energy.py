"""What a command takes, by counters that are written by hand."""

import os
import time

import pytest

from recipes.compute import energy


def zone(folder, name: str, microjoules: int, largest: int = 1_000_000):
    folder.mkdir()
    for file, content in {"name": name, "energy_uj": microjoules, "max_energy_range_uj": largest}.items():
        (folder / file).write_text(f"{content}\n")
    return folder


@pytest.fixture
def counters(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "COUNTERS", tmp_path)
    return tmp_path


def test_processors_and_memory_are_added_and_a_counter_may_begin_anew(counters):
    package = zone(counters / "intel-rapl:0", "package-0", 900_000)
    memory = zone(counters / "intel-rapl:0:1", "dram", 0)
    core = zone(counters / "intel-rapl:0:0", "core", 0)  # is in the package's
    meter = energy.Meter()
    for place, now in ((package, 200_000), (memory, 500_000), (core, 900_000)):
        (place / "energy_uj").write_text(f"{now}\n")
    found = meter.stop()
    assert found["method"] == "measured"
    assert found["watt_hours"] == pytest.approx((0.3 + 0.5) / 3600)  # 900,000 to the end at 1,000,000, then 200,000


@pytest.mark.parametrize("fault", ["no counters", "one that may not be read", "one that goes away"])
def test_without_counters_the_busy_time_of_cores_is_the_estimate(counters, fault):
    if fault != "no counters":
        zone(counters / "intel-rapl:0", "package-0", 0)
    if fault == "one that may not be read":
        (counters / "intel-rapl:0" / "energy_uj").unlink()
    meter, busy = energy.Meter(), sum(os.times()[:4])
    while sum(os.times()[:4]) - busy < 0.1:
        sum(range(10_000))
    if fault == "one that goes away":
        (counters / "intel-rapl:0" / "energy_uj").unlink()
    found = meter.stop()
    assert found["method"] == "estimated" and found["watts"] == energy.WATTS_A_CORE
    assert 0.09 <= found["processor_seconds"] <= 5
    assert found["watt_hours"] == pytest.approx(found["processor_seconds"] * energy.WATTS_A_CORE / 3600)


def test_a_long_run_reads_its_counters_now_and_then(counters, monkeypatch):
    monkeypatch.setattr(energy, "SECONDS_BETWEEN", 0.01)
    place = zone(counters / "intel-rapl:0", "package-0", 0) / "energy_uj"
    meter, end = energy.Meter(), time.monotonic() + 10
    for now in (600_000, 100_000):  # 0.6, then 0.5 J; between two readings far apart it would be 0.1 J
        (new := place.with_name("new")).write_text(f"{now}\n")
        new.replace(place)  # the counter is read while it is written: it must never be empty
        while meter._zones[place.parent] != now and time.monotonic() < end:
            time.sleep(0.005)
    assert meter.stop()["watt_hours"] == pytest.approx(1.1 / 3600)
