"""The application: which address answers what.

It is made of Starlette alone: pages of documentation that frameworks for interfaces bring fetch scripts and fonts from
elsewhere. The interface is described by `openapi`, and tests hold it to that.
"""

import sys
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from recipes.settings.serve import Serving
from recipes.web import openapi, page
from recipes.web.collecting import Collection
from recipes.web.guard import Guard, refused
from recipes.web.measures import CONTENT_TYPE
from recipes.web.predicting import Predictor
from recipes.web.refusals import Refusal
from recipes.web.served import Served
from zoo import __version__


def application(settings: Serving, runs: Sequence[Served], token: str | None, collection: Collection | None) -> ASGIApp:
    """Make the application that serves some runs.

    Args:
        token: what clients must know; None for none.
        collection: where pictures go whose answer a person corrects; None if nothing is kept.
    """
    predictor, html = Predictor(settings, runs), page.written("page")
    document = openapi.document(settings, [run.name for run in runs], token is not None)

    async def predict(request: Request) -> Response:
        return JSONResponse(await predictor.predict(request))

    async def correct(request: Request) -> Response:
        return JSONResponse(await predictor.keep(request, collection))

    async def models(request: Request) -> Response:
        return JSONResponse({"models": [run.as_dict() for run in runs], "collects": collection is not None})

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": __version__})

    async def metrics(request: Request) -> Response:
        return Response(predictor.measures.text(), media_type=CONTENT_TYPE)

    async def described(request: Request) -> Response:
        return JSONResponse(document)

    async def index(request: Request) -> Response:
        return Response(html.text, media_type="text/html; charset=utf-8", headers=html.headers)

    answers: dict[str, tuple[Callable, str]] = {
        "/": (index, "GET"),
        "/predict": (predict, "POST"),
        "/models": (models, "GET"),
        "/health": (health, "GET"),
        "/metrics": (metrics, "GET"),
        "/openapi.json": (described, "GET"),
    }
    if collection is not None:
        answers["/corrections"] = correct, "POST"
    routes = [Route(path, endpoint, methods=[method]) for path, (endpoint, method) in answers.items()]
    refusing = handlers("/openapi.json lists what there is")
    made = Starlette(routes=routes, exception_handlers=refusing, lifespan=lambda app: _life(predictor))
    made.router.redirect_slashes = False
    return Guard(made, token, settings.max_bytes, answers.keys(), predictor.measures.answered)


@asynccontextmanager
async def _life(predictor: Predictor) -> AsyncIterator[None]:
    """Keep Pillow's warnings about odd metadata off the screen; at the end, end the threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        predictor.close()


def handlers(hint: str) -> dict[type[Exception], Callable]:
    """Make what answers where an address raised; `hint` says, behind a colon, what there is."""

    async def no_such(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            return refused(Refusal(405, "This address does not answer that method.", dict(error.headers or {})))
        return refused(Refusal(404, f"There is nothing at this address: {hint}."))

    return {Refusal: _refuse, HTTPException: no_such, Exception: _failed}


async def _refuse(request: Request, error: Refusal) -> Response:
    """Answer what was refused."""
    return refused(error)


async def _failed(request: Request, error: Exception) -> Response:
    """Answer what went wrong here: the reason is for who runs the server."""
    print(f"error: {request.url.path} failed ({type(error).__name__}: {error}).", file=sys.stderr)
    return refused(Refusal(500, "The server failed to answer; its own output says why."))
