"""What is known of a trial, in the words that the board, the table, the plots and the report share."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

STATES = ("done", "pruned", "running", "waiting", "failed")
ENDED = ("done", "pruned", "failed")


@dataclass(frozen=True)
class TrialRecord:
    """A trial as it stands."""

    number: int
    state: str
    """One of STATES."""
    loss: float | None
    """The best of a trial that is done, the last of one that was pruned."""
    seed: int
    values: Mapping
    """Its hyper-parameters, by name."""
    result: Mapping
    """What its work has returned."""
    history: Sequence[tuple[int, float]]
    """Epochs, from 1, and the loss after each."""
    message: str
    """Why it failed."""
    began: datetime | None
    seconds: float | None
    host: str | None
    """Machine of the worker that runs it, or was the last to do so."""
    pid: int | None
    runs: int
    """How often it was begun."""
    deaths: int
    """How many workers died in it."""

    @property
    def accuracy(self) -> float | None:
        """The accuracy on the pictures held out, of a trial that is done."""
        return self.result.get("accuracy")

    @property
    def epoch(self) -> int | None:
        """The epoch that was the best, of a trial that is done."""
        return self.result.get("epoch")

    @property
    def worker(self) -> str:
        """The machine and the process of its worker, as text."""
        return f"{self.host}:{self.pid}"

    @property
    def has_ended(self) -> bool:
        """Whether nobody will run it again."""
        return self.state in ENDED

    def as_dict(self) -> dict:
        """Write the record as values for a table and for JSON."""
        return {
            "trial": self.number,
            "state": self.state,
            "loss": self.loss,
            "accuracy": self.accuracy,
            "epoch": self.epoch,
            "result": self.result,
            "values": self.values,
            "seed": self.seed,
            "worker": self.worker,
            "runs": self.runs,
            "started": self.began and self.began.isoformat(sep=" ", timespec="seconds"),
            "seconds": self.seconds,
            "message": self.message,
        }


def ranked(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Choose the trials that went to their end, the best first."""
    return sorted((one for one in records if one.state == "done"), key=lambda one: (one.loss, one.number))


def states_in_words(records: Sequence[TrialRecord]) -> str:
    """Say how many trials are in which state: "12 done, 2 running, 1 failed"."""
    counts = Counter(one.state for one in records)
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state] or state == "done")
