"""The application of `zoo label`: the page, its pictures, and the address to which labels go."""

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from recipes.data.decoding import quiet_threads
from recipes.data.images import Framing, read_bytes, whole
from recipes.errors import ImageError, UserError
from recipes.web import page
from recipes.web.app import handlers
from recipes.web.desk import Desk
from recipes.web.guard import Guard
from recipes.web.refusals import Refusal, of_picture
from recipes.web.uploads import body
from zoo import __version__
from zoo.disk import WriteError

# Of what the page sends, and the longer side of what it shows.
MAX_BYTES, MAX_SIDE = 100_000, 1000
QUALITY = 88
ACTIONS = ("label", "leave out", "skip", "")
JSON = "application/json"


def application(desk: Desk, framing: Framing, token: str | None) -> ASGIApp:
    """Make the application of a desk; `framing` is the run's, `token` what clients must know, None for none."""
    html = page.written("label")
    seen = replace(framing, channels=3)

    async def index(request: Request) -> Response:
        return Response(html.text, media_type="text/html; charset=utf-8", headers=html.headers)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": __version__})

    async def queue(request: Request) -> Response:
        told = await asyncio.to_thread(lambda: {"progress": desk.progress(), "next": desk.next()})
        task = {"classes": list(desk.classes), "one_label": desk.task.one_label}
        return JSONResponse(task | told)

    async def one(request: Request) -> Response:
        return JSONResponse(desk.picture(_number(request, desk)))

    async def image(request: Request) -> Response:
        file = desk.pool.listing.root / desk.pool.files[_number(request, desk)].path
        data = await asyncio.get_running_loop().run_in_executor(request.app.state.decoders, _jpeg, file, seen)
        return Response(data, media_type="image/jpeg")

    async def label(request: Request) -> Response:
        number, action, labels = _wanted(request, await body(request, MAX_BYTES, lambda size: None))
        try:
            return JSONResponse(await asyncio.to_thread(desk.put, number, action, labels))
        except UserError as error:
            raise _unsaved(
                409, "another program has changed corrections.csv: start zoo label again, which reads it", error
            ) from None
        except WriteError as error:
            raise _unsaved(507, "corrections.csv cannot be written, and the server's own output says why", error) from None

    answers: dict[str, tuple[Callable, str]] = {
        "/": (index, "GET"),
        "/health": (health, "GET"),
        "/queue": (queue, "GET"),
        "/pictures/{number}": (one, "GET"),
        "/pictures/{number}/image": (image, "GET"),
        "/labels": (label, "POST"),
    }
    routes = [Route(path, endpoint, methods=[method]) for path, (endpoint, method) in answers.items()]
    made = Starlette(routes=routes, exception_handlers=handlers("the page is at /"), lifespan=lambda app: _life(app, desk))
    made.router.redirect_slashes = False
    return Guard(made, token, MAX_BYTES, (), lambda path, status, seconds: None)


@asynccontextmanager
async def _life(app: Starlette, desk: Desk) -> AsyncIterator[None]:
    """Give threads to decode in; at the end, end them."""
    with quiet_threads() as pool:
        app.state.decoders = pool
        yield
    desk.close()


def _unsaved(status: int, reason: str, error: Exception) -> Refusal:
    """Say that a label was not saved; the whole reason, which may name folders, is for who runs the server."""
    print(f"error: {error}", file=sys.stderr)
    return Refusal(status, f"The label was not saved: {reason}.")


def _number(request: Request, desk: Desk) -> int:
    """Read which picture is asked for. Raises Refusal."""
    text = request.path_params["number"]
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) < len(desk.pool.files)):
        raise Refusal(404, f"There is no such picture: they are numbered from 0 to {len(desk.pool.files) - 1}.")
    return int(text)


def _jpeg(file: Path, framing: Framing) -> bytes:
    """Make what a browser shows of a picture, whatever its format. Raises Refusal."""
    try:
        picture, _ = whole(read_bytes(file), framing)
    except ImageError as error:
        raise Refusal(422, f"The picture {of_picture(str(error))}.") from None
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _wanted(request: Request, data: bytes) -> tuple[int, str, list[str]]:
    """Read what is wanted of which picture. Raises Refusal."""
    # No page of another site can send this type without asking first.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise Refusal(415, f"A label is sent as {JSON}.")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Refusal(400, "The body is no JSON.") from None
    if not isinstance(value, dict) or not {"picture", "action"} <= value.keys() <= {"picture", "action", "labels"}:
        raise Refusal(400, "The body must be an object with picture, action and, for a label, labels.")
    number, action, labels = value["picture"], value["action"], value.get("labels", [])
    if type(number) is not int:
        raise Refusal(400, "picture must be a whole number, as /queue gives it.")
    if action not in ACTIONS:
        raise Refusal(400, f"action must be one of {', '.join(filter(None, ACTIONS))}, or empty to take it back.")
    if not (isinstance(labels, list) and all(isinstance(name, str) for name in labels)):
        raise Refusal(400, "labels must be a list of classes' names.")
    return number, action, labels
