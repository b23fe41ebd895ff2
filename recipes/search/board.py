"""What a search shows while it runs: the best trials as a live table on a terminal, lines in a log.

A trial is a record here, a plain dictionary: `trial`, its number; `state`, one of STATES; of a trial that is done, `loss`,
`accuracy` and `epoch`, the best; `values`, its hyper-parameters; `seed`; `worker`; `started`; `seconds`; `runs`, how often it
was begun; and `message`, why it failed.
"""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from recipes.console import say
from recipes.errors import shown
from zoo.progress import Progress, clock

STATES = ("done", "pruned", "running", "waiting", "failed")
ENDED = ("done", "pruned", "failed")
ROWS = 10  # of the live table
PAUSE, LOG_PAUSE = 0.5, 10  # seconds between two looks at the storage, which may have a thousand workers to serve


class Board:
    """`with Board(total, read):` shows how the search stands, from a thread, until the block ends.

    Args:
        total: trials of the whole search.
        read: gives the records of all trials so far, other workers' too.
    """

    def __init__(self, total: int, read: Callable[[], list[dict]]):
        self._total, self._read = total, read
        self._over, self._thread = threading.Event(), threading.Thread(target=self._watch, daemon=True)
        self._live = self._progress = None

    def __enter__(self) -> "Board":
        from rich.console import Console
        from rich.live import Live

        records = self._read()
        self._start, self._found = time.monotonic(), _ended(records)  # before this search went on
        self._ended = self._found
        self._told = {record["trial"] for record in records if record["state"] == "failed"}
        console = Console()
        if console.is_terminal:
            self._live = Live(console=console, auto_refresh=False).__enter__()
        else:
            self._progress = Progress("search", self._total, "trials").__enter__()
            self._progress.skip(self._found)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        self._thread.join()
        if error[0] is None:
            self._look()
        (self._live or self._progress).__exit__(*error)

    def _watch(self) -> None:
        while not self._over.wait(PAUSE if self._live else LOG_PAUSE):
            with contextlib.suppress(Exception):  # a storage that is away for a moment: the trials' own calls will tell
                self._look()

    def _look(self) -> None:
        """Show how it stands, and say which trials have failed since the last look."""
        records = self._read()
        for record in records:
            if record["state"] == "failed" and record["trial"] not in self._told:
                self._told.add(record["trial"])
                self._say(f"trial {record['trial']} failed: {shown(record['message'])}")
        if self._live:
            self._live.update(self._table(records), refresh=True)
        else:
            self._progress.advance(_ended(records) - self._ended, standing(records))
        self._ended = _ended(records)

    def _say(self, line: str) -> None:
        if self._live:
            self._live.console.print(line, markup=False, highlight=False)
        else:
            say(line)

    def _table(self, records: Sequence[Mapping]):
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, title=self._title(records), title_justify="left", title_style="", expand=True)
        for name in ("trial", "loss", "accuracy", "epoch"):
            table.add_column(name, justify="right")
        table.add_column("hyper-parameters", ratio=1)
        rows = max(1, min(ROWS, (self._live.console.height - 6) // 2 if self._live else ROWS))  # of two lines each
        for record in ranked(records)[:rows]:
            cells = (str(record["trial"]), f"{record['loss']:.4f}", f"{record['accuracy']:.1%}", str(record["epoch"]))
            table.add_row(*cells, Text(brief(record["values"])))
        return table

    def _title(self, records: Sequence[Mapping]) -> str:
        seconds, new = time.monotonic() - self._start, _ended(records) - self._found
        left = self._total - _ended(records)
        pace = f"  {new / seconds:.2f} trials/s  {clock(left * seconds / new)} left" if new and left else ""
        return f"{counted(records)} of {self._total}{pace}"


def ranked(records: Sequence[Mapping]) -> list[Mapping]:
    """The trials that went to their end, the best first."""
    done = [record for record in records if record["state"] == "done"]
    return sorted(done, key=lambda record: (record["loss"], record["trial"]))


def counted(records: Sequence[Mapping]) -> str:
    """ "12 done, 2 running, 1 failed"."""
    counts = Counter(record["state"] for record in records)
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state] or state == "done")


def standing(records: Sequence[Mapping]) -> str:
    """How it stands, in one line."""
    best = ranked(records)[:1]
    score = [f"best: trial {b['trial']}, loss {b['loss']:.4f}, accuracy {b['accuracy']:.1%}" for b in best]
    return "; ".join([counted(records), *score])


def described(values: Mapping) -> str:
    """Hyper-parameters as text."""
    return ", ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items())


def brief(values: Mapping) -> str:
    """The same, short: a word speaks for itself, and so does what is switched on or off."""
    words = []
    for name, value in values.items():
        if isinstance(value, bool):
            words += [name] if value else []
        else:
            words.append(value if isinstance(value, str) else described({name: value}))
    return ", ".join(words)


def _ended(records: Sequence[Mapping]) -> int:
    return sum(record["state"] in ENDED for record in records)
