"""The models of a search's best trials, and no others: a file's name begins with its loss."""

from collections.abc import Callable
from pathlib import Path

from recipes.search.disk import DiskBudget
from zoo.files import replace


class BestModels:
    """Keeps the models of the best trials of a search, a file each, in a folder that workers share.

    Args:
        disk: what there is room for.
        count: models to keep.
    """

    def __init__(self, disk: DiskBudget, count: int):
        self._disk, self._folder, self._count = disk, disk.folder / "models", count

    def offer(self, trial: int, loss: float, suffix: str, size: int, write: Callable[[Path], object]) -> None:
        """Keep a trial's model, of `size` bytes and written by `write`, if it is among the best; and none that is not."""
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
        """List the models that are kept, the best first."""
        files = [path for path in self._folder.glob("*") if not path.name.startswith(".")]
        return sorted(files, key=lambda file: (_loss(file), file.name))


def _loss(file: Path) -> float:
    """Read the loss in the name of a model's file."""
    return float(file.name.split(" ")[0])
