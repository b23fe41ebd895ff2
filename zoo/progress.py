"""Progress of long work: count, rate and time left, on a terminal as one moving line, in a log as a line every 10 s."""

import contextlib
import os
import sys
import threading
import time

# Set by the handler of Ctrl-C. The exception that Python raises for it may be swallowed, as by TensorFlow while it traces a
# function; then the next step of progress raises it again.
interrupted = threading.Event()


class Progress:
    """Progress of one piece of work, written to standard error.

    >>> with Progress("features", total, "images") as progress:
    ...     progress.advance(32)

    Args:
        compiles: whether the first step compiles what the others run: it says nothing of the time that is left.
    """

    def __init__(self, label: str, total: int, unit: str, scale: float = 1.0, compiles: bool = False):
        self._label, self._total, self._unit, self._scale = label, total, unit, scale
        self._done = self._skipped = 0
        self._start = self._shown = time.monotonic()
        self._awaits_first = compiles
        self._from = self._start, 0  # from when, and how much done now, the time left is judged
        self._live = sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_):
        if kind is None:
            self.end()
        elif self._live:
            print(file=sys.stderr)

    def end(self, note: str = "") -> None:
        """Write the last line, unless there was nothing to do; what ended early needed no more, or the note says why."""
        if self._done:
            self._total = self._done
            self._show("\n", note)

    def skip(self, count: int) -> None:
        """Count work that was found done: it is part of the total, not of the rate."""
        self._skipped += count
        self._done += count

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count work that was done now, and show it if the last line is old enough.

        Raises:
            KeyboardInterrupt: `interrupted` is set; in the main thread alone, for in another it would end only that.
        """
        if interrupted.is_set() and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        self._done += count
        now = time.monotonic()
        if self._awaits_first and count:
            self._awaits_first, self._from = False, (now, self._done - self._skipped)
        if self._done == self._total and not self._live:  # the last line of a log is written at the end
            return
        if now - self._shown >= (0.1 if self._live else 10):
            self._shown = now
            self._show("" if self._live else "\n", note)

    def _show(self, end: str, note: str = "") -> None:
        now, done = time.monotonic(), self._done - self._skipped
        seconds = max(now - self._start, 1e-9)
        rate, (since, before) = done / seconds, self._from
        if self._done < self._total and done > before:
            left = f"{clock((self._total - self._done) * (now - since) / (done - before))} left"
        else:
            left = clock(seconds)
        done, total = (f"{n * self._scale:,.{1 if self._scale != 1 else 0}f}" for n in (self._done, self._total))
        speed = f"{rate * self._scale:,.1f}/s  {left}" if self._done > self._skipped else "done before"
        line = f"{self._label}  {done}/{total} {self._unit}  {speed}  {note}".rstrip()
        start = ""
        if self._live:  # what would not fit into one line could not be written over
            start, line = "\r\x1b[K", line[: max(1, _columns() - 1)]
        with contextlib.suppress(OSError):  # a log that is full ends no work
            print(f"{start}{line}", end=end, file=sys.stderr, flush=True)


def _columns() -> int:
    """Ask how wide the terminal of standard error is; 80 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    return 80


def clock(seconds: float) -> str:
    """Write a duration as `m:ss` or `h:mm:ss`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
