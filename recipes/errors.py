"""The one exception that is meant for the user's eyes."""


class UserError(Exception):
    """A sentence for the user; the command line prints it and exits with status 2, without traceback."""


def shown(name: object) -> str:
    """A name as it can be printed: line breaks, undecodable bytes and the like are escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))
