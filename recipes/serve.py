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

from recipes.console import say
from recipes.errors import UserError
from recipes.settings.serve import Serving
from recipes.web import listening
from zoo.progress import Progress


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

    runs = served.read(settings.runs)
    for one in runs:
        for note in one.notes:
            say(f"note: {note}")
    with Progress("preparation", len(runs), "runs") as progress:
        for one in runs:
            one.warm()
            progress.advance()
    served_runs = application(settings, runs, token)
    listener.listen()  # who comes from here on waits until the server is up, and is not refused
    listening.say_place(settings, listener, token)
    listening.serve(served_runs, listener)
    say("Stopped: what had been taken was answered.")
