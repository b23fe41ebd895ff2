"""Serve finished runs: a page that takes pictures, and an HTTP interface for programs.

    zoo serve RUN...                          # http://127.0.0.1:8000/, which only this machine reaches
    zoo serve RUN... --host 0.0.0.0           # for others, who need the token that is printed, or the one in ZOO_TOKEN
    curl --data-binary @new.jpg http://127.0.0.1:8000/predict
    python -m recipes.serve RUN...

It answers what it has taken before it ends by Ctrl-C or SIGTERM, with the exit status 0. Fifty clients for a minute:
docs/serve.md.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.compute import signals
from recipes.console import say
from recipes.errors import UserError, shown
from recipes.settings.serve import Serving
from recipes.web import listening
from zoo.files import occupied
from zoo.progress import Progress

if TYPE_CHECKING:
    from recipes.web.collecting import Collection

OWNER = ".owner"


def run(settings: Serving) -> None:
    """Serve until somebody ends it.

    Raises:
        UserError: no such run, what serves is not installed, or the address cannot be listened on.
    """
    if not settings.runs:
        raise UserError(
            "There is nothing to serve: give folders that `zoo finetune` wrote, as in `zoo serve runs/finetune/photos`."
        )
    listening.check_installed("serve")
    token = listening.token_of(settings)
    listener = listening.listener_of(settings)
    from recipes.web import served
    from recipes.web.app import application

    with ExitStack() as stack:
        collection = _collection(settings.collect, stack) if settings.collect else None
        runs = served.read(settings.runs)
        for one in runs:
            for note in one.notes:
                say(f"note: {note}")
        with Progress("preparation", len(runs), "runs") as progress:
            for one in runs:
                one.warm()
                progress.advance()
        served_runs = application(settings, runs, token, collection)
        if not listening.run_until_ended(settings, served_runs, listener, token):
            say("Stopped at once: what had not been answered was dropped.")
            raise SystemExit(signals.status())
        say("Stopped: what had been taken was answered.")


def _collection(folder: Path, stack: ExitStack) -> "Collection":
    """Open the folder of corrected pictures, which no other server writes meanwhile. Raises UserError."""
    from recipes.web.collecting import Collection

    collection = Collection(folder)
    try:
        stack.enter_context(occupied(folder / OWNER))
    except BlockingIOError as error:
        raise UserError(
            f"--collect {shown(folder)} is being written by {shown(error)}: end that server, or give another folder."
        ) from None
    return collection
