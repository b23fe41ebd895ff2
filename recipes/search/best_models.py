"""What a search leaves on the disk: the models of its best trials, and never more than it may."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recipes.errors import UserError
from zoo.files import replace

ROOM = 10_000, 300  # bytes that a trial's row, and one of its epochs, may take in the storage, the tables and the log


@dataclass(frozen=True)
class Disk:
    """What may be used, and what is: all in bytes.

    Raises:
        UserError: it is more than `bound` from the start.
    """

    folder: Path  # the search's own
    bound: float
    pictures: int  # decoded, in the cache
    features: int  # in the cache
    run: int  # the winner's
    logs: int  # table, storage and logs

    def __post_init__(self):
        if (needed := self.pictures + self.features + self.run + self.logs) > self.bound:
            raise UserError(
                f"--disk {_mega(self.bound)} is too little: the search takes up to {_mega(needed)}, which is {self}. Give "
                "more, or fewer images or a smaller --image-size."
            )

    def __str__(self) -> str:
        return (
            f"{_mega(self.pictures)} of pictures and {_mega(self.features)} of features in the cache, {_mega(self.run)} "
            f"for the winner's run, {_mega(self.logs)} of tables and logs"
        )

    @property
    def left(self) -> float:
        """For models and TensorBoard, beside what the rest may take."""
        extra = sum(used(self.folder / name) for name in ("models", "tensorboard"))
        return self.bound - self.pictures - self.features - self.run - self.logs - extra


class Kept:
    """The models of the best trials, a file each, in a folder that workers share: a file's name begins with its loss."""

    def __init__(self, disk: Disk, count: int):
        self._disk, self._folder, self._count = disk, disk.folder / "models", count

    def offer(self, trial: int, loss: float, suffix: str, size: int, write: Callable[[Path], object]) -> None:
        """Keep the model of a trial, of so many bytes, if it is among the best, and no other that is not."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{loss:.6f} trial {trial}{suffix}"
        better = [file for file in self.files() if _loss(file) < loss]
        if len(better) >= self._count:
            return
        for file in self.files()[self._count - 1 :]:
            file.unlink(missing_ok=True)
        if size > self._disk.left:
            return
        replace(self._folder / name, write)
        for file in self.files()[self._count :]:  # another worker may have kept one meanwhile
            file.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """The models that are kept, the best first."""
        files = [path for path in self._folder.glob("*") if not path.name.startswith(".")]
        return sorted(files, key=lambda file: (_loss(file), file.name))


def used(folder: Path) -> int:
    """Bytes of all files below a folder; another process may take some away meanwhile."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size
            except FileNotFoundError:
                continue
    return total


def logs(trials: int, epochs: int) -> int:
    """Bytes that tables, storage and logs of so many trials may take."""
    return trials * (ROOM[0] + ROOM[1] * epochs)


def _loss(file: Path) -> float:
    return float(file.name.split(" ")[0])


def _mega(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
