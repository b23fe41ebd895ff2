"""What is meant for the user's eyes: a sentence, the words on a picture, and names that can be printed."""

import errno

# What a process lacks, whatever file it would open.
SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class UserError(Exception):
    """Tells the user in a sentence what is wrong; the command line prints it and exits with status 2, without traceback."""


class ImageError(Exception):
    """Says why a file is no usable picture, in words that follow its path, such as "is truncated"."""


def refuse_shortage(error: OSError, path: object) -> None:
    """Raise a UserError if a file could not be opened for want of something, which says nothing of the file."""
    if error.errno in SHORTAGES:
        raise UserError(
            f"{shown(path)} cannot be opened ({error.strerror}), which is no fault of the file: raise the limit "
            "(`ulimit -n 1024`), or end other programs."
        ) from error


def shown(name: object) -> str:
    """Write a name so that it can be printed: line breaks, undecodable bytes and the like are escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))
