"""What is meant for the user's eyes: the one exception, and names that can be printed."""

from collections.abc import Iterable


class UserError(Exception):
    """Tells the user in a sentence what is wrong; the command line prints it and exits with status 2, without traceback."""


def shown(name: object) -> str:
    """Write a name so that it can be seen: what is invisible, ends a line or turns text round is escaped."""
    text = str(name)
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def some(names: Iterable[object], most: int = 5) -> str:
    """Write at most so many names, so that they can be seen, and the number of the others."""
    names = [shown(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
