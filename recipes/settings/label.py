"""Settings of `zoo label`."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from recipes.settings.listening import ListeningCommand
from recipes.settings.shared import FolderCommand, name_of


@dataclass(frozen=True)
class Labelling(ListeningCommand, FolderCommand):
    """A page on which a person says what pictures show, those first of which a finished run is least sure.

    What is said goes into corrections.csv, which every command takes as --corrections. DATA may be a folder of pictures without
    labels, class folders with pictures beside them, or pictures with labels, which are then confirmed or corrected.
    """

    COMMAND = "label"
    EXAMPLES = (
        "zoo label new-photos runs/finetune/photos",
        "zoo label photos runs/finetune/photos --output runs/check/photos",
    )

    data: Positional[Path]
    """Pictures, with labels or without: a folder, a table (.csv, .tsv, .parquet), an archive (.zip, .tar) or a data set,
    tfds:NAME. docs/label.md."""
    run: Positional[Path]
    """Folder that `zoo finetune` wrote."""
    output: Path | None = None
    """Folder of corrections.csv, which is gone on with if it is there, such as one that `zoo check` has begun; if not given,
    runs/label/NAME-OF-DATA."""

    @property
    def subject(self) -> str:
        """The name of the folder of pictures, or of what they come from."""
        return name_of(self.data)
