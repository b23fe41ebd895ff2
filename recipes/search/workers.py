"""The processes of `zoo tune --workers`: each runs the same command with the same storage, and joins."""

import os
import subprocess
import sys
from collections.abc import Sequence

from recipes.console import say
from recipes.errors import shown
from recipes.settings.tune import Tuning


def run(joining: Tuning, count: int, gpus: Sequence[str]) -> None:
    """Start `count` workers, each with its share of the cores and the GPUs, and wait for the last to end.

    Args:
        joining: settings of one of them, with the storage and the study that it joins.
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
            with open(joining.folder / f"worker-{number + 1}.log", "w") as log:
                command = [sys.executable, "-m", "recipes.tune", *joining.words()]
                children.append(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        for number, child in enumerate(children, 1):
            if child.wait():
                log = joining.folder / f"worker-{number}.log"
                last = log.read_text(errors="replace").strip().splitlines()[-1:]
                say(f"worker {number} ended with status {child.returncode}: {shown(''.join(last))} (see {shown(log)})")
    finally:
        if cores:
            os.sched_setaffinity(0, cores)
        for child in children:
            if child.poll() is None:
                child.terminate()  # SIGTERM has it give its trial back
        for child in children:
            child.wait()
