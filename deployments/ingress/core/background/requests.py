"""The use cases of background requests: submit, look, follow, cancel and list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass

from deployments.errors import InternalError, RequestNotFound, ServiceError, TooManyWaiting
from deployments.ingress.core.background.line import Line
from deployments.ingress.core.background.names import Name
from deployments.ingress.core.background.records import ENDS, Record, StoredEvent, record_of
from deployments.ingress.core.background.runner import Runner
from deployments.ingress.core.background.work import Making, numbered
from deployments.ingress.core.callbacks.deliveries import Deliveries
from deployments.ingress.core.callbacks.progress import Callback, callback_of
from deployments.ingress.core.events import Waiting
from deployments.ingress.core.idempotency import Idempotency, KeptAnswer, Turn, fingerprint
from deployments.ingress.core.keys import new_key, owner_of
from deployments.ingress.core.orders import Asked, Files
from deployments.ingress.core.places_client import PlacesClient
from deployments.ingress.core.ports import Backends
from deployments.ingress.core.terms import Terms
from deployments.settings import IngressSettings

GONE = "the background request does not exist, or no longer"

RETRY_AFTER_S = 30.0
"""Suggested wait where it is not known how fast the line moves."""

LOOK_S = 0.5
"""Seconds between two looks at a request that another replica works on."""

WAITING_LOOK_S = 1.0
"""Seconds between two looks at a request that waits."""

MOST_MEETINGS = 20
"""How often a cancellation is tried again because something else was written meanwhile."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as its caller sees it.

    Attributes:
        request: Its key.
        record: All that is known of it.
        place: Its place in the line, from 1 on, where it is in it.
        expected_s: Seconds until it is done, where that can be told.
        callback: How far its callbacks are, where it has any.
    """

    request: str
    record: Record
    place: int | None = None
    expected_s: float | None = None
    callback: Callback | None = None


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
        self._making = making
        self._backends = backends
        self._idempotency = idempotency
        self._settings = settings.background
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
        self._entering: set[asyncio.Task[Mapping[str, object]]] = set()

    async def run(self) -> None:
        """Work on what waits, until it is cancelled."""
        await self._runner.run()

    async def submit(
        self,
        asked: Asked,
        files: Files,
        terms: Terms,
        base: str,
        render: Callable[[Seen], Mapping[str, object]],
        longest_s: float | None = None,
        callback_url: str | None = None,
    ) -> tuple[Mapping[str, object], bool]:
        """Store a request, to be worked on in its turn.

        Args:
            asked: What is asked for.
            files: What came with it.
            terms: On which terms; the deadline is that of the answer, and not of the images.
            base: Scheme and host that the caller used.
            render: Makes the answer.
            longest_s: Seconds in which it must be done; None for as long as may be.
            callback_url: Who is told of its images and its end; None without.

        Returns:
            The answer, and whether it was given before, to the same idempotency key.

        Raises:
            InvalidRequest: Nobody may be called back at the URL.
            TooManyWaiting: As many are unfinished, or have callbacks that are, as may be.
            IdempotencyConflict: The idempotency key belongs to a request for something else.
            ServiceError: As of `Service.fix`.
        """
        callback = None
        if callback_url is not None:
            callback = Callback(url=self.deliveries.read(callback_url).url)
        fixed = await self._making.fix(asked, files, terms.api_key_name)
        turn: Turn | None = None
        if terms.idempotency_key is not None:
            told = asked.document()
            if callback is not None:
                told["callback_url"] = callback.url
            digest = await fingerprint("background", told, _by_field(files))
            given = await self._idempotency.turn(
                terms.api_key_name, terms.idempotency_key, digest, terms.deadline
            )
            if isinstance(given, KeptAnswer):
                return given.answer, True
            turn = given
        try:
            name = Name(owner_of(terms.api_key_name), new_key())
            record = Record(
                api_key_name=terms.api_key_name,
                asked=asked,
                fixed=fixed,
                base=base,
                created=time.time(),
                longest_s=min(longest_s or self._settings.longest_s, self._settings.longest_s),
                callback=callback,
            )
            # From here on it goes to its end, also when the caller leaves: else the request would
            # be there without its key, and be made once more when the caller comes back. In a
            # context of its own its calls do not belong to what is cancelled for the caller.
            entering = asyncio.create_task(
                self._enter(name, record, files, render, turn), context=Context()
            )
            turn = None
            self._entering.add(entering)
            entering.add_done_callback(self._entering.discard)
            answer = await asyncio.shield(entering)
        finally:
            if turn is not None:
                turn.close()
        return answer, False

    async def look(self, api_key_name: str, request: str) -> Seen:
        """A request as it is now.

        Args:
            api_key_name: The caller's.
            request: Its key.

        Raises:
            RequestNotFound: There is none, or no longer, or it is another API key's.
        """
        name = Name(owner_of(api_key_name), request)
        return await self._seen(name, await self._record(name))

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
                return await self._seen(name, record)
            ended = record.at_an_end("cancelled")
            document = ended.model_dump(mode="json")
            if await self._backends.requests.save(name, document, found[1]) is not None:
                self._runner.stir(name)
                if record.callback is not None:
                    self.deliveries.stir(name)
                if not record.runner:
                    # Nobody has begun it. Else whoever works on it, or finds it, clears it away.
                    await self._backends.unfinished.leave(name)
                return await self._seen(name, ended)
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
                self._seen(Name(owner, request), record_of(document))
                for request, document in found[:most]
            )
        )
        return Page(list(seen), found[most - 1][0] if len(found) > most else None)

    async def _enter(
        self,
        name: Name,
        record: Record,
        files: Files,
        render: Callable[[Seen], Mapping[str, object]],
        turn: Turn | None,
    ) -> Mapping[str, object]:
        """Store a new request, keep its answer, and close its turn."""
        try:
            await self._store(name, record, files)
            await self._line.look()
            answer = render(await self._seen(name, record))
            if turn is not None:
                await turn.keep(answer, [])
        finally:
            if turn is not None:
                turn.close()
        self._runner.wake()
        return answer

    async def _store(self, name: Name, record: Record, files: Files) -> None:
        if record.callback is not None and self.deliveries.is_full:
            raise TooManyWaiting(
                "callback_url: as many background requests as may be wait for their receivers to "
                "answer",
                RETRY_AFTER_S,
            )
        bounds = self._settings.max_per_key, self._settings.max_in_all
        passed = await self._backends.unfinished.enter(name, *bounds)
        if passed is not None:
            whose, most = (
                ("this key has", bounds[0]) if passed == "own" else ("there are", bounds[1])
            )
            raise TooManyWaiting(
                f"{whose} as many unfinished background requests as may be, {most}: wait for some "
                "of them, or cancel them",
                self._line.expected_s(1) or RETRY_AFTER_S,
            )
        try:
            await self._backends.uploads.save(name.request, numbered(files))
            if record.callback is not None:
                callback = record.callback.model_dump(mode="json")
                await self._backends.callbacks.save(name, callback, "")
            await self._backends.requests.save(name, record.model_dump(mode="json"), "")
        except BaseException:
            with suppress(ServiceError):
                await self._backends.unfinished.leave(name)
            raise

    async def _record(self, name: Name) -> Record:
        found = await self._backends.requests.load(name)
        if found is None:
            raise RequestNotFound(GONE)
        return record_of(found[0])

    async def _seen(self, name: Name, record: Record) -> Seen:
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


def _by_field(files: Files) -> dict[str, bytes | None]:
    return {
        "image": files.image,
        "product_mask": files.product_mask,
        "background_image": files.background_image,
        **files.beside,
    }
