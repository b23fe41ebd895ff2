"""What a search may take on the disk, stated before anything is decoded."""

import os
from dataclasses import dataclass
from pathlib import Path

from recipes.errors import UserError
from zoo.disk import in_bytes

# What a trial may take in the storage, the tables and the log.
BYTES_A_TRIAL = 10_000
BYTES_AN_EPOCH = 300


@dataclass(frozen=True)
class DiskBudget:
    """What a search may use of the disk, and what it does use, in bytes.

    Args:
        folder: the search's own.
        bound: what may be used in all.
        pictures: what the cache is still to take for decoded pictures.
        features: what it is still to take for features.
        run: what the winner takes, and trainings that go on where they were cut off.
        logs: what table, storage and logs take.

    Raises:
        UserError: it is more than `bound` from the start.
    """

    folder: Path
    bound: float
    pictures: int
    features: int
    run: int
    logs: int

    def __post_init__(self):
        if (needed := self.pictures + self.features + self.run + self.logs) > self.bound:
            raise UserError(
                f"--disk {in_bytes(self.bound)} is too little: the search takes up to {in_bytes(needed)}, which is {self}. "
                "Give more, or fewer images or a smaller --image-size."
            )

    def __str__(self) -> str:
        return (
            f"{in_bytes(self.pictures)} of pictures and {in_bytes(self.features)} of features that the cache lacks, "
            f"{in_bytes(self.run)} for the winner's run, {in_bytes(self.logs)} of tables and logs"
        )

    @property
    def left(self) -> float:
        """Bytes still free for models and TensorBoard, with the estimates for all else reserved."""
        extra = sum(bytes_below(self.folder / name) for name in ("models", "tensorboard"))
        return self.bound - self.pictures - self.features - self.run - self.logs - extra


def bytes_below(folder: Path) -> int:
    """Count the bytes of all files below a folder; another process may take some away meanwhile."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size
            except FileNotFoundError:
                continue
    return total


def bytes_of_logs(trials: int, epochs: int) -> int:
    """Estimate the bytes that tables, storage and logs of so many trials may take."""
    return trials * (BYTES_A_TRIAL + BYTES_AN_EPOCH * epochs)
