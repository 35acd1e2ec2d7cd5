"""What a generation's images look like to the caller: one JSON answer, or events as they happen."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from sse_starlette import JSONServerSentEvent

from deployments.composition import MEDIA_TYPES
from deployments.errors import ServiceError
from deployments.ingress.core.events import (
    ImageProgress,
    ImageStored,
    ImageWithheld,
    Made,
    Waiting,
)
from deployments.ingress.core.generation import Generation
from deployments.ingress.core.idempotency import NOT_KEPT, KeptAnswer
from deployments.ingress.core.orders import Order
from deployments.ingress.core.result_urls import ResultUrls
from deployments.ingress.http import problems
from deployments.ingress.http.answers import (
    DetailEntry,
    FidelityEntry,
    ImageEvent,
    ImagesAnswer,
    ProgressEvent,
    WaitingEvent,
    WithheldEntry,
)
from deployments.ingress.http.outcome import NO_MODEL


class Delivery:
    """Renders generations.

    Args:
        urls: Names the images.
    """

    def __init__(self, urls: ResultUrls) -> None:
        self._urls = urls

    def whole(self, order: Order, made: Sequence[Made], base: str) -> ImagesAnswer:
        """The JSON answer.

        Args:
            order: What was asked for.
            made: What was made, in order.
            base: Scheme and host the caller used.
        """
        images = [image for image in made if isinstance(image, ImageStored)]
        return ImagesAnswer(
            images=[self._urls.url(image.key, image.file_format, base) for image in images],
            model_used=(order.model if order.look.painted else None) or NO_MODEL,
            prompt_used=order.prompt,
            seeds=[image.seed for image in images],
            fidelity=[_fidelity(image) for image in images],
            details=[_detail(image) for image in images],
            warnings=list(dict.fromkeys(text for image in images for text in image.warnings)),
            withheld=[_withheld(image) for image in made if isinstance(image, ImageWithheld)],
        )

    async def events(
        self,
        order: Order,
        generation: Generation,
        base: str,
        request_id: str,
        failed: Callable[[ServiceError], None],
    ) -> AsyncGenerator[JSONServerSentEvent]:
        """`waiting`, `progress`, `image` and `withheld` events, then `done` or `error`.

        Closing it cancels the generation.

        Args:
            order: What was asked for.
            generation: What makes it.
            base: Scheme and host the caller used.
            request_id: For the log and an error's body.
            failed: Is told the error that ended the stream.
        """
        made: list[Made] = []
        try:
            if generation.waiting is not None:
                yield waiting(generation.waiting)
            async with aclosing(generation.events()) as events:
                async for event in events:
                    if isinstance(event, ImageProgress):
                        yield _progress(event)
                        continue
                    made.append(event)
                    name, data = self.told(event, base)
                    yield JSONServerSentEvent(data, event=name)
            made.sort(key=lambda image: image.index)
            done = await self.kept(generation, order, made, base)
            yield JSONServerSentEvent(done.model_dump(), event="done")
        except Exception as error:
            # The answer has begun, so that its status cannot tell any more.
            shown = problems.as_service_error(error, request_id)
            failed(shown)
            yield JSONServerSentEvent(problems.body(shown, request_id), event="error")
        finally:
            generation.close()

    async def kept(
        self, generation: Generation, order: Order, made: Sequence[Made], base: str
    ) -> ImagesAnswer:
        """The JSON answer, kept for its idempotency key where it has one.

        Args:
            generation: What made the images.
            order: What was asked for.
            made: What was made, in order.
            base: Scheme and host the caller used.
        """
        answer = self.whole(order, made, base)
        events = [self.told(image, base) for image in made]
        if not await generation.keep(answer.model_dump(), events):
            answer.warnings.append(NOT_KEPT)
        return answer

    def moved(self, kept: KeptAnswer, base: str) -> KeptAnswer:
        """An answer that was given before, with the URLs that this caller can use.

        Args:
            kept: As it was given.
            base: Scheme and host the caller used.
        """
        return kept.moved(lambda told: self._urls.moved(told, base))

    def told(self, made: Made, base: str) -> tuple[str, dict[str, object]]:
        """Name and data of the event that tells of an image.

        Args:
            made: The image.
            base: Scheme and host the caller used.
        """
        if isinstance(made, ImageWithheld):
            return "withheld", _withheld(made).model_dump()
        return "image", self.entry(made, base).model_dump()

    def entry(self, image: ImageStored, base: str) -> ImageEvent:
        """What is told of one image.

        Args:
            image: The image.
            base: Scheme and host the caller used.
        """
        return ImageEvent(
            index=image.index,
            url=self._urls.url(image.key, image.file_format, base),
            seed=image.seed,
            fidelity=_fidelity(image),
            **_detail(image).model_dump(),
        )


def waiting(told: Waiting) -> JSONServerSentEvent:
    """The event that tells how far a request is in the line."""
    seconds = None if told.expected_s is None else round(told.expected_s, 1)
    event = WaitingEvent(place=told.place, expected_seconds=seconds)
    return JSONServerSentEvent(event.model_dump(), event="waiting")


async def replayed(kept: KeptAnswer) -> AsyncGenerator[JSONServerSentEvent]:
    """The events of an answer that was given before, without their progress."""
    for name, data in kept.events:
        yield JSONServerSentEvent(data, event=name)
    yield JSONServerSentEvent(kept.answer, event="done")


def _fidelity(image: ImageStored) -> FidelityEntry | None:
    if image.fidelity is None:
        return None
    return FidelityEntry(pixels=image.fidelity.pixels, shape=image.fidelity.shape)


def _detail(image: ImageStored) -> DetailEntry:
    return DetailEntry(
        width=image.width, height=image.height, media_type=MEDIA_TYPES[image.file_format]
    )


def _withheld(image: ImageWithheld) -> WithheldEntry:
    return WithheldEntry(index=image.index, reason=image.reason)


def _progress(progress: ImageProgress) -> JSONServerSentEvent:
    event = ProgressEvent(index=progress.index, step=progress.step, steps=progress.steps)
    return JSONServerSentEvent(event.model_dump(), event="progress")


def server_timing(images: Sequence[Made], **others_s: float) -> str:
    """A Server-Timing header's value (W3C Server Timing), in milliseconds.

    Args:
        images: What was made; the slowest counts.
        others_s: Further durations by name, in seconds.
    """
    slowest = max((image.timings for image in images), key=lambda timings: timings.engine_s)
    durations_s = {
        **others_s,
        "engine": slowest.engine_s,
        "handle": slowest.handle_s,
        "finish": slowest.finish_s,
    }
    return ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in durations_s.items())
