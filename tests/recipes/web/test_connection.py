"""Clients that dawdle, do not listen, say no HTTP, or are too many: none of them holds what others need."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("uvicorn")

import uvicorn

from recipes.web import connection

PATIENCE = 0.5
SECONDS = 30
LARGE = b"x" * 30_000_000  # more than is read slowly below, however fast the machine
HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


async def answer(scope, receive, send) -> None:
    """Answer with how many bytes came, or with more than a connection holds; `/slow` waits for `released`."""
    if scope["type"] != "http":
        return
    size, is_whole = 0, False
    while not is_whole:
        message = await receive()
        size, is_whole = size + len(message.get("body", b"")), not message.get("more_body")
    if scope["path"] == "/slow":
        await released.wait()
    body = LARGE if scope["path"] == "/large" else str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


class Released:
    """An event that another thread sets, and a coroutine waits for."""

    def __init__(self):
        self.event = threading.Event()

    async def wait(self) -> None:
        while not self.event.is_set():
            await asyncio.sleep(0.01)


released = Released()


@pytest.fixture
def server(monkeypatch) -> Iterator[uvicorn.Server]:
    """A server in a thread, which loses its patience soon."""
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", PATIENCE)
    released.event.clear()
    listener = socket.create_server(("127.0.0.1", 0))
    settings = uvicorn.Config(answer, http=connection.Connection, loop="asyncio", ws="none", log_level="critical")
    running = uvicorn.Server(settings)
    running.port, running.clients = listener.getsockname()[1], []
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield running
    released.event.set()
    running.should_exit = True
    thread.join(SECONDS)
    for one in running.clients:
        one.close()
    assert not thread.is_alive(), "somebody holds the server up"


def connect(server: uvicorn.Server, data: bytes = b"") -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS)
    server.clients.append(opened)
    opened.sendall(data)
    return opened


def rest(opened: socket.socket) -> bytes:
    """All that comes until the other side closes, politely or not."""
    found = b""
    try:
        while part := opened.recv(1 << 16):
            found += part
    except ConnectionResetError:
        pass
    return found


def told(found: bytes) -> tuple[int, dict]:
    """Status and JSON of a refusal."""
    head, _, body = found.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.fault(
    "Prediction",
    "clients of `zoo serve` that send a request's first lines a byte at a time, or nothing, or take no answer",
    "each is cut off after ten seconds, and others are answered meanwhile",
    "a few hundred such connections would keep everybody else out (slowloris)",
)
def test_who_dawdles_over_the_head_or_says_nothing_is_cut_off(server):
    silent, slow = [connect(server) for _ in range(20)], connect(server, HEAD)
    began = time.monotonic()
    assert rest(connect(server, HEAD + b"Connection: close\r\n\r\n")).endswith(b"\r\n\r\n0")
    try:
        while time.monotonic() < began + SECONDS:
            slow.sendall(b"X: y\r\n")
            time.sleep(0.02)
    except OSError:
        pass
    assert time.monotonic() - began < SECONDS / 2
    assert {rest(one) for one in silent} == {b""}


def test_who_takes_no_answer_is_cut_off_and_who_takes_it_slowly_is_not(server):
    deaf, slow = (connect(server, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(2))
    count, end = 0, time.monotonic() + 4 * PATIENCE
    while time.monotonic() < end:
        count += len(slow.recv(1 << 16))
        time.sleep(0.01)
    assert LARGE[:1000] in (found := rest(slow)) and count + len(found) > len(LARGE)
    assert len(rest(deaf)) < len(LARGE)


def test_who_closes_its_side_after_asking_is_answered(server):
    asked = connect(server, b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc" + HEAD + b"\r\n")
    asked.shutdown(socket.SHUT_WR)
    time.sleep(0.1)
    released.event.set()
    found = rest(asked)
    assert found.count(b"HTTP/1.1 200") == 2 and b"\r\n\r\n3HTTP" in found and found.endswith(b"\r\n\r\n0")


def test_of_too_many_the_one_that_waits_longest_goes(server, monkeypatch):
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", SECONDS)
    monkeypatch.setattr(connection.Connection, "most", 3)
    silent = [connect(server) for _ in range(3)]
    busy = [connect(server, b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(3)]
    assert [rest(one) for one in silent] == [b""] * 3
    refused = rest(connect(server))
    status, said = told(refused)
    assert status == 503 and b"retry-after: 1\r\n" in refused.lower() and "as many clients" in said["error"]
    released.event.set()
    assert all(one.recv(1000).startswith(b"HTTP/1.1 200") for one in busy)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        HEAD + b"X: " + b"a" * 100_000,
        HEAD + b"Host: evil\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
    ],
    ids=["TLS", "a header without end", "two hosts", "no chunk", "less than nothing"],
)
def test_what_is_no_http_is_refused_in_the_words_of_all_refusals(server, data):
    assert told(rest(connect(server, data))) == (400, {"error": "This is no request that HTTP/1.1 knows."})
