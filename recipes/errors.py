"""What is meant for the user's eyes: a sentence, the words on a picture, and names that can be printed."""

import errno
from collections.abc import Iterable

# What a process lacks, whatever file it would open.
SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class UserError(Exception):
    """Tells the user in a sentence what is wrong; the command line prints it and exits with status 2, without traceback."""


class ImageError(Exception):
    """Says why a file is no usable picture, in words that follow its path, such as "is truncated"."""


class LargeImageError(ImageError):
    """Says that a picture has more pixels than are read."""


def refuse_shortage(error: OSError, path: object) -> None:
    """Raise a UserError if a file could not be opened for want of something, which says nothing of the file."""
    if error.errno in SHORTAGES:
        raise UserError(
            f"{shown(path)} cannot be opened ({error.strerror}), which is no fault of the file: raise the limit "
            "(`ulimit -n 1024`), or end other programs."
        ) from error


def shown(name: object) -> str:
    """Write a name so that it can be seen: what is invisible, ends a line or turns text round is escaped."""
    text = str(name)
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def some(names: Iterable[object], most: int = 5) -> str:
    """Write at most so many names, so that they can be seen, and the number of the others."""
    names = [shown(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
