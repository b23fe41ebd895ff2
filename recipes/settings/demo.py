"""Settings of `zoo demo`."""

from dataclasses import dataclass
from pathlib import Path

from recipes.settings.shared import FolderCommand, check_positive, check_seed


@dataclass(frozen=True)
class Demo(FolderCommand):
    """Fine-tune the LeNet-5 that ships with the zoo on a few of scikit-learn's handwritten digits, and compare."""

    COMMAND = "demo"
    EXAMPLES = ("zoo demo", "zoo demo --images-per-class 3 --output runs/three")

    output: Path | None = None
    """Folder for the pictures and the two runs; runs/demo/digits if not given."""
    images_per_class: int = 10
    """Training pictures of each digit."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self):
        check_positive(self, "images_per_class")
        check_seed(self.seed)

    @property
    def subject(self) -> str:
        """The data that the demonstration is about."""
        return "digits"
