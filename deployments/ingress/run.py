"""One admitted request: its images made side by side and delivered one by one.

Knows no HTTP and no Ray. The work goes on in its own task from the start, so that a run nobody
reads still ends, at its deadline at the latest, and gives back its places.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from deployments.errors import DeadlineExceeded, ReplicaLost, ServiceError
from deployments.ingress.admission import Admission
from deployments.ingress.backends import Models, Results, Studio
from deployments.jobs import GeneratedImage, ImageJob, Photo, PreparedPhoto, Recipe
from deployments.settings import ModelSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """What a request's images are made from, and where that is kept.

    Attributes:
        photo: Its pixels.
        kind: An upload, still to be stored under `key`, or one of our results.
        key: The object key of the upload or result.
        photo_key: The object key of the upload at the root of the conversation.
    """

    photo: Photo
    kind: Literal["upload", "result"]
    key: str
    photo_key: str


@dataclass(frozen=True, slots=True)
class ImageProgress:
    """Image `index` of the request has done `step` of its `steps`."""

    index: int
    step: int
    steps: int


@dataclass(frozen=True, slots=True)
class Timings:
    """Where an image's time went.

    Attributes:
        engine_s: Seconds in the model replica's engine, its queue included.
        handle_s: Seconds between asking for it and getting it, less `engine_s`: fitting the photo
            and the way there and back.
        finish_s: Seconds to encode and store it.
    """

    engine_s: float
    handle_s: float
    finish_s: float


@dataclass(frozen=True, slots=True)
class ImageStored:
    """Image `index` of the request, made from `seed`, is stored under `key`."""

    index: int
    key: str
    seed: int
    warnings: tuple[str, ...]
    timings: Timings


Event = ImageProgress | ImageStored


class Run:
    """The images of one request.

    Args:
        model: The model's settings.
        jobs: One per image; places for all of them were taken from `admission`.
        source: What they are made from.
        admission: Where the places go back to.
        studio: Pixel work.
        models: The model deployments.
        results: The store.
        deadline_s: Seconds after which the run is given up.
        progress: Whether anybody wants progress events.
        version: Version of this package, for the recipes.
    """

    def __init__(
        self,
        *,
        model: ModelSettings,
        jobs: Sequence[ImageJob],
        source: Source,
        admission: Admission,
        studio: Studio,
        models: Models,
        results: Results,
        deadline_s: float,
        progress: bool,
        version: str,
    ) -> None:
        self._model = model
        self._jobs = jobs
        self._source = source
        self._admission = admission
        self._studio = studio
        self._models = models
        self._results = results
        self._deadline_s = deadline_s
        self._progress = progress
        self._version = version
        self._held = len(jobs)
        self._saving: list[str] = []
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._work = asyncio.create_task(self._all())
        self._work.add_done_callback(self._ended)

    async def events(self) -> AsyncGenerator[Event]:
        """Events as they happen; ends when every image is stored.

        Leaving early cancels what is still in flight.

        Raises:
            ServiceError: The first failure of an image; the others were cancelled.
        """
        try:
            while (event := await self._queue.get()) is not None:
                yield event
            await self._work
        finally:
            self._work.cancel()
            await asyncio.wait([self._work])

    async def images(self) -> list[ImageStored]:
        """All images, in order of their index; on failure none of them stays stored.

        Raises:
            ServiceError: As in `events`.
        """
        stored = []
        try:
            async with aclosing(self.events()) as events:
                async for event in events:
                    if isinstance(event, ImageStored):
                        stored.append(event)
        except BaseException:
            await self._discard()
            raise
        return sorted(stored, key=lambda image: image.index)

    async def _all(self) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._fan_out()
        except TimeoutError:
            raise DeadlineExceeded(
                f"the images were not done within {self._deadline_s:g} s"
            ) from None

    async def _fan_out(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                prepared = self._studio.prepare(self._source.photo, self._model.size)
                kept = group.create_task(self._keep_source(prepared))
                for index, job in enumerate(self._jobs):
                    group.create_task(self._one(index, job, prepared, kept))
        except* ServiceError as failures:
            raise next(_leaves(failures)) from None

    async def _keep_source(self, prepared: Awaitable[PreparedPhoto]) -> None:
        if self._source.kind == "upload":
            # The models wait for the prepared photo and nobody for the stored one: in this order,
            # the studio does not encode while it prepares.
            await prepared
            png = self._studio.encode_source(self._source.photo)
            await self._results.save_source(self._source.key, png)

    async def _one(
        self,
        index: int,
        job: ImageJob,
        prepared: Awaitable[PreparedPhoto],
        kept: asyncio.Task[None],
    ) -> None:
        async with AsyncExitStack() as calls:
            asked = time.monotonic()
            try:
                image = await self._generate(index, job, prepared, calls)
            except ReplicaLost:
                logger.warning("the replica that made image %s died; trying once more", job.key)
                image = await self._generate(index, job, prepared, calls)
            made = time.monotonic()
            self._held -= 1
            self._admission.release(image.engine_s)
            recipe = self._recipe(job, image)
            png = self._studio.finish(image, recipe)
            # An image must not outlive a source that could not be stored.
            await asyncio.wait([kept])
            self._saving.append(job.key)
            await self._results.save(job.key, png, recipe.document())
            timings = Timings(
                engine_s=image.engine_s,
                handle_s=made - asked - image.engine_s,
                finish_s=time.monotonic() - made,
            )
            self._queue.put_nowait(ImageStored(index, job.key, job.seed, image.warnings, timings))

    async def _generate(
        self,
        index: int,
        job: ImageJob,
        prepared: Awaitable[PreparedPhoto],
        calls: AsyncExitStack,
    ) -> GeneratedImage:
        items = self._models.generate(self._model.id, job, prepared, progress=self._progress)
        # Closed by the caller, once there is time: closing cancels, and right after its image a
        # call is about to end by itself.
        await calls.enter_async_context(aclosing(items))
        async for item in items:
            if isinstance(item, GeneratedImage):
                return item
            self._queue.put_nowait(ImageProgress(index, item.step, item.steps))
        raise ReplicaLost(f"model {self._model.id!r} ended without an image")

    def _recipe(self, job: ImageJob, image: GeneratedImage) -> Recipe:
        return Recipe(
            model=self._model.id,
            weights=image.weights,
            scheduler=self._model.scheduler,
            source=self._source.kind,
            source_key=self._source.key,
            photo_key=self._source.photo_key,
            version=self._version,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            prompt=job.prompt,
            negative_prompt=job.negative_prompt,
            seed=job.seed,
            steps=job.steps,
            guidance_scale=job.guidance_scale,
            strength=job.strength,
        )

    async def _discard(self) -> None:
        """Remove the images of a request whose caller got none of them."""
        for key in self._saving:
            try:
                await self._results.delete(key)
            except ServiceError as error:
                logger.warning("image %s of a failed request could not be removed: %s", key, error)

    def _ended(self, work: asyncio.Task[None]) -> None:
        # Here and not in the tasks: a task that is cancelled before it starts runs no `finally`.
        for _ in range(self._held):
            self._admission.release()
        self._queue.put_nowait(None)
        if not work.cancelled():
            work.exception()  # retrieved, so that a run nobody reads makes no noise


def _leaves(group: BaseExceptionGroup[ServiceError]) -> Iterator[ServiceError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
