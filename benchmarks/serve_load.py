"""Asks a running `zoo serve` as many clients at once would, and says how many answers came, how fast, and what it held.

    zoo serve runs/finetune/photos --port 8000
    python benchmarks/serve_load.py http://127.0.0.1:8000 photos --clients 50 --seconds 60

Each client keeps its connection and sends one picture after the other. A server's answer 503 is counted apart: beyond the
bound of its queue that is what it should say.
"""

import argparse
import asyncio
import json
import time
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path

import numpy as np

SAMPLE_SECONDS = 5


async def client(place: urllib.parse.SplitResult, bodies: list[bytes], first: int, end: float, found: list) -> None:
    """Send one picture after the other until the time is over."""
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    number = first
    while time.monotonic() < end:
        body = bodies[number % len(bodies)]
        number += 1
        began = time.monotonic()
        lines = ["POST /predict HTTP/1.1", f"Host: {place.netloc}", "Content-Type: image/jpeg", f"Content-Length: {len(body)}"]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        status, length = 0, 0
        while line := (await reader.readline()).strip():
            if line.startswith(b"HTTP/"):
                status = int(line.split()[1])
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        await reader.readexactly(length)
        found.append((status, time.monotonic() - began))
    writer.close()


def resident(address: str) -> float:
    """Read how much memory the server holds, in MiB, off its own measures."""
    text = urllib.request.urlopen(f"{address}/metrics").read().decode()
    (line,) = [line for line in text.splitlines() if line.startswith("process_resident_memory_bytes ")]
    return float(line.split()[1]) / 2**20


async def watch(address: str, end: float, found: list) -> None:
    """Read the server's memory now and then."""
    while time.monotonic() < end:
        found.append(await asyncio.to_thread(resident, address))
        await asyncio.sleep(SAMPLE_SECONDS)


async def load(address: str, bodies: list[bytes], clients: int, seconds: float) -> dict:
    """Let clients ask for some time."""
    place, end, found, memory = urllib.parse.urlsplit(address), time.monotonic() + seconds, [], []
    asked = [client(place, bodies, i * 7, end, found) for i in range(clients)]
    await asyncio.gather(watch(address, end, memory), *asked)
    statuses, times = Counter(status for status, _ in found), np.array([taken for status, taken in found if status == 200])
    return {
        "clients": clients,
        "seconds": seconds,
        "answers": dict(statuses),
        "a second": round(len(times) / seconds, 1),
        "p50 ms": round(1000 * float(np.percentile(times, 50)), 1),
        "p99 ms": round(1000 * float(np.percentile(times, 99)), 1),
        "memory MiB": [round(one) for one in memory],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    files = sorted(given.pictures.rglob("*.jpg"))[:200]
    result = asyncio.run(load(given.address.rstrip("/"), [file.read_bytes() for file in files], given.clients, given.seconds))
    print(json.dumps(result, indent=2))
