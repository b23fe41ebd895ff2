"""The folder of an experiment: finished pieces of work, which are not done twice, then the table and the pictures.

An experiment's folder holds `journal.jsonl` (one line a finished piece), and when all is done `table.csv`, `result.json`
and its pictures. The same command goes on where an earlier one was cut off.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

from recipes.compute.versions import versions
from recipes.console import say, table
from recipes.data.sources.own import check_output
from recipes.errors import UserError, shown
from recipes.report.charts import write_png
from recipes.runs.folder import held
from zoo.disk import WriteError
from zoo.files import append_line, write_csv, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

JOURNAL = "journal.jsonl"
OWNER = ".owner"
# Settings that say what the work is about: a default folder, which is called after it, holds work on one of a name.
SUBJECTS = ("data", "image")


class ExperimentSettings(Protocol):
    """The settings of an experiment's command: a dataclass that names the folder to write to."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field]]

    @property
    def folder(self) -> Path:
        """The folder of the experiment."""


class Experiment:
    """Keeps the results of an experiment in its folder, which it holds in a `with`, and does no piece of its work twice.

    Args:
        settings: the command's; a piece of work depends on all but `output`.

    Raises:
        UserError: the folder cannot be written, holds files that no experiment wrote, or, as the default one, results on
            another folder of images.
    """

    def __init__(self, settings: ExperimentSettings):
        self.folder, self._start = settings.folder, time.monotonic()
        values = {k: v for k, v in dataclasses.asdict(settings).items() if k != "output"}
        self.settings = json.loads(json.dumps(values, default=str))
        if getattr(settings, "output", None) is None:
            self._refuse_another_subject()
        check_output(settings)
        self._stack = contextlib.ExitStack()
        try:
            os.makedirs(os.path.realpath(self.folder), exist_ok=True)  # also where a link leads to nothing yet
            names = os.listdir(self.folder)
            if names and JOURNAL not in names:
                raise UserError(f"--output {shown(self.folder)} holds files that no experiment wrote: choose a new folder.")
            (self.folder / JOURNAL).touch()
        except OSError as error:
            raise UserError(f"--output {shown(WriteError(error, self.folder))}") from error
        damaged = self._records()[1]
        if damaged:
            lines = f"line{'s' * (len(damaged) > 1)} {', '.join(map(str, damaged[:10]))}"
            say(f"{shown(self.folder / JOURNAL)}: {lines} cannot be read: that work is done again.")

    def __enter__(self) -> Self:
        """Hold the folder, so that no other experiment writes into it.

        Raises:
            UserError: another process holds it.
        """
        try:
            self._stack.enter_context(held(self.folder, self.folder / OWNER))
        except OSError as error:
            raise UserError(f"--output {shown(WriteError(error, self.folder))}") from error
        if (self.folder / "result.json").exists():
            say(f"{shown(self.folder)} holds earlier results, which this experiment replaces when it has ended.")
        return self

    def __exit__(self, *_: object) -> None:
        """Give the folder free."""
        self._stack.close()

    def _refuse_another_subject(self) -> None:
        """See that a default folder has no work on other pictures of the same name: finished, or cut off."""
        found = [record["depends"] for record in self._records()[0]]
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found.append(json.loads((self.folder / "result.json").read_text("utf-8"))["settings"])
        for earlier, name in itertools.product(found, SUBJECTS):
            one, other = earlier.get(name), self.settings.get(name)
            if name in earlier and os.path.abspath(one or "") != os.path.abspath(other or ""):
                raise UserError(
                    f"{shown(self.folder)} holds results on {shown(one or 'the default picture')}, not on "
                    f"{shown(other or 'the default picture')}: give --output."
                )

    def _records(self) -> tuple[list[dict], list[int]]:
        """Read the journal: its records, and the numbers of the lines that are none."""
        records, damaged = [], []
        lines = []
        with contextlib.suppress(FileNotFoundError):
            lines = (self.folder / JOURNAL).read_bytes().splitlines()
        for number, line in enumerate(lines, 1):
            try:
                if line.strip():
                    records.append(_record(json.loads(line)))
            except (ValueError, TypeError, KeyError, RecursionError):  # a kill has cut it off, or it was changed
                damaged.append(number)
        return records, damaged

    def once(self, piece: str, work: Callable[[], dict], but: Sequence[str] = (), **more: object) -> dict:
        """Do a piece of work, or find its result in the journal, if an earlier run with the same settings has done it.

        Args:
            piece: a name for it, such as "adam, seed 3".
            work: returns the result, values for JSON; the seconds that it takes are added.
            but: settings that it does not depend on; when they change, it is kept.
            more: what else it depends on.
        """
        depends = {k: v for k, v in self.settings.items() if k not in but} | json.loads(json.dumps(more, default=str))
        for record in self._records()[0]:
            if (record["piece"], record["depends"]) == (piece, depends):
                return record["result"]
        start = time.monotonic()
        result = work() | {"seconds": round(time.monotonic() - start, 2)}
        record = {"piece": piece, "depends": depends, "result": result}
        append_line(self.folder / JOURNAL, json.dumps(record, allow_nan=False))
        return result

    def save_figure(self, name: str, figure: "Figure") -> None:
        """Write a figure of matplotlib's as `name`.png."""
        write_png(self.folder / f"{name}.png", figure)

    def finish(self, rows: Sequence[Mapping], **results: object) -> None:
        """Write the table and `result.json`, print the table, and say where they lie."""
        write_csv(self.folder / "table.csv", rows)
        everything = {
            "settings": self.settings,
            "table": list(rows),
            **results,
            "seconds": round(time.monotonic() - self._start, 1),
            "versions": versions(),
        }
        write_json(self.folder / "result.json", everything)
        say("\n" + table(rows))
        say(f"\ntable, numbers and pictures: {shown(self.folder)}")


def _record(value: object) -> dict:
    """See that a line of the journal holds a piece of work. Raises TypeError, KeyError or ValueError."""
    if not (isinstance(value["piece"], str) and isinstance(value["depends"], dict) and isinstance(value["result"], dict)):
        raise ValueError("it is no record of a piece of work")
    return value
