"""What a search shows while it runs: the best trials as a live table on a terminal, lines in a log."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from recipes.console import percent, say
from recipes.errors import shown
from recipes.search.patience import trying_once
from recipes.search.records import TrialRecord, ranked, states_in_words
from zoo.progress import Progress, clock

if TYPE_CHECKING:
    from rich.table import Table

MAX_ROWS = 10
# Between two looks at the storage, which may have a thousand workers to serve.
PAUSE_SECONDS = 0.5
# The same where there is no terminal.
LOG_PAUSE_SECONDS = 10


Scores = Callable[[TrialRecord], dict[str, str]]


def scores_of(record: TrialRecord) -> dict[str, str]:
    """Write what a trial of `zoo tune` has reached."""
    return {"loss": f"{record.loss:.4f}", "accuracy": percent(record.accuracy), "epoch": str(record.epoch)}


class Board:
    """Shows how the search stands, from a thread, while a block `with Board(total, read):` runs.

    Args:
        total: trials of the whole search.
        read: gives the records of all trials so far, other workers' too.
        scores: gives what is shown of a trial that is done, by its name.
    """

    def __init__(self, total: int, read: Callable[[], list[TrialRecord]], scores: Scores = scores_of):
        self._total, self._read, self._scores = total, read, scores
        self._over, self._thread = threading.Event(), threading.Thread(target=self._watch, daemon=True)
        self._live = self._progress = None

    def __enter__(self) -> "Board":
        from rich.console import Console
        from rich.live import Live

        records = self._read()
        self._start, self._ended_before = time.monotonic(), count_ended(records)
        self._ended = self._ended_before
        self._told = {record.number for record in records if record.state == "failed"}
        console = Console()
        if console.is_terminal:
            self._live = Live(console=console, auto_refresh=False).__enter__()
        else:
            self._progress = Progress("search", self._total, "trials").__enter__()
            self._progress.skip(self._ended_before)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        if error[0] is None:
            self.update()
        (self._live or self._progress).__exit__(*error)

    def update(self) -> None:
        """Show how the search stands, and say which trials have failed since the last time."""
        records = self._read()
        for record in records:
            if record.state == "failed" and record.number not in self._told:
                self._told.add(record.number)
                self._say(f"trial {record.number} failed: {shown(record.message)}")
        if self._live:
            rows = max(1, min(MAX_ROWS, (self._live.console.height - 6) // 2))  # a trial takes two lines
            title = headline(records, self._total, self._ended_before, time.monotonic() - self._start)
            self._live.update(live_table(records, title, rows, self._scores), refresh=True)
        else:
            self._progress.advance(count_ended(records) - self._ended, standing(records, self._scores))
        self._ended = count_ended(records)

    def _watch(self) -> None:
        """Update now and then, until the board is closed."""
        while not self._over.wait(PAUSE_SECONDS if self._live else LOG_PAUSE_SECONDS):
            # A storage that is away for a moment: the trials' own calls will tell.
            with contextlib.suppress(Exception), trying_once():
                self.update()

    def _say(self, line: str) -> None:
        """Print a line above the live table or the line of progress."""
        if self._live:
            self._live.console.print(line, markup=False, highlight=False)
        else:
            say(line)


def live_table(records: Sequence[TrialRecord], title: str, rows: int = MAX_ROWS, scores: Scores = scores_of) -> "Table":
    """Lay out the best trials for a terminal, the best first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="", expand=True)
    best = ranked(records)[:rows]
    for name in ("trial", *(scores(best[0]) if best else ())):
        table.add_column(name, justify="right")
    table.add_column("hyper-parameters", ratio=1)
    for record in best:
        table.add_row(str(record.number), *scores(record).values(), Text(brief(record.values)))
    return table


def headline(records: Sequence[TrialRecord], total: int, ended_before: int, seconds: float) -> str:
    """Say how the search stands, how fast it goes and how long it will take, from what has ended in these seconds."""
    left, new = total - count_ended(records), count_ended(records) - ended_before
    pace = f"  {new / seconds:.2f} trials/s  {clock(left * seconds / new)} left" if new and left else ""
    return f"{states_in_words(records)} of {total}{pace}"


def standing(records: Sequence[TrialRecord], scores: Scores = scores_of) -> str:
    """Say in one line how the search stands."""
    parts = [states_in_words(records)]
    for one in ranked(records)[:1]:
        reached = [f"{name} {value}" for name, value in scores(one).items() if name != "epoch"]
        parts.append(", ".join([f"best: trial {one.number}", *reached]))
    return "; ".join(parts)


def described(values: Mapping) -> str:
    """Write hyper-parameters as text."""
    return ", ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items())


def brief(values: Mapping) -> str:
    """Write hyper-parameters as short text: a word speaks for itself, and so does what is switched on or off."""
    words = []
    for name, value in values.items():
        if isinstance(value, bool):
            words += [name] if value else []
        else:
            words.append(value if isinstance(value, str) else described({name: value}))
    return ", ".join(words)


def count_ended(records: Sequence[TrialRecord]) -> int:
    """Count the trials that nobody will run again."""
    return sum(record.has_ended for record in records)
