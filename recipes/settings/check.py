"""Settings of `zoo check`."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import FlagCreatePairsOff

from recipes.errors import UserError
from recipes.settings.shared import SourceCommand


@dataclass(frozen=True)
class Checking(SourceCommand):
    """Look at the pictures before anything is learnt from them: what cannot be read, copies, leaks, labels, what is odd.

    DATA as for `zoo finetune`. Nothing is changed, moved or deleted. Ends with status 1 if there is an error.
    """

    COMMAND = "check"
    EVERYDAY = ("labels", "model", "strict", "json", "corrections", "output")
    EXAMPLES = ("zoo check photos", "zoo check photos --model efficientnet_lite0 --output runs/looked-at")

    labels: Path | None = None
    """Table of the pictures in DATA, as for `zoo finetune`; the folders are the labels if not given."""
    model: str | None = None
    """Architecture whose features say which labels are probably wrong; no label is judged if not given."""
    weights: str | None = None
    """A tag of the catalog, or a file; the model's first tag if not given."""
    strict: FlagCreatePairsOff[bool] = False
    """End with status 1 after a warning, too."""
    json: FlagCreatePairsOff[bool] = False
    """Print what was found as JSON, and nothing else."""

    def __post_init__(self):
        super().__post_init__()
        if self.weights and not self.model:
            raise UserError("--weights belongs to a --model: name it, or leave the weights out.")
