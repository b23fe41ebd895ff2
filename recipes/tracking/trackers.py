"""Those who watch a run, as --tensorboard, --mlflow and --wandb ask for them: none of them can cost it."""

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from recipes.errors import UserError, shown
from recipes.settings.shared import TransferCommand
from recipes.tracking import mlflow, tensorboard, wandb

FOLDER = "tensorboard"
# The libraries that need not be there, by their flag, which is the name of their extra, too.
EXTRAS = {"mlflow": "MLflow", "wandb": "Weights & Biases"}


class Tracker(Protocol):
    """One who watches a run; its making begins it."""

    def epoch(self, numbers: Mapping[str, float], epoch: int) -> None:
        """Take the numbers of an epoch, counted from 1."""

    def scores(self, numbers: Mapping[str, float]) -> None:
        """Take what was reached in the end."""

    def close(self, is_complete: bool) -> None:
        """End the run."""


class Trackers:
    """All who watch a run. One that fails is left out from then on, with a sentence: the run goes on without it."""

    def __init__(self, begins: Mapping[str, Callable[[], Tracker]]):
        self._trackers: dict[str, Tracker] = {}
        self._told: set[tuple] = set()
        for name, begin in begins.items():
            with self._unharmed(name):
                self._trackers[name] = begin()

    def epoch(self, row: Mapping) -> None:
        """Tell all of an epoch, once, however often it is reported.

        Args:
            row: a row of history: "epoch", numbers by name, and "phase" where there are several.
        """
        epoch, phase = row["epoch"], row.get("phase")
        if (phase, epoch) in self._told:
            return
        self._told.add((phase, epoch))
        start = f"{phase}/" if phase else ""
        numbers = {f"{start}{name}": value for name, value in _numbers(row).items() if name != "epoch"}
        self._all(lambda tracker: tracker.epoch(numbers, epoch))

    def scores(self, numbers: Mapping[str, float]) -> None:
        """Tell all what was reached in the end."""
        self._all(lambda tracker: tracker.scores(_numbers(numbers)))

    def close(self, is_complete: bool) -> None:
        """End the run for all."""
        self._all(lambda tracker: tracker.close(is_complete))

    def _all(self, act: Callable[[Tracker], None]) -> None:
        """Let all do something."""
        for name, tracker in list(self._trackers.items()):
            with self._unharmed(name):
                act(tracker)

    @contextlib.contextmanager
    def _unharmed(self, name: str) -> Iterator[None]:
        """Leave a tracker out whose library raises whatever it may."""
        try:
            yield
        except Exception as error:
            self._trackers.pop(name, None)
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            with contextlib.suppress(OSError):
                print(f"warning: --{name} failed, and the run goes on without it: {shown(reason)}", file=sys.stderr)


def require(settings: TransferCommand) -> None:
    """Refuse a flag whose library is not installed.

    Raises:
        UserError: with the command that installs it.
    """
    for name, title in EXTRAS.items():
        if getattr(settings, name) and not _is_installed(name):
            raise UserError(f"--{name} needs {title}, which is not installed: pip install {name}, or leave it out.")


def _is_installed(name: str) -> bool:
    """Whether a library can be imported: a folder of its name in the working folder, as wandb makes one, is none."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


@contextlib.contextmanager
def tracked(settings: TransferCommand, name: str, values: Mapping, folder: Path | None) -> Iterator[Trackers]:
    """Begin a run for all whom the settings ask for, and end it with the block: complete, if nothing was raised.

    Args:
        name: the run's.
        values: its settings.
        folder: where its file for TensorBoard goes; None: it gets none.
    """
    begins = {
        "tensorboard": lambda: tensorboard.Tracker(folder, values),
        "mlflow": lambda: mlflow.Tracker(name, values),
        "wandb": lambda: wandb.Tracker(name, values),
    }
    asked = {flag: begin for flag, begin in begins.items() if getattr(settings, flag)}
    if folder is None:
        asked.pop("tensorboard", None)
    trackers = Trackers(asked)
    is_complete = False
    try:
        yield trackers
        is_complete = True
    finally:
        trackers.close(is_complete)


def run_scores(result: Mapping) -> dict[str, float]:
    """List a run's measures by part, such as "test/accuracy", from what result.json holds."""
    kinds = {"": result["metrics"], "_ten_crop": result["metrics_ten_crop"] or {}}
    if result["repeats"]:
        kinds["_repeats"] = {result["repeats"]["part"]: result["repeats"]["mean"]}
    return {
        f"{part}{kind}/{name}": value
        for kind, parts in kinds.items()
        for part, measured in parts.items()
        for name, value in _numbers(measured).items()
        if name != "images"
    }


def run_settings(values: Mapping, before: str = "") -> dict[str, object]:
    """Write the settings of a run without those that hold others: "tuned.cut" for these."""
    found: dict[str, object] = {}
    for name, value in values.items():
        found |= run_settings(value, f"{before}{name}.") if isinstance(value, Mapping) else {before + name: value}
    return found


def _numbers(values: Mapping) -> dict[str, float]:
    """Keep what can be drawn."""
    return {k: float(v) for k, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}
