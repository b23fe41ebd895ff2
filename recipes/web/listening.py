"""How a command listens: its address, the token that others need, and a server that answers what it has taken, then ends."""

import importlib.util
import logging
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
# Addresses that stand for all of a machine's, with the one by which it reaches itself.
ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


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
        raise not_listening(settings, error) from None
    return listener


def not_listening(settings: ListeningCommand, error: Exception) -> UserError:
    """Make the error of an address that cannot be listened on."""
    return UserError(
        f"--host {shown(settings.host)} --port {settings.port} cannot be listened on "
        f"({getattr(error, 'strerror', error)}): choose another, or --port 0 for any that is free."
    )


def say_place(settings: ListeningCommand, listener: socket.socket, token: str | None) -> None:
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


def serve(app: object, listener: socket.socket) -> bool:
    """Answer until a signal comes, and then what has been taken; return whether a second Ctrl-C let it do that."""
    import uvicorn

    from recipes.web.connection import Connection

    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # what is wrong with a form its sender is told
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


def run_until_ended(settings: ListeningCommand, app: object, listener: socket.socket, token: str | None) -> bool:
    """Listen, say where, and answer until a signal comes; return whether all that was taken was answered. Raises UserError."""
    try:
        listener.listen()  # who comes from here on waits until the server is up, and is not refused
    except OSError as error:  # another took the address meanwhile
        raise not_listening(settings, error) from None
    say_place(settings, listener, token)
    return serve(app, listener)
