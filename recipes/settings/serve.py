"""Settings of `zoo serve`."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from recipes.errors import UserError
from recipes.settings.listening import ListeningCommand
from recipes.settings.shared import check_positive

MEGABYTE = 1_000_000
# More pixels than `zoo predict` reads are refused by the decoder in any case.
MAX_PIXELS = 50_000_000


@dataclass(frozen=True)
class Serving(ListeningCommand):
    """A page and an HTTP interface that say what pictures show, by the models of finished runs."""

    EXAMPLES = (
        "zoo serve runs/finetune/photos",
        "zoo serve runs/first runs/second --port 8080",
    )

    runs: Positional[tuple[Path, ...]]
    """Folders that `zoo finetune` wrote; with several, the page shows their answers side by side."""
    queue: int = 128
    """Pictures that may wait for an answer; who brings more is told to come again (503)."""
    max_megabytes: float = 20
    """Size of a request, in millions of bytes; larger ones are refused (413)."""
    max_pixels: int = MAX_PIXELS
    """Pixels of a picture; larger ones are refused on their header, before they are decoded."""
    timeout: float = 30
    """Seconds that a request may take, its upload and the wait included."""

    collect: Path | None = None
    """Folder for pictures whose answer a person corrects on the page, and their labels: pictures/ and corrections.csv, which
    train together; nothing is kept, and nothing can be corrected, if not given."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(self, "queue", "max_pixels")
        for name in ("max_megabytes", "timeout"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(f"--{name.replace('_', '-')} must be above 0, found {getattr(self, name):g}.")
        if self.max_pixels > MAX_PIXELS:
            raise UserError(f"--max-pixels must be at most {MAX_PIXELS}, which the decoder reads, found {self.max_pixels}.")

    @property
    def max_bytes(self) -> int:
        """Size of a request in bytes."""
        return int(self.max_megabytes * MEGABYTE)
