"""What a command takes: the energy of the processor, measured where its counters can be read, else estimated."""

import os
import threading
import time
from pathlib import Path

# Counters of Intel's and AMD's processors under Linux (RAPL, "running average power limit"), in microjoules.
COUNTERS = Path("/sys/class/powercap")
# Of one busy core with its share of memory: processors of servers are sold at 4 to 15 W a core.
WATTS_A_CORE = 12.0
# A counter begins anew after some minutes of full load: it is read more often than that.
SECONDS_BETWEEN = 60.0
JOULES_A_WATT_HOUR = 3600.0


class Meter:
    """Measures from when it is made until it is asked for the last time."""

    def __init__(self):
        self._began, self._busy = time.monotonic(), _processor_seconds()
        self._zones = {zone: _read(zone / "energy_uj") for zone in _zones()}
        self._joules, self._lock, self._stopped = 0.0, threading.Lock(), threading.Event()
        self._is_measured = bool(self._zones) and None not in self._zones.values()
        if self._is_measured:
            threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> dict:
        """Measure for the last time.

        Returns:
            "watt_hours", and how they are known: "measured" of the whole processor, or "estimated" from "processor_seconds",
            the time that all cores have been busy for this command, at "watts" each.
        """
        self._stopped.set()
        seconds = _processor_seconds() - self._busy
        found = {"seconds": time.monotonic() - self._began, "processor_seconds": seconds}
        if self._is_measured:
            self._advance()
        if self._is_measured:  # a counter may have become unreadable
            return {"method": "measured", "watt_hours": self._joules / JOULES_A_WATT_HOUR, **found}
        hours = seconds * WATTS_A_CORE / JOULES_A_WATT_HOUR
        return {"method": "estimated", "watt_hours": hours, "watts": WATTS_A_CORE, **found}

    def _watch(self) -> None:
        """Read the counters now and then, until the end."""
        while not self._stopped.wait(SECONDS_BETWEEN):
            self._advance()

    def _advance(self) -> None:
        """Add what the counters have gone on by; one that is below what it was has begun anew."""
        with self._lock:
            for zone, before in self._zones.items():
                now = _read(zone / "energy_uj")
                if now is None:
                    self._is_measured = False
                    return
                more = now - before if now >= before else now + (_read(zone / "max_energy_range_uj") or before) - before
                self._joules += more / 1e6
                self._zones[zone] = now


def _zones() -> list[Path]:
    """Find the counters of whole processors, and those of memory, which no processor's counts."""
    if not COUNTERS.is_dir():
        return []
    found = []
    for zone in sorted(COUNTERS.glob("intel-rapl:*")):
        name = _text(zone / "name")
        if name is not None and (name.startswith("package") or name == "dram"):
            found.append(zone)
    return found


def _processor_seconds() -> float:
    """Add up the time that cores have worked for this process and those of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _read(path: Path) -> int | None:
    """Read a counter; None where that is not allowed."""
    text = _text(path)
    return int(text) if text is not None and text.isdigit() else None


def _text(path: Path) -> str | None:
    """Read a file of the system; None where there is none, or it may not be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return None
