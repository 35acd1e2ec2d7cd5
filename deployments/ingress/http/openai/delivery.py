"""What images look like to OpenAI's clients: one JSON answer, or events as they are done."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from sse_starlette import JSONServerSentEvent

from deployments.composition import MEDIA_TYPES, FileFormat
from deployments.errors import ServiceError
from deployments.ingress.core.deadline import Deadline
from deployments.ingress.core.events import ImageProgress, ImageStored, Made
from deployments.ingress.core.generation import Generation
from deployments.ingress.core.idempotency import NOT_KEPT, KeptAnswer
from deployments.ingress.core.result_files import ResultFiles
from deployments.ingress.http import problems
from deployments.ingress.http.delivery import Delivery
from deployments.ingress.http.openai.answers import (
    Background,
    CompletedEvent,
    ImageObject,
    ImagesResponse,
)
from deployments.ingress.http.openai.failures import failure, renamed
from deployments.ingress.http.openai.fields import Asked

Told = tuple[str, Mapping[str, Any]]
"""Name and data of an event that tells of an image, as of `Delivery.told`."""

_FORMATS: Mapping[str, FileFormat] = {kind: name for name, kind in MEDIA_TYPES.items()}


class Rendering:
    """Renders generations, and answers that were given before.

    What it makes of either is kept as under /api/: with URLs, whatever this caller asked for.

    Args:
        delivery: Renders them as under /api/.
        results: Reads the images that come in the answer.
        asked: What was asked for.
        deadline: The request's.
        base: Scheme and host the caller used.
    """

    def __init__(
        self,
        delivery: Delivery,
        results: ResultFiles,
        asked: Asked,
        deadline: Deadline,
        base: str,
    ) -> None:
        self._delivery = delivery
        self._results = results
        self._asked = asked
        self._deadline = deadline
        self._base = base

    async def whole(self, generation: Generation, images: Sequence[Made]) -> dict[str, Any]:
        """The JSON answer of a generation.

        Args:
            generation: What made the images.
            images: What it made, in order.

        Raises:
            ServiceError: An image could not be read back.
        """
        kept = await self._delivery.kept(generation, self._asked.order, images, self._base)
        told = [self._delivery.told(image, self._base) for image in images]
        return await self._answer(told, kept.model_dump())

    async def replayed(self, kept: KeptAnswer) -> dict[str, Any]:
        """The JSON answer that was given before.

        Raises:
            ServiceError: As in `whole`; also where an image is deleted that shall come in it.
        """
        return await self._answer(kept.events, kept.answer)

    async def events(
        self, generation: Generation, request_id: str, failed: Callable[[ServiceError], None]
    ) -> AsyncGenerator[JSONServerSentEvent]:
        """Events as the images are done. Closing it cancels the generation.

        Args:
            generation: What makes them.
            request_id: For the log and an error's body.
            failed: Is told the error that ended the stream.
        """
        made: list[Made] = []
        try:
            async with aclosing(generation.events()) as events:
                async for event in events:
                    if isinstance(event, ImageProgress):
                        continue
                    made.append(event)
                    warnings = event.warnings if isinstance(event, ImageStored) else ()
                    told = self._delivery.told(event, self._base)
                    yield _sent(await self._event(told, warnings))
            made.sort(key=lambda image: image.index)
            done = await self._delivery.kept(generation, self._asked.order, made, self._base)
            if NOT_KEPT in done.warnings:
                yield _sent({"type": "warning", "message": NOT_KEPT})
        except Exception as error:
            # The answer has begun, so that its status cannot tell any more.
            shown = problems.as_service_error(error, request_id)
            failed(shown)
            problem = failure(problems.body(shown, request_id), shown.status, self._asked.names)
            yield _sent({"type": "error", **problem})
        finally:
            generation.close()

    async def replayed_events(self, kept: KeptAnswer) -> AsyncGenerator[JSONServerSentEvent]:
        """The events of an answer that was given before."""
        warnings = kept.answer.get("warnings", [])
        for told in kept.events:
            yield _sent(await self._event(told, warnings if isinstance(warnings, list) else []))

    async def _answer(self, told: Iterable[Told], answer: Mapping[str, Any]) -> dict[str, Any]:
        images = [data for name, data in told if name == "image"]
        return ImagesResponse(
            created=int(time.time()),
            data=[ImageObject(**await self._image(image)) for image in images],
            background=self._background,
            output_format=_format(images[0]),
            quality=self._asked.quality,
            size=_size(images[0]),
            warnings=self._warnings(answer["warnings"]),
            withheld=answer["withheld"],
        ).sparse()

    async def _event(self, told: Told, warnings: Iterable[str]) -> dict[str, Any]:
        name, image = told
        if name != "image":
            return {"type": "image_edit.withheld", **image}
        event = CompletedEvent(
            **await self._image(image),
            created_at=int(time.time()),
            background=self._background,
            output_format=_format(image),
            quality=self._asked.quality,
            size=_size(image),
            index=image["index"],
        )
        return {**event.sparse(), "warnings": self._warnings(warnings)}

    async def _image(self, image: Mapping[str, Any]) -> dict[str, Any]:
        """An image's content or URL, its seed and its fidelity."""
        told = {name: image[name] for name in ("seed", "fidelity")}
        if self._asked.response_format == "url":
            return {**told, "url": image["url"]}
        key = str(image["url"]).rpartition("/")[2].partition(".")[0]
        async with self._deadline.bounds():
            stored = await self._results.load(key, _format(image))
        encoded = await asyncio.to_thread(base64.b64encode, stored.file)
        return {**told, "b64_json": encoded.decode("ascii")}

    def _warnings(self, sentences: Iterable[str]) -> list[str]:
        return [renamed(sentence, self._asked.names) for sentence in sentences]

    @property
    def _background(self) -> Background:
        clear = self._asked.order.look.background == "transparent"
        return "transparent" if clear else "opaque"


def _format(image: Mapping[str, Any]) -> FileFormat:
    return _FORMATS[image["media_type"]]


def _size(image: Mapping[str, Any]) -> str:
    return f"{image['width']}x{image['height']}"


def _sent(data: Mapping[str, Any]) -> JSONServerSentEvent:
    return JSONServerSentEvent(data, event=str(data["type"]))
