"""The use cases of background requests: look, follow, cancel and list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from deployments.errors import InternalError, RequestNotFound
from deployments.ingress.core.background.line import Line
from deployments.ingress.core.background.names import Name
from deployments.ingress.core.background.records import ENDS, Record, StoredEvent, record_of
from deployments.ingress.core.background.runner import Runner
from deployments.ingress.core.background.submission import Seen, Submissions
from deployments.ingress.core.background.work import Making
from deployments.ingress.core.callbacks.deliveries import Deliveries
from deployments.ingress.core.callbacks.progress import callback_of
from deployments.ingress.core.events import Waiting
from deployments.ingress.core.idempotency import Idempotency
from deployments.ingress.core.keys import owner_of
from deployments.ingress.core.places_client import PlacesClient
from deployments.ingress.core.ports import Backends
from deployments.settings import IngressSettings

GONE = "the background request does not exist, or no longer"

LOOK_S = 0.5
"""Seconds between two looks at a request that another replica works on."""

WAITING_LOOK_S = 1.0
"""Seconds between two looks at a request that waits."""

MOST_MEETINGS = 20
"""How often a cancellation is tried again because something else was written meanwhile."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some requests of an API key, newest first.

    Attributes:
        requests: These.
        after: The key after which the next page begins; None where there is none.
    """

    requests: list[Seen]
    after: str | None


class BackgroundRequests:
    """Requests that are answered later.

    Attributes:
        deliveries: Calls back those who want it.
        submissions: Accepts requests.

    Args:
        making: Makes images, and says before what is wrong with a request.
        backends: The other deployments.
        places: Claims requests.
        idempotency: Makes requests repeatable.
        settings: Bounds.
    """

    def __init__(
        self,
        making: Making,
        backends: Backends,
        places: PlacesClient,
        idempotency: Idempotency,
        settings: IngressSettings,
    ) -> None:
        self._backends = backends
        self._line = Line(backends.unfinished)
        self.deliveries = Deliveries(
            backends.callbacks,
            backends.requests,
            backends.receivers,
            places,
            self._line,
            settings.webhooks,
            settings.background.poll_s,
        )
        self._runner = Runner(making, backends, places, self._line, settings, self.deliveries.stir)
        self.submissions = Submissions(
            making, backends, idempotency, settings.background, self._line, self, self._runner.wake
        )

    async def run(self) -> None:
        """Work on what waits, until it is cancelled."""
        await self._runner.run()

    async def look(self, api_key_name: str, request: str) -> Seen:
        """A request as it is now.

        Args:
            api_key_name: The caller's.
            request: Its key.

        Raises:
            RequestNotFound: There is none, or no longer, or it is another API key's.
        """
        name = Name(owner_of(api_key_name), request)
        return await self.seen(name, await self._record(name))

    async def follow(
        self, api_key_name: str, request: str, last_id: int
    ) -> AsyncGenerator[StoredEvent | Waiting | Record]:
        """What happens to a request from an event on; at its end the whole record.

        Args:
            api_key_name: The caller's.
            request: Its key.
            last_id: The id of the last event that the caller knows; 0 for none.

        Raises:
            RequestNotFound: As in `look`.
        """
        name = Name(owner_of(api_key_name), request)
        told: Waiting | None = None
        while True:
            held = self._runner.held(name)
            record = await self._record(name) if held is None else held.record
            for event in record.after(last_id):
                if event.what not in ENDS:
                    yield event
                    last_id = event.id
            if record.is_over:
                if record.after(last_id):
                    yield record
                return
            if record.state == "waiting":
                waiting = await self._waiting(name)
                if waiting is not None and waiting != told:
                    told = waiting
                    yield waiting
            if held is not None and record is held.record:
                await held.changed(LOOK_S)
            elif held is None:
                await asyncio.sleep(LOOK_S if record.state == "running" else WAITING_LOOK_S)

    async def cancel(self, api_key_name: str, request: str) -> Seen:
        """End a request; one that has ended stays as it is.

        Args:
            api_key_name: The caller's.
            request: Its key.

        Raises:
            RequestNotFound: As in `look`.
        """
        name = Name(owner_of(api_key_name), request)
        for _ in range(MOST_MEETINGS):
            found = await self._backends.requests.load(name)
            if found is None:
                raise RequestNotFound(GONE)
            record = record_of(found[0])
            if record.is_over:
                return await self.seen(name, record)
            ended = record.at_an_end("cancelled")
            document = ended.model_dump(mode="json")
            if await self._backends.requests.save(name, document, found[1]) is not None:
                self._runner.stir(name)
                if record.callback is not None:
                    self.deliveries.stir(name)
                if not record.runner:
                    # Nobody has begun it. Else whoever works on it, or finds it, clears it away.
                    await self._backends.unfinished.leave(name)
                return await self.seen(name, ended)
        raise InternalError("the background request could not be cancelled: try again")

    async def page(self, api_key_name: str, after: str | None, most: int) -> Page:
        """Requests of an API key, newest first.

        Args:
            api_key_name: The caller's.
            after: The key after which the page begins; None for the first page.
            most: Requests, at most.
        """
        owner = owner_of(api_key_name)
        found = await self._backends.requests.newest(owner, after, most + 1)
        seen = await asyncio.gather(
            *(
                self.seen(Name(owner, request), record_of(document))
                for request, document in found[:most]
            )
        )
        return Page(list(seen), found[most - 1][0] if len(found) > most else None)

    async def _record(self, name: Name) -> Record:
        found = await self._backends.requests.load(name)
        if found is None:
            raise RequestNotFound(GONE)
        return record_of(found[0])

    async def seen(self, name: Name, record: Record) -> Seen:
        """What a caller sees of a request that was read.

        Args:
            name: The request.
            record: As it was read.
        """
        callback = record.callback
        if callback is not None and not callback.over:
            found = await self._backends.callbacks.load(name)
            if found is not None:
                callback = callback_of(found[0])
            elif record.is_over:  # all was told just now
                callback = (await self._record(name)).callback
        if record.state == "waiting":
            waiting = await self._waiting(name)
            if waiting is not None:
                return Seen(name.request, record, waiting.place, waiting.expected_s, callback)
        expected_s = _rest_s(record) if record.state == "running" else None
        return Seen(name.request, record, None, expected_s, callback)

    async def _waiting(self, name: Name) -> Waiting | None:
        place = await self._line.place(name)
        return None if place is None else Waiting(place, self._line.expected_s(place))


def _rest_s(record: Record) -> float | None:
    """Seconds that the rest of a request takes, at the speed so far."""
    done, before = record.share_done, record.made_before / len(record.fixed.image_keys)
    if record.begun is None or done <= before:
        return None
    return (time.time() - record.begun) * (1 - done) / (done - before)
