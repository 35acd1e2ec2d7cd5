"""Takes background requests from the line, as many at a time as one replica may have.

Who works on a request is settled by a claim, as of an idempotency key: the admission deployment
gives it to one replica at a time, and takes it back from one that no longer reports. A replica that
only slept has lost it too, and finds that out when it writes: a record is replaced version by
version, and names who works on it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from deployments.errors import ServiceError
from deployments.ingress.core.background.held import Held, TakenOver
from deployments.ingress.core.background.line import Line
from deployments.ingress.core.background.names import Name
from deployments.ingress.core.background.records import record_of
from deployments.ingress.core.background.work import PUT_OFF_S, Making, PutOff, Work, clear
from deployments.ingress.core.places_client import Holding, PlacesClient
from deployments.ingress.core.ports import Backends
from deployments.settings import IngressSettings

logger = logging.getLogger(__name__)

OTHERS_S = 2.0
"""Seconds after which a request that another replica works on is asked for again."""

IDLE = 4
"""How much rarer the looks are while nothing is unfinished: who submits wakes its own replica."""

BROKEN_S = 60.0
"""Seconds after which a request is looked at again whose work failed in a way nobody foresaw."""


@dataclass(slots=True)
class _Working:
    task: asyncio.Task[None] | None = None
    held: Held | None = None
    work: Work | None = None


class Runner:
    """Works on the background requests of all API keys.

    Args:
        making: Makes their images.
        backends: The other deployments.
        places: Claims requests.
        line: Tells who is next.
        settings: How many at a time, and how long an attempt may take.
        told: Hears of each change of a request that somebody wants to be told of.
    """

    def __init__(
        self,
        making: Making,
        backends: Backends,
        places: PlacesClient,
        line: Line,
        settings: IngressSettings,
        told: Callable[[Name], None],
    ) -> None:
        self._making = making
        self._backends = backends
        self._places = places
        self._line = line
        self._told = told
        self._at_once = settings.background.at_once
        self._poll_s = settings.background.poll_s
        self._attempt_s = settings.deadline_s
        self._working: dict[Name, _Working] = {}
        self._later: dict[Name, float] = {}
        self._wake = asyncio.Event()
        # Of its own: no other module's numbers change because something waits here.
        self._chance = random.Random()  # noqa: S311 - only so that not all replicas look at once

    async def run(self) -> None:
        """Work until it is cancelled."""
        self._wake = asyncio.Event()
        try:
            while True:
                self._wake.clear()
                try:
                    await self._take()
                except ServiceError as error:
                    logger.warning("background requests cannot be looked for now: %s", error)
                wait_s = self._poll_s * (1 if self._line.seen else IDLE)
                try:
                    async with asyncio.timeout(wait_s * self._chance.uniform(0.75, 1.25)):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            tasks = [one.task for one in self._working.values() if one.task is not None]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def wake(self) -> None:
        """Look for requests now."""
        self._wake.set()

    def stir(self, name: Name) -> None:
        """Look now whether a request that is worked on here has ended."""
        working = self._working.get(name)
        if working is not None and working.work is not None:
            working.work.happening.stir()

    def held(self, name: Name) -> Held | None:
        """The request, where it is worked on here."""
        working = self._working.get(name)
        return None if working is None else working.held

    async def _take(self) -> None:
        line = await self._line.look()
        now = time.monotonic()
        self._later = {n: until for n, until in self._later.items() if until > now}
        for name in line:
            if len(self._working) >= self._at_once:
                return
            if name in self._working or name in self._later:
                continue
            claim = await self._places.claim(f"background {name.request}", "")
            if claim is None:
                self._later[name] = now + OTHERS_S
                continue
            working = self._working[name] = _Working()
            working.task = asyncio.create_task(self._one(name, claim, working))

    async def _one(self, name: Name, claim: Holding, working: _Working) -> None:
        wait_s: float | None = None
        try:
            wait_s = await self._work_on(name, working)
        except PutOff as put_off:
            wait_s = put_off.seconds
        except TakenOver:
            logger.warning("background request %s was taken over by another replica", name.request)
            wait_s = OTHERS_S
        except ServiceError as error:
            logger.warning("background request %s has to wait: %s", name.request, error)
            wait_s = PUT_OFF_S
        except Exception:
            logger.exception("background request %s failed", name.request)
            wait_s = BROKEN_S
        finally:
            if wait_s is not None:
                self._later[name] = time.monotonic() + wait_s
            claim.close()
            del self._working[name]
            self._wake.set()

    async def _work_on(self, name: Name, working: _Working) -> float | None:
        """Seconds after which it is asked for again; None where it is over."""
        found = await self._backends.requests.load(name)
        if found is None:
            return PUT_OFF_S  # it is only being stored, or never will be
        record = record_of(found[0])
        working.held = held = Held(name, record, found[1], self._backends.requests, self._told)
        if record.is_over:
            await clear(self._backends, held)
            return None
        working.work = Work(held, self._making, self._backends, self._attempt_s)
        logger.info("background request %s is worked on here", name.request)
        await working.work.run()
        logger.info("background request %s is %s", name.request, held.record.state)
        return None
