"""Settings of commands that others ask over HTTP."""

import ipaddress
from dataclasses import dataclass, field

from recipes.errors import UserError

MAX_PORT = 65_535


@dataclass(frozen=True)
class ListeningCommand:
    """A command that listens on an address."""

    host: str = field(default="127.0.0.1", kw_only=True)
    """Address to listen on. Only this machine reaches the one that is the default; any other, such as 0.0.0.0, asks everybody
    for a token: that of the variable ZOO_TOKEN, or one that is made and printed."""
    port: int = field(default=8000, kw_only=True)
    """Port to listen on; 0 for any that is free."""

    def __post_init__(self):
        if not 0 <= self.port <= MAX_PORT:
            raise UserError(f"--port must be from 0 to {MAX_PORT}, found {self.port}.")

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine reaches the address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
