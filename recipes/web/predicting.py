"""What happens to a request for predictions: room, upload, decoding, the network, and words for what it says."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from starlette.requests import Request

from recipes.data.images import Framing, center, decode, dimensions
from recipes.errors import ImageError, LargeImageError
from recipes.settings.serve import Serving
from recipes.transfer.explanations import Picture
from recipes.web.collecting import Collection
from recipes.web.measures import Measures
from recipes.web.refusals import Refusal, busy, of_picture
from recipes.web.served import Served
from recipes.web.uploads import Question, Upload, check_head, correction, in_time, pictures, question
from recipes.web.waiting import LARGEST_REQUESTS, Line, Room


@dataclass(frozen=True)
class Decoded:
    """A picture as the network sees it, `(size, size, channels)`, and notes on it."""

    pixels: np.ndarray
    notes: list[str]


class Predictor:
    """Answers requests for predictions by some runs, within the bounds of the settings."""

    def __init__(self, settings: Serving, runs: Sequence[Served]):
        self._settings, self.runs = settings, runs
        self._room = Room(settings.queue, LARGEST_REQUESTS * settings.max_bytes)
        self.measures = Measures(self._room)
        self._network = ThreadPoolExecutor(1, "network")
        self._explaining = asyncio.Lock()  # it takes long: between two, those have their turn who only ask what it shows
        self._decoders = ThreadPoolExecutor(os.cpu_count() or 1, "decoder")
        self._lines = {run.name: Line(run.told, self._network, self.measures.batches.labels(run.name).observe) for run in runs}

    def close(self) -> None:
        """End the threads, whose work is done."""
        for pool in (self._decoders, self._network):
            pool.shutdown(cancel_futures=True)

    async def predict(self, request: Request) -> dict:
        """Answer a request, as values for JSON. Raises Refusal."""
        asked = question(request.query_params, self.runs)
        check_head(request, self._settings.max_bytes)
        self._room.check(1, 0)  # who would find no room need not send it
        with self._room.coming() as take:
            loop = asyncio.get_running_loop()
            end = loop.time() + self._settings.timeout
            uploads = await self._uploads(request, end, take)
            if len(uploads) > self._settings.queue:
                raise Refusal(
                    413, f"The request has {len(uploads)} pictures, and {self._settings.queue} may wait: send fewer at once."
                )
            with self._room.place(len(uploads)), in_time(503, "There was no answer in time: come again in a moment."):
                async with asyncio.timeout_at(end):
                    told = await asyncio.gather(*(self._picture(upload, asked) for upload in uploads))
        if all(one["error"] for one in told):
            status = next((one.pop("status") for one in told), 422)
            raise Refusal(status, f"{told[0]['file'] or 'The picture'} {told[0]['error']}.")
        for one in told:
            one.pop("status", None)
        return {"run": asked.run.name, "predictions": list(told)}

    async def keep(self, request: Request, collection: Collection) -> dict:
        """Keep the picture of a request with its labels, as values for JSON. Raises Refusal."""
        run, labels = correction(request.query_params, self.runs)
        check_head(request, self._settings.max_bytes)
        self._room.check(1, 0)
        with self._room.coming() as take:
            loop = asyncio.get_running_loop()
            uploads = await self._uploads(request, loop.time() + self._settings.timeout, take)
            if len(uploads) > 1:
                raise Refusal(400, f"A correction is of one picture, found {len(uploads)}: send each by itself.")
            try:  # that it is one
                await loop.run_in_executor(self._decoders, self._decode, uploads[0].data, run.classifier.framing)
            except ImageError as error:
                status = 413 if isinstance(error, LargeImageError) else 422
                raise Refusal(status, f"The picture {of_picture(str(error))}.") from None
            except MemoryError:
                raise busy("There is too little memory for this picture: come again in a moment.") from None
            name = await loop.run_in_executor(self._decoders, collection.add, uploads[0].data, labels)
        return {"name": name, "labels": labels}

    async def _uploads(self, request: Request, end: float, take: Callable[[int], None]) -> list[Upload]:
        """Read the pictures of a request before its time has come; `take` is told the bytes as they come. Raises Refusal."""
        with in_time(408, f"The request was not whole after {self._settings.timeout:g} seconds."):
            async with asyncio.timeout_at(end):
                return await pictures(request, self._settings.max_bytes, take)

    async def _picture(self, upload: Upload, asked: Question) -> dict:
        """Answer for one picture of a request; for one that cannot be read, with the reason."""
        loop, count = asyncio.get_running_loop(), self.measures.pictures
        try:
            decoded = await loop.run_in_executor(self._decoders, self._decode, upload.data, asked.run.classifier.framing)
        except ImageError as error:
            count.labels(asked.run.name, "refused").inc()
            status = 413 if isinstance(error, LargeImageError) else 422
            return nothing(upload.name, of_picture(str(error))) | {"status": status}
        except MemoryError:
            raise busy("There is too little memory for this picture: come again in a moment.") from None
        told = await self._lines[asked.run.name].ask(decoded.pixels)
        answer = asked.run.answer(upload.name, told, decoded.notes, asked.top)
        found = nothing(upload.name) | {
            "prediction": answer.prediction,
            "probability": answer.probability,
            "ranked": [{"class": name, "probability": share} for name, share in answer.ranked],
            "set": None if asked.coverage is None else asked.run.set(told, asked.coverage),
            "unknown": told.is_unknown,
            "notes": list(decoded.notes),
        }
        if asked.explains:
            digest = hashlib.sha256(upload.data).hexdigest()
            picture = Picture(upload.name, digest, decoded.pixels)
            async with self._explaining:
                found["explanation"] = await loop.run_in_executor(self._network, asked.run.explained, picture)
        count.labels(asked.run.name, "answered").inc()
        return found

    def _decode(self, data: bytes, framing: Framing) -> Decoded:
        """Decode a picture whose header says that it is small enough. Raises ImageError."""
        width, height = dimensions(data)
        if width * height > self._settings.max_pixels:
            limit = self._settings.max_pixels
            raise LargeImageError(f"has {width * height:,} pixels, more than the limit of {limit:,}")
        pixels, notes = decode(data, framing)
        return Decoded(center(pixels, framing), notes)


def nothing(name: str, error: str | None = None) -> dict:
    """Make what is said of a picture of which there is nothing to say yet."""
    names = ("prediction", "probability", "ranked", "set", "unknown", "notes", "explanation")
    return {"file": name or None, **dict.fromkeys(names), "error": error}
