"""What a client is told that asks for what cannot be: a status and one sentence, which names no folder of this machine."""

import re
from dataclasses import dataclass, field

from recipes.errors import shown

# As Python writes an object that has no words of its own; Pillow quotes such.
OBJECT = re.compile(r"<[\w.]+( object)? at 0x[0-9a-f]+>")
RETRY_SECONDS = 1


@dataclass
class Refusal(Exception):
    """Ends a request: its HTTP status, a sentence, and headers that go with them."""

    status: int
    sentence: str
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.sentence


def busy(sentence: str) -> Refusal:
    """Refuse what may well be possible in a moment."""
    return Refusal(503, sentence, {"Retry-After": str(RETRY_SECONDS)})


def of_picture(reason: str) -> str:
    """Write what the decoder says of a picture, in words that follow its name, for who has no access to this machine."""
    return shown(OBJECT.sub("the file", reason))
