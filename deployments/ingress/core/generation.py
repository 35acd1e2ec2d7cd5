"""One admitted request: its images made side by side and delivered one by one.

The work goes on in its own task from the start. So a generation that nobody reads still ends, at
its deadline at the latest, and gives back its places.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace

from deployments.encoded import FinishedImage
from deployments.errors import AllWithheld, ServiceError
from deployments.ingress.core.editing import as_opened
from deployments.ingress.core.events import (
    Event,
    ImageStored,
    ImageWithheld,
    Made,
    Timings,
)
from deployments.ingress.core.idempotency import Turn
from deployments.ingress.core.job_source import Origin, Source
from deployments.ingress.core.making import Maker
from deployments.ingress.core.orders import SEEDS, PlainJob, Plan
from deployments.ingress.core.places_client import Places
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.terms import Terms
from deployments.jobs import ImageJob

logger = logging.getLogger(__name__)

FORGET_S = 10.0
"""Seconds that the removal of a failed request's images may hold its answer back."""

ALL_WITHHELD = (
    "the safety filter withheld every image of the request; another prompt or photo may give others"
)


class Generation:
    """The images of one request.

    Where the scene grew onto a product that was found, the image is made once more, with the seed
    that lies as many further as the request has images, which is no other image's. The better of
    the two is kept.

    Args:
        plan: What is made, one job per image; its `shape_floor` is the least `Fidelity.shape` with
            which an image is not made once more, and 0 makes none again.
        source: Where they come from.
        places: Taken for all of them; given back one by one.
        backends: The other deployments.
        terms: Whose it is, when it is given up, and what is known of it already.
        version: Version of this package, for the recipes.
        turn: The right to make the answer of an idempotency key; None without a key.

    Attributes:
        waiting: Its place in the line, and its probable end; None where there is no line.
        made: The images that are done so far, in the order of their ends.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        source: Source,
        places: Places,
        backends: Backends,
        terms: Terms,
        version: str,
        turn: Turn | None,
    ) -> None:
        self._plan = plan
        self._jobs: Sequence[ImageJob | PlainJob] = plan.jobs
        self._source = source
        self._places = places
        self.waiting = places.waiting
        self._backends = backends
        self._shape_floor = plan.shape_floor
        self._terms = terms
        self._turn = turn
        self._again = again = terms.again
        self.made: list[Made] = [] if again is None else list(again.made)
        self._stored = {image.key for image in self.made if isinstance(image, ImageStored)}
        self._withheld = [
            plan.jobs[image.index].key for image in self.made if isinstance(image, ImageWithheld)
        ]
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._maker = Maker(plan, backends, terms, version, self._queue.put_nowait)
        self._opened = asyncio.get_running_loop().create_future()
        self._work = asyncio.create_task(self._all())
        self._work.add_done_callback(self._ended)

    async def opened(self) -> None:
        """Wait until all is known that must be before a model may start.

        Leaving early cancels the generation.

        Raises:
            ServiceError: The images cannot be made from what was given.
        """
        try:
            await asyncio.wait([self._work, self._opened], return_when=asyncio.FIRST_COMPLETED)
            if self._work.done():
                await self._work
        except BaseException:
            self._work.cancel()
            await asyncio.wait([self._work])
            raise

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
            await self.stop()

    async def stop(self) -> None:
        """Cancel what is still in flight; repeating it is harmless."""
        self._work.cancel()
        await asyncio.wait([self._work])

    async def images(self) -> list[Made]:
        """All images, in order of their index; on failure none of them stays stored.

        Raises:
            ServiceError: As in `events`.
        """
        try:
            async with aclosing(self.events()) as events:
                async for _ in events:
                    pass
        except BaseException:
            # The caller gets none of them.
            await self.forget(self._stored)
            raise
        return sorted(self.made, key=lambda image: image.index)

    async def keep(
        self, answer: Mapping[str, object], events: Sequence[tuple[str, Mapping[str, object]]]
    ) -> bool:
        """Keep the answer for the request's idempotency key, before it is given.

        Args:
            answer: See `KeptAnswer`.
            events: See there.

        Returns:
            False where it could not be kept.
        """
        return self._turn is None or await self._turn.keep(answer, events)

    def close(self) -> None:
        """Let the next request with the same idempotency key go on; repeating it is harmless."""
        if self._turn is not None:
            self._turn.close()

    async def _all(self) -> None:
        try:
            async with self._terms.deadline.bounds():
                self._jobs, origin = await as_opened(self._plan, await self._source.open())
                self._opened.set_result(None)
                await self._fan_out(origin)
                if len(self._withheld) == len(self._jobs):
                    raise AllWithheld(ALL_WITHHELD)
                await self.forget(self._withheld)
        except BaseException:
            self._places.close()  # now: the removal may take a while
            if self._again is None:
                await self.forget([job.key for job in self._jobs if job.key not in self._stored])
            raise

    async def _fan_out(self, origin: Origin) -> None:
        done = {image.index for image in self.made}
        try:
            async with asyncio.TaskGroup() as group:
                kept = group.create_task(self._source.keep(origin))
                for index, job in enumerate(self._jobs):
                    if index in done:
                        continue
                    group.create_task(self._one(index, job, origin, kept))
        except* ServiceError as failures:
            raise next(_leaves(failures)) from None

    async def _one(
        self,
        index: int,
        job: ImageJob | PlainJob,
        origin: Origin,
        kept: asyncio.Task[None],
    ) -> None:
        async with AsyncExitStack() as calls:
            recipe, finished, warnings, timings = await self._maker.make(index, job, origin, calls)
            shape = _shape(finished)
            again_below = self._shape_floor if isinstance(job, ImageJob) and origin.found else 0.0
            if isinstance(job, ImageJob) and shape is not None and shape < again_below:
                logger.info("image %s has the shape %.2f", job.key, shape)
                seed = (job.settings.seed + len(self._jobs)) % SEEDS
                other = replace(job, settings=replace(job.settings, seed=seed))
                again = await self._maker.make(index, other, origin, calls)
                timings += again[-1]
                if (_shape(again[1]) or 0.0) > shape:
                    job = other
                    recipe, finished, warnings, _ = again
            self._places.release(made=True)
            if finished.withheld is not None:
                self._withheld.append(job.key)
                self._tell(ImageWithheld(index, finished.withheld, timings))
                return
            made = time.monotonic()
            # An image must not outlive a source that could not be stored.
            await asyncio.wait([kept])
            await self._backends.results.save(job.key, finished.file, recipe.document())
            self._stored.add(job.key)
            timings += Timings(0, 0, time.monotonic() - made)
            pixels = finished.width * finished.height
            self._backends.usage.made(self._terms.api_key_name, self._steps(job), pixels)
            self._tell(
                ImageStored(
                    index=index,
                    key=job.key,
                    seed=job.settings.seed if isinstance(job, ImageJob) else None,
                    fidelity=finished.fidelity,
                    width=finished.width,
                    height=finished.height,
                    file_format=recipe.look.output.file_format,
                    warnings=origin.warnings + warnings,
                    timings=timings,
                )
            )

    def _steps(self, job: ImageJob | PlainJob) -> int:
        model = self._plan.model
        if model is None or not isinstance(job, ImageJob):
            return 0
        return model.traits.steps_taken(job.settings.steps, job.settings.strength)

    def _tell(self, made: Made) -> None:
        self.made.append(made)
        self._queue.put_nowait(made)

    async def forget(self, keys: Collection[str]) -> None:
        """Remove images that nobody will get, and the sources that only they need."""
        referred = self._source.referred
        if not referred:
            return  # nothing is stored before that

        async def forget(key: str) -> None:
            try:
                async with asyncio.timeout(FORGET_S):
                    await self._backends.results.delete(key, referred)
            except (ServiceError, TimeoutError) as error:
                logger.warning("image %s of a failed request could not be removed: %s", key, error)

        await asyncio.gather(*(forget(key) for key in keys))

    def _ended(self, work: asyncio.Task[None]) -> None:
        # Here and not in the tasks: a task that is cancelled before it starts runs no `finally`.
        self._places.close()
        self._queue.put_nowait(None)
        if not work.cancelled():
            work.exception()  # retrieved, so that a generation that nobody reads makes no noise


def _shape(finished: FinishedImage) -> float | None:
    return None if finished.fidelity is None else finished.fidelity.shape


def _leaves(group: BaseExceptionGroup[ServiceError]) -> Iterator[ServiceError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
