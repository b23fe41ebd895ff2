"""How a command listens: its address, the token that others need, and a server that answers what it has taken, then ends."""

import importlib.util
import os
import secrets
import signal
import socket

from recipes.console import say
from recipes.errors import UserError, shown, some
from recipes.settings.listening import ListeningCommand

# Modules, and the packages that bring them.
LIBRARIES = {
    "starlette": "starlette",
    "uvicorn": "uvicorn",
    "python_multipart": "python-multipart",
    "prometheus_client": "prometheus-client",
}
TOKEN = "ZOO_TOKEN"
MIN_TOKEN = 16


def check_installed(command: str) -> None:
    """See that there is what serves. Raises UserError."""
    if missing := [name for module, name in LIBRARIES.items() if importlib.util.find_spec(module) is None]:
        raise UserError(
            f"`zoo {command}` needs {some(missing)}, which is not installed: `pip install 'keras-transfer-zoo[serve]'`."
        )


def token_of(settings: ListeningCommand) -> str | None:
    """Find or make what clients must know; None where nobody else reaches the server, and there is none. Raises UserError."""
    given = os.environ.get(TOKEN, "")
    if given and (len(given) < MIN_TOKEN or not (given.isascii() and given.isprintable() and " " not in given)):
        raise UserError(f"{TOKEN} must have at least {MIN_TOKEN} letters, digits or signs of ASCII, without blanks.")
    return given or (None if settings.is_local else secrets.token_urlsafe(24))


def listener_of(settings: ListeningCommand) -> socket.socket:
    """Open the address, before anything takes time. Raises UserError."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"--host {shown(settings.host)} --port {settings.port} cannot be listened on "
            f"({getattr(error, 'strerror', error)}): choose another, or 0 for any free port."
        ) from None
    return listener


def say_place(settings: ListeningCommand, listener: socket.socket, token: str | None) -> None:
    """Say where the page is."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    fragment = f"#{token}" if token and TOKEN not in os.environ else ""
    say(f"Open http://{host}:{listener.getsockname()[1]}/{fragment}")
    if token:
        where = f"that of {TOKEN}" if TOKEN in os.environ else token
        say(f"Programs send the header `Authorization: Bearer TOKEN`; the token is {where}.")
    if not settings.is_local:
        say("Answers and pictures travel unencrypted: put a proxy with TLS before it where others can listen.")
    say("Ctrl-C ends it.")


def serve(app: object, listener: socket.socket) -> None:
    """Answer until a signal comes, and then what has been taken."""
    import uvicorn

    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
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
