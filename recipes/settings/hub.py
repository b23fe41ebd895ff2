"""Settings of `zoo push` and `zoo pull`."""

import re
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import FlagCreatePairsOff, Positional

from recipes.errors import UserError, shown

# Names that the hub takes: letters, digits and - _ . within, at most 96.
NAME = r"(?!.*(?:--|\.\.))[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9_])?"


def check_repository(name: str) -> None:
    """Refuse, with a UserError, what is no USER/NAME of a hub."""
    parts = name.split("/")
    if len(parts) != 2 or not all(re.fullmatch(NAME, part, re.ASCII) for part in parts) or name.endswith(".git"):
        raise UserError(
            f"{shown(name)} is no name of a model on a hub: give USER/NAME, of letters, digits and - _ . (as in ada/leaves)."
        )


@dataclass(frozen=True)
class Pushing:
    """A run's model, its card and its numbers, to a model hub. No picture goes there, and no name of one, unless you say so."""

    EXAMPLES = ("zoo push runs/finetune/leaves ada/leaves --dry-run", "zoo push runs/finetune/leaves ada/leaves")

    run: Positional[Path]
    """Folder that `zoo finetune` wrote."""
    repository: Positional[str]
    """Model on the hub, USER/NAME; it is made if there is none, and anybody may see it unless it was made private before."""
    pictures: FlagCreatePairsOff[bool] = False
    """Send report.html, too, which shows some of the pictures with their names."""
    dry_run: FlagCreatePairsOff[bool] = False
    """Say what would go, and send nothing."""

    def __post_init__(self):
        check_repository(self.repository)


@dataclass(frozen=True)
class Pulling:
    """A run's model from a model hub, checked by its digest, for `zoo predict` and others."""

    EXAMPLES = ("zoo pull ada/leaves", "zoo pull ada/leaves --output runs/leaves")

    repository: Positional[str]
    """Model on the hub that `zoo push` sent there, USER/NAME."""
    output: Path | None = None
    """Folder to write; runs/pull/NAME if not given."""

    def __post_init__(self):
        check_repository(self.repository)

    @property
    def folder(self) -> Path:
        """Where the run is written."""
        return self.output or Path("runs", "pull", self.repository.rpartition("/")[2])
