"""HTTP/1.1 with one client, within bounds of time and number: who says nothing, or does not listen, holds nothing for long.

uvicorn waits without end for the lines with which a request begins, and for a client to take its answer ("slowloris"), and
drops the answer of a client that closes its side after asking, as `nc -N` does; here that is not so.
"""

from asyncio import BaseTransport, TimerHandle
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from recipes.web.guard import HEADERS, NO_CONTENT, refused
from recipes.web.refusals import Refusal, busy

# For the first lines of a request, and for what is to be taken of an answer meanwhile.
PATIENCE_SECONDS = 10
MIN_TAKEN_BYTES = 16_384
MAX_CONNECTIONS = 1000
# Descriptors for everything else, of those that a process may have.
OTHER_DESCRIPTORS = 64


def most_connections() -> int:
    """Count how many clients may be connected, as far as this process may open so many."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return MAX_CONNECTIONS
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if limit < 0 else max(1, min(MAX_CONNECTIONS, limit - OTHER_DESCRIPTORS))


class Connection(H11Protocol):
    """A client: its requests come in time, its answers are taken in time, and of too many the one that waits longest goes."""

    most = most_connections()
    _timer: TimerHandle | None = None
    _unsent = 0
    _has_said_all = False

    @property
    def is_idle(self) -> bool:
        """Whether no request is being read or answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: BaseTransport) -> None:
        """Take a client in; where there are too many, in place of one that asks nothing."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > self.most:
            waiting = [one for one in self.connections if isinstance(one, Connection) and one.is_idle and one is not self]
            if waiting:
                min(waiting, key=lambda one: one.idle_until).drop()
            else:
                self._refuse(busy("There are as many clients as there may be: come again in a moment."))

    @property
    def idle_until(self) -> float:
        """When its patience ends, in seconds of the loop's clock."""
        return self._timer.when() if self._timer else 0.0

    def drop(self) -> None:
        """End it at once; it leaves the others before the loop comes to that."""
        self.connections.discard(self)
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        super().data_received(data)
        self._watch()

    def eof_received(self) -> bool:
        """Go on with a client that has sent all, as long as it has an answer to come."""
        self._has_said_all = True
        return not self.is_idle and not self.cycle.more_body

    def on_response_complete(self) -> None:
        """See what comes after an answer."""
        super().on_response_complete()
        if self._has_said_all and (self.is_idle or self.cycle.more_body):
            self.transport.close()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        super().connection_lost(exc)
        self._rest()

    def pause_writing(self) -> None:
        """Note that more is written than the client takes."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Note that the client takes what is written."""
        super().resume_writing()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP in the words and the form of all refusals; `msg` is uvicorn's."""
        self._refuse(Refusal(400, "This is no request that HTTP/1.1 knows."))

    def _refuse(self, refusal: Refusal) -> None:
        """Answer what no application is asked about, and close."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = refused(refusal)
            more = HEADERS | {"Content-Security-Policy": NO_CONTENT, "Connection": "close"}
            status = HTTPStatus(refusal.status)
            head = h11.Response(
                status_code=status.value, headers=[*answer.raw_headers, *more.items()], reason=status.phrase.encode()
            )
            for event in (head, h11.Data(data=answer.body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event))
        self.transport.close()

    def _watch(self) -> None:
        """Have the clock run while the client is to do something, and not while the server is."""
        if not self.is_idle and not self.flow.write_paused:
            self._rest()
        elif self._timer is None:
            self._unsent = self.transport.get_write_buffer_size()
            self._timer = self.loop.call_later(PATIENCE_SECONDS, self._lose_patience)

    def _rest(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _lose_patience(self) -> None:
        """End it, unless the client is taking what was written."""
        self._timer = None
        unsent = self.transport.get_write_buffer_size()
        if 0 < unsent <= self._unsent - MIN_TAKEN_BYTES:
            self._watch()
        else:
            self.transport.abort()
