"""Settings of `zoo explain`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from recipes.settings.shared import FolderCommand
from recipes.settings.sources import resolved


@dataclass(frozen=True)
class Explaining(FolderCommand):
    """Where a run's network sees a class in pictures, what hiding it does, and which training pictures are like them."""

    COMMAND = "explain"
    EXAMPLES = ("zoo explain runs/finetune/photos new.jpg", "zoo explain runs/finetune/photos 'new/*.jpg' --class ant")

    run: Positional[Path]
    """Folder that `zoo finetune` wrote."""
    images: Positional[tuple[str, ...]]
    """Files, folders (with all below them) and patterns, such as 'new/*.jpg'."""
    class_name: Annotated[str | None, arg(name="class")] = field(default=None, kw_only=True)
    """Class to look for; each picture's likeliest if not given."""
    stage: str | None = field(default=None, kw_only=True)
    """Stage of the network whose map is drawn, as `zoo describe` names them; the last that still knows places if not given."""
    output: Path | None = field(default=None, kw_only=True)
    """Folder for the page and the overlays; runs/explain/NAME-OF-RUN if not given."""

    @property
    def subject(self) -> str:
        """The name of the run; of a search's best one, the name of the search."""
        place = resolved(self.run)
        return (place.parent.name if place.name == "best" else place.name) or "root"
