"""Where the end of a run goes: processor seconds, seconds and memory of its steps, in a process of its own.

    python benchmarks/saving.py DATA --model mobilenet_v2 --weights FILE

Takes the flags of `zoo finetune`, but for --strategy, which is `small`, and --output; prints a line a step.
"""

import contextlib
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from recipes import cli
from recipes.compute import runtime


@contextlib.contextmanager
def measured(name: str) -> Iterator[None]:
    began, busy, held = time.monotonic(), time.process_time(), resident()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    taken = f"{time.process_time() - busy:6.2f} processor s {time.monotonic() - began:6.2f} s"
    print(f"{name:12s} {taken}  {held:6.0f} MB -> {resident():6.0f} MB, at most {peak:.0f} MB", flush=True)


def resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def start(seed: int) -> None:
    """Start Keras, and only then import what counts a run's steps."""
    begin(seed)
    from recipes.transfer.state import Clock

    step = Clock.step

    @contextlib.contextmanager
    def counted(clock: Clock, name: str) -> Iterator[None]:
        with measured(name), step(clock, name):
            yield

    Clock.step = counted


if __name__ == "__main__":
    begin, runtime.start = runtime.start, start
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(cli.main(["finetune", *sys.argv[1:], "--strategy", "small", "--output", f"{folder}/run"]))
