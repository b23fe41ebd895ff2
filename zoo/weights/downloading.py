"""A download that goes on where it was cut off, and reads no more than its publisher states.

The Hugging Face hub states a large file's sha256 and size in the first answer, `X-Linked-Etag` and `X-Linked-Size`; the
storage that it leads on to does not.
"""

import contextlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from zoo.progress import Progress
from zoo.weights.formats.tensors import WeightsError

CHUNK = 1 << 20
SECONDS = 30


@dataclass(frozen=True)
class Statement:
    """What an address says of the file that it leads to; None: nothing."""

    sha256: str | None = None
    size: int | None = None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects and keeps the headers of every answer that led on."""

    def __init__(self):
        self.answers: list[http.client.HTTPMessage] = []

    def redirect_request(
        self, req: urllib.request.Request, fp: IO, code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        self.answers.append(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextlib.contextmanager
def answer(address: str, have: int) -> Iterator[tuple[http.client.HTTPResponse, Statement, int]]:
    """Ask for a file from byte `have` on: (the response, what was stated of the file, the byte that it begins with).

    Raises:
        URLError: there is no answer, or none with a file.
    """
    redirects = _Redirects()
    opener = urllib.request.build_opener(redirects)
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = opener.open(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        error.close()  # it is the server's answer, with an open connection
        if not (have and error.code == 416):  # the part is complete, or longer than the file
            raise
        response = opener.open(address, timeout=SECONDS)
    with response:
        # A server, or file://, that does not know ranges sends the whole file again.
        start = have if getattr(response, "status", None) == 206 else 0
        yield response, _stated([*redirects.answers, response.headers]), start


def _stated(answers: list[Mapping[str, str]]) -> Statement:
    """Find the digest and the size in the first answer that has them; a digest of another kind is none."""
    etags = (headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"').lower() for headers in answers)
    sizes = (headers.get("X-Linked-Size", "") for headers in answers)
    return Statement(
        next((etag for etag in etags if re.fullmatch("[0-9a-f]{64}", etag)), None),
        next((int(size) for size in sizes if re.fullmatch("[0-9]{1,18}", size)), None),
    )


def receive(response: http.client.HTTPResponse, part: Path, start: int, stated: int | None, most: int, name: str) -> None:
    """Write what comes behind the part's first `start` bytes.

    Args:
        stated: bytes of the whole file; None if nobody said.
        most: bytes that the file can have at all.

    Raises:
        WeightsError: more comes, or is announced, than there can be; the part is removed.
        OSError: less comes.
    """
    length = response.headers.get("Content-Length") or ""
    announced = start + int(length) if length.isdecimal() else None
    if stated is not None and announced not in (None, stated):
        part.unlink()
        raise WeightsError(f"is announced with {announced:,} bytes, where its publisher states {stated:,}")
    limit = stated or announced or most
    if limit > most:
        part.unlink()
        raise WeightsError(f"is announced with {limit:,} bytes, where these weights need no more than {most:,}")
    come = start
    with open(part, "ab" if start else "wb") as out, Progress(name, stated or announced or 0, "MB", 1e-6) as progress:
        progress.skip(start)
        while come <= limit and (chunk := response.read(min(CHUNK, limit + 1 - come))):
            out.write(chunk)
            come += len(chunk)
            progress.advance(len(chunk))
    if come > limit:
        part.unlink()
        raise WeightsError(f"has more than the {limit:,} bytes that it may have")
    if (stated or announced) and come < limit:
        raise OSError(f"{come:,} of {limit:,} bytes came")
