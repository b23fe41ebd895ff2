"""What a client sends: the pictures of a request, within bounds of size, number and time, and the questions about them."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.datastructures import QueryParams, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from recipes.errors import shown, some
from recipes.web.refusals import Refusal, busy
from recipes.web.served import Served

MAX_PICTURES = 64
MAX_TOP = 1000
# The last is what curl says of any body unless it is told otherwise.
RAW = ("image/", "application/octet-stream", "application/x-www-form-urlencoded")
MULTIPART = "multipart/form-data"
BOOLEANS = {"true": True, "false": False}
PARAMETERS = ("run", "top", "coverage", "explain")


@dataclass(frozen=True)
class Upload:
    """A picture as it came in; the name is the client's, "" without one."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Question:
    """What is asked of each picture of a request."""

    run: Served
    top: int = 3
    coverage: float | None = None
    explains: bool = False


def question(parameters: QueryParams, runs: Sequence[Served]) -> Question:
    """Read what is asked. Raises Refusal."""
    names = [name for name, _ in parameters.multi_items()]
    if unknown := [name for name in names if name not in PARAMETERS]:
        raise Refusal(400, f"There is no parameter {shown(unknown[0])!r}: choose of {', '.join(PARAMETERS)}.")
    if twice := [name for name in PARAMETERS if names.count(name) > 1]:
        raise Refusal(400, f"The parameter {twice[0]} is given twice: give it once.")
    run = _run(parameters.get("run"), runs)
    top, coverage = _top(parameters.get("top", "3")), _coverage(parameters.get("coverage"))
    explains = BOOLEANS.get(parameters.get("explain", "false"))
    if explains is None:
        raise Refusal(400, f"explain must be true or false, found {shown(parameters['explain'])!r}.")
    if coverage is not None and not run.has_sets:
        raise Refusal(400, f"coverage is not for {shown(run.name)}: it had no pictures with known labels to learn that from.")
    if explains and run.explanations is None:
        raise Refusal(400, f"explain is not for {shown(run.name)}: its network knows no places in a picture.")
    return Question(run, top, coverage, explains)


def correction(parameters: QueryParams, runs: Sequence[Served]) -> tuple[Served, list[str]]:
    """Read which labels, by what run's classes, a picture is to have. Raises Refusal."""
    if unknown := [name for name in parameters if name not in ("run", "label")]:
        raise Refusal(400, f"There is no parameter {shown(unknown[0])!r}: choose of run, label.")
    run, labels = _run(parameters.get("run"), runs), parameters.getlist("label")
    classes = run.classifier.classes
    if foreign := [name for name in labels if name not in classes]:
        raise Refusal(400, f"label must be one of {some(classes, 20)}, found {shown(foreign[0])!r}.")
    if run.classifier.task.one_label and len(labels) != 1:
        raise Refusal(400, f"A picture of {shown(run.name)} is of one class, found {len(labels)}: give label once.")
    return run, [name for name in classes if name in labels]


def _run(name: str | None, runs: Sequence[Served]) -> Served:
    """Find the run that is asked; the first, if none is named. Raises Refusal."""
    found = runs[0] if name is None else next((run for run in runs if run.name == name), None)
    if found is None:
        raise Refusal(404, f"There is no run {shown(name)!r}: choose of {some((run.name for run in runs), 20)}.")
    return found


def _top(text: str) -> int:
    """Read how many classes to rank. Raises Refusal."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= MAX_TOP):
        raise Refusal(400, f"top must be a whole number from 1 to {MAX_TOP}, found {shown(text)!r}.")
    return int(text)


def _coverage(text: str | None) -> float | None:
    """Read how often a set shall hold the right class. Raises Refusal."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise Refusal(400, f"coverage must lie between 0 and 1, such as 0.9, found {shown(text)!r}.")
    return value


@contextmanager
def in_time(status: int, sentence: str) -> Iterator[None]:
    """Refuse, in a sentence, what the request's time does not suffice for."""
    try:
        yield
    except TimeoutError:
        raise (busy(sentence) if status == 503 else Refusal(status, sentence)) from None


def check_head(request: Request, max_bytes: int) -> None:
    """Refuse, before it is read, a body that says itself that it is no picture, or is too large. Raises Refusal."""
    kind = request.headers.get("content-type", RAW[1]).lower()
    if not kind.startswith((*RAW, MULTIPART)):
        raise Refusal(
            415, f"A picture is sent as it is (image/jpeg, application/octet-stream) or in {MULTIPART}; found {shown(kind)!r}."
        )
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_large(max_bytes)


async def pictures(request: Request, max_bytes: int, take: Callable[[int], None]) -> list[Upload]:
    """Read the pictures of a request; `take` is told the bytes as they come. Raises Refusal."""
    data = await body(request, max_bytes, take)
    if not request.headers.get("content-type", "").lower().startswith(MULTIPART):
        if not data:
            raise Refusal(400, "The request has no picture: send one as its body, or several in multipart/form-data.")
        return [Upload("", data)]
    found = await _parts(request, data)
    if not found:
        raise Refusal(400, "The request has no picture: each part with a file name is one.")
    return found


async def body(request: Request, max_bytes: int, take: Callable[[int], None]) -> bytes:
    """Read a body, which may be so large. Raises Refusal."""
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > max_bytes:
                raise _too_large(max_bytes)
            take(len(part))
            parts.append(part)
    except ClientDisconnect:
        raise Refusal(400, "The request ended before it was whole.") from None
    return b"".join(parts)


def _too_large(max_bytes: int) -> Refusal:
    """Make the refusal of a body that is larger than the limit."""
    return Refusal(413, f"The request has more than {max_bytes:,} bytes, the limit: send smaller pictures, or fewer at once.")


async def _parts(request: Request, data: bytes) -> list[Upload]:
    """Take a form with files apart. Raises Refusal."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield data
        yield b""

    try:
        parser = MultiPartParser(request.headers, stream(), max_files=MAX_PICTURES, max_fields=0)
        form = await parser.parse()
    except MultiPartException as error:
        if "Too many fields" in error.message:
            raise Refusal(400, "A part of the form has no file name: each part is to be a picture.") from None
        raise Refusal(400, f"The form cannot be read ({shown(error.message).rstrip('.')}).") from None
    except Exception as error:  # the parser raises more than it says, such as KeyError without a boundary
        raise Refusal(400, f"The form cannot be read ({type(error).__name__}).") from None
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    try:
        return [Upload(shown(file.filename or ""), await file.read()) for file in files]
    finally:
        await asyncio.gather(*(file.close() for file in files))
