"""Settings of `zoo serve`."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from recipes.errors import UserError
from recipes.settings.shared import check_positive

MAX_PORT = 65_535
MEGABYTE = 1_000_000
# More pixels than `zoo predict` reads are refused by the decoder in any case.
MAX_PIXELS = 50_000_000


@dataclass(frozen=True)
class Serving:
    """A page and an HTTP interface that say what pictures show, by the models of finished runs."""

    EXAMPLES = (
        "zoo serve runs/finetune/photos",
        "zoo serve runs/first runs/second --port 8080",
    )

    runs: Positional[tuple[Path, ...]]
    """Folders that `zoo finetune` wrote; with several, the page shows their answers side by side."""
    host: str = "127.0.0.1"
    """Address to listen on. Only this machine reaches the one that is the default; any other, such as 0.0.0.0, asks everybody
    for a token: that of the variable ZOO_TOKEN, or one that is made and printed."""
    port: int = 8000
    """Port to listen on; 0 for any that is free."""
    queue: int = 128
    """Pictures that may wait for an answer; who brings more is told to come again (503)."""
    max_megabytes: float = 20
    """Size of a request, in millions of bytes; larger ones are refused (413)."""
    max_pixels: int = MAX_PIXELS
    """Pixels of a picture; larger ones are refused on their header, before they are decoded."""
    timeout: float = 30
    """Seconds that a request may take, its upload and the wait included."""

    def __post_init__(self):
        check_positive(self, "queue", "max_pixels")
        if not 0 <= self.port <= MAX_PORT:
            raise UserError(f"--port must be from 0 to {MAX_PORT}, found {self.port}.")
        for name in ("max_megabytes", "timeout"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(f"--{name.replace('_', '-')} must be above 0, found {getattr(self, name):g}.")
        if self.max_pixels > MAX_PIXELS:
            raise UserError(f"--max-pixels must be at most {MAX_PIXELS}, which the decoder reads, found {self.max_pixels}.")

    @property
    def max_bytes(self) -> int:
        """Size of a request in bytes."""
        return int(self.max_megabytes * MEGABYTE)

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine reaches the address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
