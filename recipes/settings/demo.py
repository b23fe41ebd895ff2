"""Settings of `zoo demo`."""

from dataclasses import dataclass
from pathlib import Path

from recipes.settings.shared import FolderCommand


@dataclass(frozen=True)
class Demo(FolderCommand):
    """Fine-tune the LeNet-5 that ships with the zoo on a few of scikit-learn's handwritten digits, and compare."""

    COMMAND = "demo"

    output: Path | None = None
    """Folder for the pictures and the two runs; runs/demo/digits if not given."""
    images_per_class: int = 10
    """Training pictures of each digit."""
    seed: int = 0
    """Seed of everything random."""

    @property
    def subject(self) -> str:
        """The data that the demonstration is about."""
        return "digits"
