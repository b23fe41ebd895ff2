"""How long a command had been at work before its own clock began: the start of Python, and all that was imported."""

import os
import time
from pathlib import Path

# Of /proc/self/stat, behind the name of the program: when the process began, in ticks since the machine did.
BEGAN_FIELD = 19

_is_own = False


def own() -> None:
    """Note that this process is there for one command alone."""
    global _is_own
    _is_own = True


def before() -> float:
    """Give, to who asks first, the seconds since the process began: 0 where it is not there for one command alone."""
    global _is_own
    is_own, _is_own = _is_own, False
    return _age() if is_own else 0.0


def _age() -> float:
    """Count the seconds since the process began; where the system does not say it, those for which it has computed."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        began = int(fields[BEGAN_FIELD]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began)
    except (OSError, ValueError, IndexError, AttributeError):
        return time.process_time()
