"""What the settings of several commands share."""

import re
from typing import Literal

from recipes.errors import UserError

Optimizer = Literal["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"]


def check_positive(settings, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise UserError(f"--{name.replace('_', '-')} must be positive, found {value}.")


def check_shares(settings) -> None:
    shares = (settings.validation, settings.test)
    if not (all(0 <= share < 1 for share in shares) and sum(shares) < 1):
        raise UserError(f"--validation and --test must be shares that leave something to train on, found {shares}.")


def seconds(budget: str) -> float:
    """ "90", "90s", "10m" and "1.5h" in seconds.

    Raises:
        UserError: it is no such time, or none at all.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", budget.strip())
    time = found and float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]
    if not time:
        raise UserError(f"--budget must be a time such as 90s, 10m or 1.5h, found {budget!r}.")
    return time


def size(text: str) -> float:
    """ "500MB" and "2GB" in bytes.

    Raises:
        UserError: it is no such size, or none at all.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])B?", text.strip(), re.IGNORECASE)
    count = found and float(found[1]) * 1000 ** (1 + "KMGT".index(found[2].upper()))
    if not count:
        raise UserError(f"--disk must be a size such as 500MB or 2GB, found {text!r}.")
    return count
