"""What is meant for the user's eyes: a sentence, the words on a picture, and names that can be printed."""


class UserError(Exception):
    """Tells the user in a sentence what is wrong; the command line prints it and exits with status 2, without traceback."""


class ImageError(Exception):
    """Says why a file is no usable picture, in words that follow its path, such as "is truncated"."""


def shown(name: object) -> str:
    """Write a name so that it can be printed: line breaks, undecodable bytes and the like are escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))
