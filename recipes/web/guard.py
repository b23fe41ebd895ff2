"""Who may ask, what every answer carries, and how what is refused is answered.

A server that only this machine reaches needs no token, but any page in a browser here could ask it: so the name by which it is
asked must be this machine's (else a page elsewhere that names its own host as 127.0.0.1, "DNS rebinding", could read answers),
and what comes from another site's page is refused. A token keeps such pages out by itself: then a proxy before the server may
have any name.
"""

import asyncio
import contextlib
import hmac
import time
from collections.abc import Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recipes.web.refusals import Refusal

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
# Asked by who has no token yet: the page, which asks for it, and whether the server lives.
OPEN_PATHS = ("/", "/health")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# What is still read of a request that is refused, for who still sends does not hear an answer: so many times the limit of its
# size, and for so long.
FORGOTTEN, FORGOTTEN_SECONDS = 10, 5
NO_CONTENT = "default-src 'none'; frame-ancestors 'none'"


class Guard:
    """Wraps an application.

    Args:
        token: what clients must know; None on a server that only this machine reaches.
        max_bytes: the limit of a request's size.
        count: is told path, status and seconds of each answer.
        paths: those that there are; all others are counted as one.
    """

    def __init__(self, app: ASGIApp, token: str | None, max_bytes: int, paths: Collection[str], count: Callable):
        self._app, self._token, self._max_bytes, self._paths, self._count = app, token, max_bytes, paths, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500
        body = Body(receive)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status, headers = message["status"], MutableHeaders(scope=message)
                if status >= 400:
                    if "expect" not in Headers(scope=scope) and status != 408:  # these do not send
                        await body.forget(FORGOTTEN * self._max_bytes)
                    if not body.is_whole:
                        headers["Connection"] = "close"  # nobody waits for what comes yet
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Content-Security-Policy", NO_CONTENT)
            await send(message)

        try:
            refusal = self._refusal(scope)
            answer = refused(refusal) if refusal else self._app
            await answer(scope, body.receive, send_with_headers)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._count(path, status, time.monotonic() - began)

    def _refusal(self, scope: Scope) -> Refusal | None:
        """Say why a request is not answered at all; None if it is."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._token is None and host_name(host) not in LOCAL_NAMES:
            return Refusal(421, "This server is asked by the name of another: open it as localhost or 127.0.0.1.")
        if _from_elsewhere(headers) and scope["path"] != "/":
            return Refusal(403, "Pages of other sites may not ask this server.")
        if self._token is None or scope["path"] in OPEN_PATHS:
            return None
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token.encode()):
            return None
        return Refusal(
            401, "This server asks for its token, as the header `Authorization: Bearer TOKEN`.", {"WWW-Authenticate": "Bearer"}
        )


def _from_elsewhere(headers: Headers) -> bool:
    """Whether the page of another site asks; a browser that does not say so says at least where a page is from."""
    if "sec-fetch-site" in headers:
        return headers["sec-fetch-site"] not in ("none", "same-origin")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower()


class Body:
    """Passes the parts of a request's body on, and knows whether all have come."""

    def __init__(self, receive: Receive):
        self._receive, self.is_whole = receive, False

    async def receive(self) -> Message:
        """Wait for the next part."""
        message = await self._receive()
        self.is_whole = not message.get("more_body", False)
        return message

    async def forget(self, most: int) -> None:
        """Read what is left, up to so many bytes, and keep nothing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FORGOTTEN_SECONDS):
                while not self.is_whole and most > 0:
                    most -= len((await self.receive()).get("body", b""))


def host_name(host: str) -> str:
    """Take the port off a Host header."""
    name, _, port = host.rpartition(":")
    return (name if name and port.isdecimal() else host).lower()


def refused(refusal: Refusal) -> JSONResponse:
    """Make the answer of a refusal."""
    return JSONResponse({"error": refusal.sentence}, refusal.status, refusal.headers)
