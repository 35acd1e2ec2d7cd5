"""What a run's images look like to the caller: one JSON answer, or events as they happen."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from sse_starlette import JSONServerSentEvent

from deployments.ingress import problems
from deployments.ingress.events import ImageProgress, ImageStored
from deployments.ingress.run import Run
from deployments.ingress.schemas import FidelityEntry, ImageEvent, ImagesAnswer, ProgressEvent
from deployments.ingress.service import Order
from deployments.ingress.urls import ResultUrls


class Answers:
    """Renders runs.

    Args:
        urls: Names the images.
    """

    def __init__(self, urls: ResultUrls) -> None:
        self._urls = urls

    def whole(self, order: Order, images: Sequence[ImageStored], base: str) -> ImagesAnswer:
        """The JSON answer.

        Args:
            order: What was asked for.
            images: What was made, in order.
            base: Scheme and host the caller used.
        """
        return ImagesAnswer(
            images=[self._urls.url(image.key, base) for image in images],
            model_used=order.model,
            prompt_used=order.prompt,
            seeds=[image.seed for image in images],
            fidelity=[_fidelity(image) for image in images],
            warnings=list(dict.fromkeys(text for image in images for text in image.warnings)),
        )

    async def events(
        self, order: Order, run: Run, base: str, request_id: str
    ) -> AsyncGenerator[JSONServerSentEvent]:
        """`progress` and `image` events, then `done` or `error`; closing it cancels the run.

        Args:
            order: What was asked for.
            run: What makes it.
            base: Scheme and host the caller used.
            request_id: For the log and an error's body.
        """
        stored = []
        try:
            async with aclosing(run.events()) as events:
                async for event in events:
                    if isinstance(event, ImageProgress):
                        yield _progress(event)
                    else:
                        stored.append(event)
                        yield self._image(event, base)
            stored.sort(key=lambda image: image.index)
            done = self.whole(order, stored, base)
            yield JSONServerSentEvent(done.model_dump(), event="done")
        except Exception as error:
            # The answer has begun, so that its status cannot tell any more.
            shown = problems.as_service_error(error, request_id)
            yield JSONServerSentEvent(problems.body(shown, request_id), event="error")

    def _image(self, image: ImageStored, base: str) -> JSONServerSentEvent:
        url = self._urls.url(image.key, base)
        event = ImageEvent(index=image.index, url=url, seed=image.seed, fidelity=_fidelity(image))
        return JSONServerSentEvent(event.model_dump(), event="image")


def _fidelity(image: ImageStored) -> FidelityEntry | None:
    if image.fidelity is None:
        return None
    return FidelityEntry(pixels=image.fidelity.pixels, shape=image.fidelity.shape)


def _progress(progress: ImageProgress) -> JSONServerSentEvent:
    event = ProgressEvent(index=progress.index, step=progress.step, steps=progress.steps)
    return JSONServerSentEvent(event.model_dump(), event="progress")


def server_timing(images: Sequence[ImageStored], **others_s: float) -> str:
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
