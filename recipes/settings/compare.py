"""Settings of `zoo compare`."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Comparison:
    """Which run is better on the same test pictures, and whether these pictures can tell: each one against the first."""

    EXAMPLES = ("zoo compare runs/first runs/second", "zoo compare runs/first runs/second --output runs/compare")

    runs: Positional[tuple[Path, ...]]
    """Two or more folders that `zoo finetune`, `zoo evaluate` or `zoo tune` wrote; all others are compared with the first."""
    output: Path | None = None
    """Folder for the page with the pictures on which they differ, comparison.json and answers.csv; nothing is written if not
    given."""
