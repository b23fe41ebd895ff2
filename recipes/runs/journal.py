"""What the lecture's experiments share: a folder, finished pieces of work that are not done twice, tables and plots.

An experiment's folder holds `journal.jsonl` (one line a finished piece), and when all is done `table.csv`, `result.json`
and its pictures. The same command goes on where an earlier one was cut off.
"""

import dataclasses
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from recipes.errors import UserError, shown
from recipes.runs.folder import replace, say, versions, write_csv, write_json

JOURNAL = "journal.jsonl"


class Experiment:
    """The folder of one experiment.

    Args:
        settings: the dataclass of its command; all but `output` names what a piece of work depends on.

    Raises:
        UserError: the folder cannot be written, or holds files that no experiment wrote.
    """

    def __init__(self, settings):
        self.folder, self._start = settings.output, time.monotonic()
        values = {k: v for k, v in dataclasses.asdict(settings).items() if k != "output"}
        self.settings = json.loads(json.dumps(values, default=str))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            names = os.listdir(self.folder)
            if names and JOURNAL not in names:
                raise UserError(f"--output {shown(self.folder)} holds files that no experiment wrote: choose a new folder.")
            (self.folder / JOURNAL).touch()
        except OSError as error:
            raise UserError(f"--output {shown(self.folder)} cannot be written ({error.strerror}): choose another.") from error

    def once(self, piece: str, work: Callable[[], dict], but: Sequence[str] = (), **more) -> dict:
        """What `work` gives, JSON values; from the journal if an earlier run with the same settings has done it.

        Args:
            piece: its name, such as "adam, seed 3".
            but: settings that it does not depend on: it is kept when they change.
            more: what else it depends on.
        """
        depends = {k: v for k, v in self.settings.items() if k not in but} | json.loads(json.dumps(more, default=str))
        for line in (self.folder / JOURNAL).read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:  # the line that a kill cut off
                continue
            if (record["piece"], record["depends"]) == (piece, depends):
                return record["result"]
        start = time.monotonic()
        result = work() | {"seconds": round(time.monotonic() - start, 2)}
        record = {"piece": piece, "depends": depends, "result": result}
        with open(self.folder / JOURNAL, "a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(record, allow_nan=False))  # the line break first: it ends a line cut off
            file.flush()
            os.fsync(file.fileno())
        return result

    def save_figure(self, name: str, figure) -> None:
        """A matplotlib figure as `name`.png."""
        replace(self.folder / f"{name}.png", lambda path: figure.savefig(path, dpi=120, format="png"))

    def finish(self, rows: Sequence[Mapping], **results) -> None:
        """Write the table and `result.json`, print the table, and say where they lie."""
        replace(self.folder / "table.csv", lambda path: write_csv(path, rows))
        everything = {"settings": self.settings, "table": list(rows), **results,
                      "seconds": round(time.monotonic() - self._start, 1), "versions": versions()}  # fmt: skip
        replace(self.folder / "result.json", lambda path: write_json(path, everything))
        say("\n" + table(rows))
        say(f"\ntable, numbers and pictures: {shown(self.folder)}")


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """(mean, low, high): the 95 % interval of the mean by Student's t; a single value has none, and gets NaN."""
    from scipy.stats import t

    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), math.nan, math.nan
    half = float(t.ppf(0.975, len(values) - 1)) * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def table(rows: Sequence[Mapping]) -> str:
    """Rows of one set of keys as aligned text: numbers to the right, words to the left."""
    columns = list(rows[0])
    cells = [columns, *([_cell(row[c]) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    right = [isinstance(rows[0][c], int | float) for c in columns]
    lines = [
        "  ".join(text.rjust(w) if r else text.ljust(w) for text, w, r in zip(line, widths, right, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join(lines)


def panels(count: int = 1, width: float = 6.4, height: float = 4.2) -> tuple:
    """(figure, plots): so many side by side, each of that size in inches, with a light grid; drawn without a display."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * count, height), layout="constrained")
    plots = figure.subplots(1, count, squeeze=False)[0]
    for plot in plots:
        plot.grid(alpha=0.25, linewidth=0.6)
        plot.spines[["top", "right"]].set_visible(False)
    return figure, plots


def _cell(value) -> str:
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
