"""The processes of a search with several workers on one machine: each joins through the same storage."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from recipes.console import say
from recipes.errors import shown
from recipes.search import liveness

# So long a worker that is asked to end may take to give its trial back.
END_SECONDS = 30


def run(module: str, words: Sequence[str], folder: Path, count: int, gpus: Sequence[str]) -> None:
    """Start `count` workers, each with its share of the cores and the GPUs, and wait for the last to end.

    Args:
        module: name for `python -m` of what one of them does; words: its arguments, which say what it joins.
        folder: gets what they say.
        gpus: those to share, as CUDA_VISIBLE_DEVICES names them.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    children = []
    try:
        for number in range(count):
            environment = dict(os.environ)
            if gpus:
                environment["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
            if cores:  # what this thread may use, the process that it starts may use
                os.sched_setaffinity(0, cores[number % len(cores) :: count])
            with open(folder / f"worker-{number + 1}.log", "w") as log:
                command = [sys.executable, "-m", module, *words]
                children.append(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        _wait_for(children)
        for number, child in enumerate(children, 1):
            if child.returncode:
                log = folder / f"worker-{number}.log"
                last = log.read_text(errors="replace").strip().splitlines()[-1:]
                say(f"worker {number} ended with status {child.returncode}: {shown(''.join(last))} (see {shown(log)})")
    finally:
        if cores:
            os.sched_setaffinity(0, cores)
        for child in children:
            if child.poll() is None:
                child.terminate()  # SIGTERM has it give its trial back
        for child in children:
            try:
                child.wait(END_SECONDS)
            except subprocess.TimeoutExpired:  # it hangs, or stands still
                child.kill()
                child.wait()


def _wait_for(children: Sequence[subprocess.Popen]) -> None:
    """Wait for the last to end. Who still runs a minute after another has found no trial left hangs, and is killed."""
    limit = math.inf
    while running := [child for child in children if child.poll() is None]:
        if limit == math.inf and any(child.returncode == 0 for child in children):
            limit = time.monotonic() + liveness.GRACE_SECONDS
        if time.monotonic() > limit:
            for child in running:
                child.kill()
        time.sleep(0.1)
