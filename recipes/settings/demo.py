"""Settings of `zoo demo`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Demo:
    """Fine-tune the LeNet-5 that ships with the zoo on a few of scikit-learn's handwritten digits, and compare."""

    output: Path = Path("runs/demo")
    """Folder for the pictures and the two runs."""
    images: int = 10
    """Training pictures of each digit."""
    seed: int = 0
    """Of the choice of pictures and of the training."""
