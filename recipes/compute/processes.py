"""Work in a process of its own: what kills it ends a trial, not the search. Imports nothing heavy.

The process is `python -m MODULE job.json`, in whose module `serve` does what the job says. It writes a line of JSON for
every epoch and one at the end, and whatever else it prints goes into `log.txt` beside the job. Its standard input is open
as long as whoever started it lives: when that ends it ends too, so that no two processes train the same.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from recipes.errors import UserError, shown

SMALLEST_BATCH = 4
OUT_OF_MEMORY = re.compile(
    r"out of memory|\boom\b|resource.?exhausted|memoryerror|bad.?alloc|(cannot|can't|unable to|failed to) allocate",
    re.IGNORECASE,
)


class _Died(Exception):
    """Says that the process ran out of memory or was killed, with its last words."""


def run(module: str, job: dict, folder: Path, report: Callable[[int, float], None], least: int = SMALLEST_BATCH) -> dict:
    """Have a module's process do a job; returns what it gives, and the `batch_size` that it gave it with.

    That is the job's or, each time that the process runs out of memory or is killed, half of it.

    Args:
        folder: gets the job and what the process says.
        report: called with the epoch and the loss after each epoch; if it raises, the process ends, too.
        least: images of a batch that is not halved any more.

    Raises:
        UserError: the process has failed, with its own sentence; or even batches of `least` images are too large for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = job["batch_size"]
    while True:
        try:
            return _attempt(module, job | {"batch_size": size}, folder, report) | {"batch_size": size}
        except _Died as death:
            if size // 2 < least:
                raise UserError(f"{death} (batches of {size} images; log: {shown(folder / 'log.txt')})") from None
            size //= 2


def _attempt(module: str, job: dict, folder: Path, report: Callable[[int, float], None]) -> dict:
    path, log = folder / "job.json", folder / "log.txt"
    from zoo.files import write_json  # which brings Keras with it, that only this side needs

    write_json(path, job)
    states, last = set(), {}
    with open(log, "wb") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", module, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for whoever waits for it
        )
    try:
        for line in child.stdout:
            with contextlib.suppress(ValueError):  # of a line that a kill cut off
                last = json.loads(line)
            states |= set(last.get("states", ()))
            if "epoch" in last:
                report(last["epoch"], last["loss"])
        code = child.wait()
    except Exception:  # not Ctrl-C, after which the trial goes on from there
        _remove(states)
        raise
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
    _remove(states)
    if "result" in last:
        return last["result"]
    reason = last.get("failed") or _last_line(log) or f"The process of the trial ended with status {code} and without a word"
    if code < 0:
        raise _Died(f"The process of the trial was killed by {signal.Signals(-code).name}{_hint(reason, code)}")
    if last.get("memory") or OUT_OF_MEMORY.search(reason):
        raise _Died(f"Out of memory: {reason}")
    raise UserError(reason)


def _hint(reason: str, code: int) -> str:
    if OUT_OF_MEMORY.search(reason):
        return f": {reason}"
    return ", as the system does when memory runs out" if code == -signal.SIGKILL else ""


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").replace("\r", "\n").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _remove(folders: set[str]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def serve(work: Callable[[dict, Callable[[dict], None]], dict]) -> None:
    """Do the job that the command line names, in the process that `run` has begun: `work(job, tell)`.

    `tell` sends what it is given, such as {"epoch": 1, "loss": 0.5}, or {"states": [FOLDER]}: folders to remove when the trial
    has ended.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what anyone prints is no line of ours

    def tell(what: dict) -> None:
        print(json.dumps(what), file=lines, flush=True)

    try:
        tell({"result": work(json.loads(Path(sys.argv[1]).read_text()), tell)})
    except UserError as error:
        tell({"failed": str(error)})
    except Exception as error:
        tell(
            {
                "failed": clearest_line(error),
                "memory": bool(isinstance(error, MemoryError) or OUT_OF_MEMORY.search(_text(error))),
            }
        )
        raise  # the log has the rest


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def clearest_line(error: Exception) -> str:
    """The line of an error that says most: frameworks put pages around it."""
    lines = [line.strip() for line in _text(error).splitlines() if line.strip()]
    return next((line for line in lines if OUT_OF_MEMORY.search(line)), lines[0])
