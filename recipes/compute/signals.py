"""Ctrl-C, and what ends a process politely, SIGTERM and SIGHUP: all three raise KeyboardInterrupt. Imports nothing heavy."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

HANDLED = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_received: list[int] = []


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Have signals raise KeyboardInterrupt in the block, but for those that whoever started the process has it ignore.

    SIGINT is never ignored: a shell's background job is started so, and is to end by it all the same. What else is raised
    in the block after a signal becomes KeyboardInterrupt, as by `restored`.
    """
    _received.clear()
    if progress := sys.modules.get("zoo.progress"):
        progress.interrupted.clear()
    if threading.current_thread() is not threading.main_thread():  # Python lets no other thread set a handler
        with restored():
            yield
        return
    before = {number: signal.getsignal(number) for number in HANDLED}
    chosen = [number for number in HANDLED if number == signal.SIGINT or before[number] != signal.SIG_IGN]
    for number in chosen:
        signal.signal(number, _raise)
    try:
        with restored():
            yield
    finally:
        for number in chosen:
            signal.signal(number, before[number])


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Raise KeyboardInterrupt for what a library has made of a signal's, as TensorFlow does that is tracing."""
    try:
        yield
    except Exception:
        raise_swallowed()
        raise


def raise_swallowed() -> None:
    """Raise KeyboardInterrupt once more for a signal whose exception a library has swallowed, as while it was imported."""
    if _received:
        raise KeyboardInterrupt


def status() -> int:
    """Give the exit status of a command that a signal has ended, as a shell counts it: 130, 143 or 129."""
    return 128 + (_received[0] if _received else signal.SIGINT)


def _raise(number: int, frame: FrameType | None) -> None:
    """Handle a signal: let `zoo.progress` know, and raise KeyboardInterrupt."""
    _received.append(number)
    if progress := sys.modules.get("zoo.progress"):  # importing it here would bring Keras
        progress.interrupted.set()
    raise KeyboardInterrupt
