"""Tells receivers what has happened to background requests, in order and at least once each.

How far this is stands in the storage, beside each request, from its submission until all is told.
So any ingress replica goes on where another one died. Which of them does is settled by a claim.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from deployments.errors import InternalError, InvalidRequest, ServiceError
from deployments.ingress.core.background.line import Line
from deployments.ingress.core.background.names import Name
from deployments.ingress.core.background.records import Record, StoredEvent, record_of
from deployments.ingress.core.callbacks.ports import NotReached, Receivers, StoredCallbacks
from deployments.ingress.core.callbacks.progress import GONE, Callback, callback_of
from deployments.ingress.core.callbacks.targets import Target, Targets
from deployments.ingress.core.places_client import PlacesClient
from deployments.ingress.core.stores import StoredRequests
from deployments.webhook_settings import WebhookSettings

logger = logging.getLogger(__name__)

Render = Callable[[str, Record, StoredEvent], bytes]
"""Makes the body that tells of an event, from the request's key and its record."""

OTHERS_S = 2.0
"""Seconds after which a request is looked at again that another replica tells of."""

BUSY_S = 0.5
"""Seconds after which one is looked at again whose host is called as often as may be."""

PUT_OFF_S = 5.0
"""Seconds for which one is put off while a part of the service is down."""

BROKEN_S = 60.0
"""Seconds for which one is put off that failed in a way nobody foresaw, or has no record yet."""

IDLE = 4
"""How much rarer the looks are while nothing is to be told: what happens here wakes them."""

SHARE = 10
"""A look that takes a second is followed by so many without one."""

MOST_MEETINGS = 20
"""How often the end is written again because something else was written meanwhile."""


class Deliveries:
    """Calls receivers back.

    Args:
        stored: How far the callbacks are.
        requests: What they tell of.
        receivers: Whom they go to.
        places: Claims requests.
        line: Knows which requests have not ended.
        settings: Bounds.
        poll_s: Seconds between two looks.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        stored: StoredCallbacks,
        requests: StoredRequests,
        receivers: Receivers,
        places: PlacesClient,
        line: Line,
        settings: WebhookSettings,
        poll_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stored = stored
        self._requests = requests
        self._receivers = receivers
        self._places = places
        self._line = line
        self._settings = settings
        self._targets = Targets(settings)
        self._poll_s = poll_s
        self._clock = clock
        self._waiting: Sequence[Name] = ()
        self._working: dict[Name, asyncio.Task[None]] = {}
        self._calling = Counter[str]()
        self._later: dict[Name, float] = {}
        self._quiet: dict[Name, float] = {}
        self._stirred: set[Name] = set()
        self._wake = asyncio.Event()

    @property
    def enabled(self) -> bool:
        """Whether there may be callbacks at all."""
        return self._settings.enabled

    @property
    def is_full(self) -> bool:
        """Whether as many requests as may be have callbacks that are not done, as seen last."""
        return len(self._waiting) >= self._settings.max_waiting

    def read(self, url: str) -> Target:
        """See that a callback may go to a URL; see `Targets.read`."""
        return self._targets.read(url)

    def stir(self, name: Name) -> None:
        """Look at a request now: something has happened to it."""
        if self.enabled:
            self._stirred.add(name)
            self._wake.set()

    async def run(self, render: Render) -> None:
        """Tell what there is to tell, until it is cancelled.

        Args:
            render: Makes the bodies.
        """
        # A new event, because it belongs to the event loop that first waits for it.
        self._wake = asyncio.Event()
        try:
            while True:
                self._wake.clear()
                took_s = await self._look(render)
                await asyncio.sleep(took_s * SHARE)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_s * (1 if self._waiting else IDLE)):
                        await self._wake.wait()
        finally:
            tasks = list(self._working.values())
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    async def _look(self, render: Render) -> float:
        """Start what is due; returns how long the listing took, in seconds."""
        stirred, self._stirred = self._stirred, set()
        began = time.monotonic()
        try:
            self._waiting = await self._stored.all()
            unfinished = set(await self._line.look(self._poll_s)) if self._waiting else set()
        except ServiceError as error:
            logger.warning("callbacks cannot be looked for now: %s", error)
            self._stirred |= stirred
            return 0.0
        took_s, now = time.monotonic() - began, self._clock()
        there = set(self._waiting)
        self._later = {n: due for n, due in self._later.items() if due > now and n in there}
        self._quiet = {n: until for n, until in self._quiet.items() if until > now and n in there}
        for name in sorted(self._waiting, key=lambda name: name.submitted_ms):
            # What happens to a request is stirred where it is worked on; if that replica dies, the
            # one that takes the request over stirs again.
            if name not in stirred and (name in unfinished or name in self._quiet):
                continue
            if name in self._working or name in self._later or self._full:
                self._stirred |= {name} & stirred
            else:
                self._working[name] = asyncio.create_task(self._one(name, render))
        return took_s

    @property
    def _full(self) -> bool:
        return len(self._working) >= self._settings.at_once

    async def _one(self, name: Name, render: Render) -> None:
        wait_s: float | None = None
        claim = None
        try:
            claim = await self._places.claim(f"callback {name.request}", "")
            wait_s = OTHERS_S if claim is None else await self._tell(name, render)
        except ServiceError as error:
            logger.warning("the callbacks of %s have to wait: %s", name.request, error)
            wait_s = PUT_OFF_S
        except Exception:
            logger.exception("the callbacks of %s failed", name.request)
            wait_s = BROKEN_S
        finally:
            if wait_s is None:  # as far as is seen here; another replica may have submitted it
                self._quiet[name] = self._clock() + self._poll_s
            else:
                self._later[name] = self._clock() + wait_s
            if claim is not None:
                claim.close()
            del self._working[name]
            self._wake.set()

    async def _tell(self, name: Name, render: Render) -> float | None:
        """Tell what is due of a request; seconds after which to go on, None for when it is stirred.

        The events of one request are told one after the other.
        """
        found = await self._stored.load(name)
        loaded = await self._requests.load(name)
        if found is None:
            return None
        if loaded is None:
            return BROKEN_S  # it is only being stored, or never will be
        callback, version = callback_of(found[0]), found[1]
        record = record_of(loaded[0])
        for event in record.told_after(callback.after):
            if callback.gone:
                told = callback.without(event.id, callback.last_failure or "", self._clock())
            else:
                rest_s = callback.due - self._clock()
                if rest_s > 0:
                    return rest_s
                tried = await self._try(name, record, event, callback, render)
                if tried is None:
                    return BUSY_S
                told = tried
            saved = await self._stored.save(name, told.model_dump(mode="json"), version)
            if saved is None:
                return OTHERS_S  # somebody else was faster, or the answer of the storage was lost
            callback, version = told, saved
            if callback.after != event.id:
                return max(callback.due - self._clock(), 0.0)
        if record.is_over:
            await self._finish(name, callback)
        return None

    async def _try(
        self, name: Name, record: Record, event: StoredEvent, callback: Callback, render: Render
    ) -> Callback | None:
        """Make one try; None where its host is called as often as may be."""
        settings, asked_s = self._settings, None
        host = host_of(callback.url)
        if self._calling[host] >= settings.at_once // 2:
            return None
        self._calling[host] += 1
        status = 0
        try:
            target = self._targets.read(callback.url)
            body = render(name.request, record.as_of(event), event)
            reply = await self._receivers.post(target, message_id(name, event), body)
            status, asked_s = reply.status, reply.retry_after_s
            why = f"the receiver answered {status}"
        except NotReached as error:
            why = error.told
        except InvalidRequest:
            why = "the operator of this service does not allow the URL any more"
        finally:
            self._calling[host] -= 1
            self._calling += Counter()  # without those that are zero
        if 200 <= status < 300:
            self._receivers.count("delivered")
            return callback.with_success(event.id)
        now = self._clock()
        first = now if callback.since is None else callback.since
        last_s = first + settings.give_up_s
        if record.ended is not None:
            last_s = min(last_s, record.ended + 2 * settings.give_up_s)
        if status != GONE and now < last_s:
            self._receivers.count("retried")
            return callback.with_failure(why, now, settings.retry_s, last_s, asked_s)
        self._receivers.count("given_up")
        given_up = callback.without(event.id, why, now, gone=status == GONE)
        logger.warning(
            "callback %s to %s was given up after %d tries that failed: %s",
            message_id(name, event), host, given_up.failures, why,
        )  # fmt: skip
        return given_up

    async def _finish(self, name: Name, callback: Callback) -> None:
        """Write the end into the record, and remove what was beside it."""
        over = callback.model_copy(update={"over": True})
        for _ in range(MOST_MEETINGS):
            found = await self._requests.load(name)
            if found is None:
                break
            ended = record_of(found[0]).model_copy(update={"callback": over})
            if await self._requests.save(name, ended.model_dump(mode="json"), found[1]) is not None:
                break
        else:
            raise InternalError("the record is written by others all the time")
        await self._stored.remove(name)


def message_id(name: Name, event: StoredEvent) -> str:
    """The id of a callback: the same at each try, whoever makes it."""
    return f"msg_{name.request}_{event.id}"


def host_of(url: str) -> str:
    """The host and port of a callback URL that was read before."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0]
