"""One background request, worked on to its end by the replica that holds it."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import Protocol

from deployments.errors import (
    AllWithheld,
    DeadlineExceeded,
    InternalError,
    Overloaded,
    RateLimited,
    ReplicaLost,
    ServiceError,
    Unavailable,
)
from deployments.ingress.core.background.held import Ended, Happening, Held, TakenOver
from deployments.ingress.core.background.records import Failure, Record
from deployments.ingress.core.background.recovery import remove_untold, stored_untold
from deployments.ingress.core.deadline import Deadline
from deployments.ingress.core.events import ImageWithheld
from deployments.ingress.core.generation import ALL_WITHHELD, Generation
from deployments.ingress.core.orders import Asked, Files, Fixed, Order
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.sent_files import HeldFile
from deployments.ingress.core.terms import Terms

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 5
"""Attempts that may end with a lost replica or at the deadline: then it is the request's fault."""

LONGEST_WAIT_S = 10.0
"""Seconds between two questions for room, at most."""

PUT_OFF_S = 5.0
"""Seconds for which a request is put off that cannot be worked on now."""

FAREWELL_S = 2.0
"""Seconds in which a replica that stops says that it has put a request back."""

PHOTO, MASK, BEHIND, STYLE = 1, 2, 3, 4
"""Numbers of the files that came with a request."""


class PutOff(Exception):
    """The request goes on later.

    Args:
        seconds: After which.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Making(Protocol):
    """The use case that makes images."""

    async def fix(self, asked: Asked, files: Files, api_key_name: str) -> Fixed:
        """Find what is wrong with a request; see `Service.fix`."""
        ...

    async def begin(self, asked: Asked, files: Files, terms: Terms) -> Generation:
        """Start making images; raises what `Service.generate` and `Service.vary` do."""
        ...

    def warnings(self, order: Order) -> tuple[str, ...]:
        """Sentences that are known before anything of an order is made."""
        ...


class Work:
    """Works on one request until it ends, or until it has to wait.

    Args:
        held: The request.
        making: Makes its images.
        backends: The other deployments.
        attempt_s: Seconds that one attempt may take.
    """

    def __init__(self, held: Held, making: Making, backends: Backends, attempt_s: float) -> None:
        self._held = held
        self._making = making
        self._backends = backends
        self._attempt_s = attempt_s
        self._generation: Generation | None = None
        self._chance = random.Random()  # noqa: S311 - only to spread waits
        self.happening = Happening()

    async def run(self) -> None:
        """Work on it.

        Raises:
            PutOff: It has to wait.
            TakenOver: Somebody else works on it now.
            ServiceError: The storage cannot serve.
        """
        held = self._held
        try:
            await held.begin()
            try:
                await self._images()
            except ServiceError as error:
                await self._failed(error)
            except asyncio.CancelledError:
                with suppress(Ended, TakenOver, ServiceError, TimeoutError):
                    async with asyncio.timeout(FAREWELL_S):
                        await held.write(lambda record: _waiting(record, counted=False))
                raise
            else:
                await held.write(lambda record: record.at_an_end("done"))
        except Ended:
            pass
        await self._clear()

    async def _images(self) -> None:
        held, record = self._held, self._held.record
        if record.attempts >= MOST_ATTEMPTS:
            raise InternalError(f"it was given up after {record.attempts} attempts")
        if record.attempts:
            told = self._making.warnings(record.asked.order)
            if found := await stored_untold(self._backends, record, told):
                await held.write(lambda record: record.with_events(found))
        if held.record.unmade_keys:
            uploads = await self._backends.uploads.load(held.name.request)
            await self._make(await files_of(uploads))
        elif all(isinstance(image, ImageWithheld) for image in held.record.made):
            raise AllWithheld(ALL_WITHHELD)

    async def _make(self, files: Files) -> None:
        self._generation = generation = await self._begin(files)
        watching = asyncio.create_task(self._watch(generation))
        try:
            await self._held.write(_running)
            while not watching.done():
                await self.happening.wait()
                await self._tell()
            await watching
            await self._tell()
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            await generation.stop()

    async def _begin(self, files: Files) -> Generation:
        """Wait for the request's turn: until there is room for its images."""
        held = self._held
        while True:
            record = held.record
            rest_s = record.created + record.longest_s - time.time()
            if rest_s <= 0:
                raise DeadlineExceeded(f"the request was not done within {record.longest_s:g} s")
            deadline = Deadline(min(self._attempt_s, rest_s))
            terms = Terms(record.api_key_name, deadline, progress=True, again=record.again)
            try:
                return await self._making.begin(record.asked, files, terms)
            except (Overloaded, RateLimited) as refusal:
                wait_s = min(refusal.retry_after_s or LONGEST_WAIT_S, LONGEST_WAIT_S, rest_s)
                # Drawn at random, so that not all who were refused come back together.
                until = time.monotonic() + wait_s * self._chance.uniform(0.5, 1)
                while time.monotonic() < until:
                    await self.happening.wait()
                    await held.look()

    async def _watch(self, generation: Generation) -> None:
        try:
            async with aclosing(generation.events()) as events:
                async for event in events:
                    self.happening.add(event)
        finally:
            self.happening.stir()

    async def _tell(self) -> None:
        happened = self.happening.take()
        if happened:
            await self._held.write(lambda record: record.with_events(happened))
        else:
            await self._held.look()

    async def _failed(self, error: ServiceError) -> None:
        """Put the request off, or end it."""
        record = self._held.record
        late = time.time() >= record.created + record.longest_s
        counted = isinstance(error, ReplicaLost | DeadlineExceeded)
        if not late and isinstance(
            error, Overloaded | RateLimited | Unavailable | DeadlineExceeded
        ):
            await self._held.write(lambda record: _waiting(record, counted=counted))
            raise PutOff(max(error.retry_after_s or 0.0, PUT_OFF_S))
        if late and not isinstance(error, DeadlineExceeded):
            error = DeadlineExceeded(f"the request was not done within {record.longest_s:g} s")
        await self._held.write(lambda record: record.at_an_end("failed", Failure.of(error)))

    async def _clear(self) -> None:
        """Remove what an ended request has left behind."""
        record = self._held.record
        if self._generation is not None and record.state != "done":
            await self._generation.forget(record.unmade_keys)
        await clear(self._backends, self._held)


async def clear(backends: Backends, held: Held) -> None:
    """Remove what an ended request needs no more, whoever has worked on it."""
    if held.record.state != "done" and held.record.attempts:
        await remove_untold(backends, held.record)
    await backends.unfinished.leave(held.name)


async def files_of(uploads: Mapping[int, bytes]) -> Files:
    """The files of a request as they were sent."""
    held = {number: await HeldFile.of(content) for number, content in uploads.items()}
    return Files(
        image=held.get(PHOTO),
        product_mask=held.get(MASK),
        background_image=held.get(BEHIND),
        style_image=held.get(STYLE),
    )


async def numbered(files: Files) -> dict[int, bytes]:
    """The content of the same by their numbers."""
    sent = {
        PHOTO: files.image,
        MASK: files.product_mask,
        BEHIND: files.background_image,
        STYLE: files.style_image,
    }
    return {number: await file.read() for number, file in sent.items() if file is not None}


def _running(record: Record) -> Record:
    return record.model_copy(
        update={
            "state": "running",
            "begun": time.time(),
            "made_before": len(record.made),
            "attempts": record.attempts + 1,
        }
    )


def _waiting(record: Record, *, counted: bool) -> Record:
    """Back in the line; an attempt that was put off by others does not count."""
    begun = record.state == "running"
    attempts = record.attempts - 1 if begun and not counted else record.attempts
    return record.model_copy(update={"state": "waiting", "attempts": attempts})
