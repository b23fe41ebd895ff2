"""Lets clients of a running `zoo serve` dawdle in four ways, and says how fast others are answered meanwhile.

    zoo serve runs/finetune/photos --port 8000
    python benchmarks/serve_dawdlers.py http://127.0.0.1:8000 photo.jpg

They send headers without end, say nothing at all, send a byte of a picture now and then, or ask for pages and read none.
"""

import argparse
import asyncio
import contextlib
import json
import time
import urllib.parse
from pathlib import Path

from serve_load import resident

# Longer than the server's patience, and than --timeout.
SECONDS = 45


async def dawdle(place: urllib.parse.SplitResult, first: bytes, then: bytes, reads: bool) -> float:
    """Send the first bytes, and then others twice a second; gives the seconds until the server ended it."""
    began = time.monotonic()
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        if not reads:
            writer.transport.pause_reading()
        writer.write(first)
        while time.monotonic() < began + SECONDS:
            writer.write(then)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    if not reads:
                        await writer.drain()
                        await asyncio.sleep(0.5)
                    elif not await reader.read(1 << 16):
                        break
            if writer.transport.is_closing():
                break
        writer.transport.abort()
    return time.monotonic() - began


async def asked(place: urllib.parse.SplitResult, picture: bytes) -> float:
    """Ask about a picture as others do; gives the seconds to the answer."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    head = f"POST /predict HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\nContent-Length: {len(picture)}\r\n\r\n"
    writer.write(head.encode() + picture)
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
    return time.monotonic() - began


async def measured(address: str, picture: bytes, clients: int, how: tuple[bytes, bytes, bool]) -> dict:
    """Have so many clients dawdle, and ask every second meanwhile."""
    place, before = urllib.parse.urlsplit(address), await asyncio.to_thread(resident, address)
    dawdlers = [asyncio.create_task(dawdle(place, *how)) for _ in range(clients)]
    others, most = [], before
    while not all(one.done() for one in dawdlers):
        await asyncio.sleep(1)
        others.append(await asked(place, picture))
        most = max(most, await asyncio.to_thread(resident, address))
    ended = [one.result() for one in dawdlers]
    return {
        "clients": clients,
        "ended after": [round(min(ended), 1), round(max(ended), 1)],
        "others, slowest s": round(max(others), 3),
        "memory MiB": [round(before), round(most)],
    }


async def all_ways(address: str, picture: bytes) -> None:
    """Measure each way."""
    host = f"Host: {urllib.parse.urlsplit(address).netloc}\r\n"
    upload = f"POST /predict HTTP/1.1\r\n{host}Content-Length: 100000\r\n\r\n".encode()
    pages = f"GET / HTTP/1.1\r\n{host}\r\n".encode() * 1000
    for name, clients, how in (
        ("headers without end", 300, (f"GET / HTTP/1.1\r\n{host}".encode(), b"X: y\r\n", True)),
        ("nothing", 1000, (b"", b"", True)),
        ("a byte of a picture", 200, (upload, b"x", True)),
        ("reads no page", 20, (pages, pages, False)),
    ):
        print(name, json.dumps(await measured(address, picture, clients, how)), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    asyncio.run(all_ways(given.address.rstrip("/"), given.picture.read_bytes()))
