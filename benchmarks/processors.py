"""What benchmarks count where others use the machine as well: seconds of the processors."""

import resource


def seconds(whose: int = resource.RUSAGE_CHILDREN) -> float:
    """Count those of all processes that this one has started, and that have ended and were waited for; or of this one."""
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime
