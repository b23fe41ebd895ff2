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
from typing import TYPE_CHECKING, ClassVar, Protocol

from recipes.compute.versions import versions
from recipes.console import say, table
from recipes.data.sources.own import check_output
from recipes.errors import UserError, shown
from zoo.files import append_line, replace, write_csv, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

JOURNAL = "journal.jsonl"
# Settings that say what the work is about: a default folder, which is called after it, holds work on one of a name.
SUBJECTS = ("data", "image")


class ExperimentSettings(Protocol):
    """The settings of an experiment's command: a dataclass that names the folder to write to."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field]]

    @property
    def folder(self) -> Path:
        """The folder of the experiment."""


class Experiment:
    """Keeps the results of an experiment in its folder, and does no piece of its work twice.

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
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            names = os.listdir(self.folder)
            if names and JOURNAL not in names:
                raise UserError(f"--output {shown(self.folder)} holds files that no experiment wrote: choose a new folder.")
            (self.folder / JOURNAL).touch()
        except OSError as error:
            raise UserError(f"--output {shown(self.folder)} cannot be written ({error.strerror}): choose another.") from error

    def _refuse_another_subject(self) -> None:
        """See that a default folder has no work on other pictures of the same name: finished, or cut off."""
        found = [record["depends"] for record in self._records()]
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found.append(json.loads((self.folder / "result.json").read_text("utf-8"))["settings"])
        for earlier, name in itertools.product(found, SUBJECTS):
            one, other = earlier.get(name), self.settings.get(name)
            if name in earlier and os.path.abspath(one or "") != os.path.abspath(other or ""):
                raise UserError(
                    f"{shown(self.folder)} holds results on {shown(one or 'the default picture')}, not on "
                    f"{shown(other or 'the default picture')}: give --output."
                )

    def _records(self) -> list[dict]:
        """Read the journal."""
        records = []
        with contextlib.suppress(FileNotFoundError):
            for line in (self.folder / JOURNAL).read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # the line that a kill cut off
                    records.append(json.loads(line))
        return records

    def once(self, piece: str, work: Callable[[], dict], but: Sequence[str] = (), **more: object) -> dict:
        """Do a piece of work, or find its result in the journal, if an earlier run with the same settings has done it.

        Args:
            piece: a name for it, such as "adam, seed 3".
            work: returns the result, values for JSON; the seconds that it takes are added.
            but: settings that it does not depend on; when they change, it is kept.
            more: what else it depends on.
        """
        depends = {k: v for k, v in self.settings.items() if k not in but} | json.loads(json.dumps(more, default=str))
        for record in self._records():
            if (record["piece"], record["depends"]) == (piece, depends):
                return record["result"]
        start = time.monotonic()
        result = work() | {"seconds": round(time.monotonic() - start, 2)}
        record = {"piece": piece, "depends": depends, "result": result}
        append_line(self.folder / JOURNAL, json.dumps(record, allow_nan=False))
        return result

    def save_figure(self, name: str, figure: "Figure") -> None:
        """Write a figure of matplotlib's as `name`.png."""
        replace(self.folder / f"{name}.png", lambda path: figure.savefig(path, dpi=120, format="png"))

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
