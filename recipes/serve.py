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

import importlib.util
import os
import secrets
import signal
import socket

from recipes.compute import signals
from recipes.console import say
from recipes.errors import UserError, shown, some
from recipes.settings.serve import Serving
from zoo.progress import Progress

# Modules, and the packages that bring them.
LIBRARIES = {
    "starlette": "starlette",
    "uvicorn": "uvicorn",
    "python_multipart": "python-multipart",
    "prometheus_client": "prometheus-client",
}
TOKEN = "ZOO_TOKEN"
MIN_TOKEN = 16
# Addresses that stand for all of a machine's, with the one by which it reaches itself.
ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def run(settings: Serving) -> None:
    """Serve until somebody ends it.

    Raises:
        UserError: no such run, what serves is not installed, or the address cannot be listened on.
    """
    if not settings.runs:
        raise UserError(
            "There is nothing to serve: give folders that `zoo finetune` wrote, as in `zoo serve runs/finetune/photos`."
        )
    _check_installed()
    token = _token(settings)
    listener = _listener(settings)
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
    try:
        listener.listen()  # who comes from here on waits until the server is up, and is not refused
    except OSError as error:  # another took the address meanwhile
        raise _not_listening(settings, error) from None
    _say_place(settings, listener, token)
    if not _serve(served_runs, listener):
        say("Stopped at once: what had not been answered was dropped.")
        raise SystemExit(signals.status())
    say("Stopped: what had been taken was answered.")


def _check_installed() -> None:
    """See that there is what serves. Raises UserError."""
    if missing := [name for module, name in LIBRARIES.items() if importlib.util.find_spec(module) is None]:
        raise UserError(
            f"`zoo serve` needs {some(missing)}, which is not installed: `pip install 'keras-transfer-zoo[serve]'`."
        )


def _token(settings: Serving) -> str | None:
    """Find or make what clients must know; None where nobody else reaches the server, and there is none. Raises UserError."""
    given = os.environ.get(TOKEN, "")
    if given and (len(given) < MIN_TOKEN or not (given.isascii() and given.isprintable() and " " not in given)):
        raise UserError(f"{TOKEN} must have at least {MIN_TOKEN} letters, digits or signs of ASCII, without blanks.")
    return given or (None if settings.is_local else secrets.token_urlsafe(24))


def _listener(settings: Serving) -> socket.socket:
    """Open the address, before anything takes time. Raises UserError."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
    except (OSError, UnicodeError) as error:
        raise _not_listening(settings, error) from None
    return listener


def _not_listening(settings: Serving, error: Exception) -> UserError:
    """Make the error of an address that cannot be listened on."""
    return UserError(
        f"--host {shown(settings.host)} --port {settings.port} cannot be listened on "
        f"({getattr(error, 'strerror', error)}): choose another, or --port 0 for any that is free."
    )


def _say_place(settings: Serving, listener: socket.socket, token: str | None) -> None:
    """Say where the page is."""
    is_any = settings.host in ANY
    name = ANY[settings.host] if is_any else settings.host
    host = f"[{name}]" if ":" in name else name
    is_given = bool(os.environ.get(TOKEN))  # an empty one is none
    fragment = f"#{token}" if token and not is_given else ""
    elsewhere = f" (from other machines: with this one's name or address in place of {name})" if is_any else ""
    say(f"Open http://{host}:{listener.getsockname()[1]}/{fragment}{elsewhere}")
    if token:
        where = f"that of {TOKEN}" if is_given else token
        say(f"Programs send the header `Authorization: Bearer TOKEN`; the token is {where}.")
    if not settings.is_local:
        say("Answers and pictures travel unencrypted: put a proxy with TLS before it where others can listen.")
    say("Ctrl-C ends it, a second one without the answers that are still to come.")


def _serve(app: object, listener: socket.socket) -> bool:
    """Answer until a signal comes, and then what has been taken; return whether a second Ctrl-C let it do that."""
    import uvicorn

    from recipes.web.connection import Connection

    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=Connection,
        ws="none",
        log_config=None,
        log_level="critical",
        server_header=False,
        proxy_headers=False,
        access_log=False,
    )
    server = uvicorn.Server(config)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, server.handle_exit)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn raises the signal again that has ended it
        pass
    return not server.force_exit
