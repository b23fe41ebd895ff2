"""Work in a process of its own: what kills it ends a trial, not the search.

Imports nothing heavy.

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

from recipes.compute import signals
from recipes.errors import UserError, shown

SMALLEST_BATCH = 4
OUT_OF_MEMORY = re.compile(
    r"out of memory|\boom\b|resource.?exhausted|memoryerror|bad.?alloc|(cannot|can't|unable to|failed to) allocate",
    re.IGNORECASE,
)


class _Died(Exception):
    """Raised when the process ran out of memory or was killed, with its last words."""


class _Stopped(Exception):
    """Raised when somebody has asked the process to end."""


def run(module: str, job: dict, folder: Path, report: Callable[[int, float], None], least: int = SMALLEST_BATCH) -> dict:
    """Have a module's process do a job, and return its result with the `batch_size` that it took.

    That is the job's own or, each time that the process runs out of memory or is killed, half of it.

    Args:
        module: name for `python -m`; it calls `serve`.
        job: values for JSON, `batch_size` among them.
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
        except _Stopped:
            continue  # from its states; whoever wants the search to end asks this process as well
        except _Died as death:
            if size // 2 < least:
                raise UserError(f"{death} (batches of {size} images; log: {shown(folder / 'log.txt')})") from None
            size //= 2


def _attempt(module: str, job: dict, folder: Path, report: Callable[[int, float], None]) -> dict:
    """Do the job in one process. Raises _Died for want of memory, _Stopped by a signal, UserError for all else that ends it."""
    path, log = folder / "job.json", folder / "log.txt"
    from zoo.files import write_json  # not at the top: it brings Keras, which only this side needs

    write_json(path, job)
    states, last = set(), {}
    with open(log, "wb") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", module, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # so that Ctrl-C reaches only who waits for the process
        )
    try:
        for line in child.stdout:
            with contextlib.suppress(ValueError):  # a kill may cut off the last line
                last = json.loads(line)
            states |= set(last.get("states", ()))
            if "epoch" in last:
                report(last["epoch"], last["loss"])
        code = child.wait()
    except Exception:  # but not Ctrl-C, after which the trial goes on from its states
        _remove(states)
        raise
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
    if -code in signals.HANDLED:
        raise _Stopped
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
    """Say what a process that was killed with this status died of, as far as it can be known."""
    if OUT_OF_MEMORY.search(reason):
        return f": {reason}"
    return ", as the system does when memory runs out" if code == -signal.SIGKILL else ""


def _last_line(log: Path) -> str:
    """Read the last line of a log that is not empty; "" without any."""
    lines = log.read_text("utf-8", "replace").replace("\r", "\n").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _remove(folders: set[str]) -> None:
    """Remove folders of states, those that are gone already among them."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def serve(work: Callable[[dict, Callable[[dict], None]], dict]) -> None:
    """Do the job that the command line names, in the process that `run` has begun.

    Args:
        work: `work(job, tell)` returns the result, values for JSON. `tell` sends what it is given, such as
            {"epoch": 1, "loss": 0.5}, or {"states": [FOLDER]}: folders to remove when the trial has ended.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not be taken for a line of JSON

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
        raise  # so that the log gets the traceback


def _end_with_parent() -> None:
    """End the process when its standard input is closed: whoever began it has ended."""
    while os.read(0, 1):
        pass
    os._exit(1)


def _text(error: Exception) -> str:
    """Write an error with the name of its class."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def clearest_line(error: Exception) -> str:
    """Find the line of an error that says most: frameworks put pages around it."""
    lines = [line.strip() for line in _text(error).splitlines() if line.strip()]
    return next((line for line in lines if OUT_OF_MEMORY.search(line)), lines[0])
