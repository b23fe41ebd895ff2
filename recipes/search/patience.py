"""Calls that are tried again while the storage of the trials is away, as a server is that starts anew."""

import contextlib
import functools
import random
import re
import threading
import time
from collections.abc import Callable, Iterator

import optuna
import sqlalchemy

from recipes.console import say
from recipes.errors import UserError, shown

# So long a worker waits for a server that is away, as when it starts anew, and for what others hold.
PATIENCE_SECONDS = 600
# The same for a server that has not answered yet: the address may be wrong.
OPENING_SECONDS = 30
# What a server says that another try will not change, and what it says while it starts anew.
REFUSALS = re.compile(r"authentication|password|does not exist|pg_hba|translate host name|permission")
RESTARTS = re.compile(r"starting up|shutting down|recovery|terminating connection|closed the connection")
# How PostgreSQL's library begins when no connection was made.
SILENCE = re.compile(r"connection to server|could not connect")
AWAY = (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError)
# What a file of trials says that more time will not change.
FULL = "disk is full"
# Whether, in this thread, a call is being tried again already.
_outer = threading.local()


def retry_while_away(call: Callable) -> Callable:
    """Have a function tried again while the storage cannot be used. It must bear being cut off at any step.

    A call within such a call is not tried again by itself: the outer one begins anew.

    Raises:
        UserError: the storage was away for too long.
    """

    @functools.wraps(call)
    def calling(*arguments: object, **named: object) -> object:
        try:
            return _retry(
                functools.partial(call, *arguments, **named),
                lambda error: 0 if FULL in reason_of(error) else PATIENCE_SECONDS,
            )
        except AWAY as error:
            if getattr(_outer, "is_trying", False) or FULL in reason_of(error):
                raise
            raise UserError(f"The storage of the trials cannot be used ({reason_of(error)}).") from error

    return calling


def retry_opening(call: Callable, is_server: bool) -> object:
    """Have what opens a storage tried again: for long at a server that starts anew, shortly at one that has never answered."""
    has_answered = False

    def patience(error: Exception) -> float:
        nonlocal has_answered
        reason = reason_of(error)
        if not is_server or REFUSALS.search(reason):
            return 0
        has_answered = has_answered or not SILENCE.match(reason) or bool(RESTARTS.search(reason))
        return PATIENCE_SECONDS if has_answered else OPENING_SECONDS

    return _retry(call, patience)


@contextlib.contextmanager
def trying_once() -> Iterator[None]:
    """Have calls in this block fail at once where the storage is away: somebody else tries again."""
    before, _outer.is_trying = getattr(_outer, "is_trying", False), True
    try:
        yield
    finally:
        _outer.is_trying = before


def _retry(call: Callable, patience: Callable[[Exception], float]) -> object:
    """Call until it is not the storage that fails, or no longer than `patience` says; raises what the last try raised."""
    start, pause = None, 0.5
    while True:
        try:
            with trying_once():
                return call()
        except AWAY as error:
            seconds, start = patience(error), start or time.monotonic()
            if getattr(_outer, "is_trying", False) or time.monotonic() - start > seconds or not seconds:
                raise
            if pause == 0.5:
                limit = f"{seconds / 60:.0f} min" if seconds > 60 else f"{seconds:.0f} s"
                say(f"The storage of the trials cannot be used now ({reason_of(error)}): trying for {limit}.")
        time.sleep(pause * random.uniform(0.5, 1.5))
        pause = min(2 * pause, 10)


def reason_of(error: Exception) -> str:
    """Find the first line of what the database says."""
    while error.__cause__:
        error = error.__cause__
    return shown(str(error).strip().splitlines()[0])
