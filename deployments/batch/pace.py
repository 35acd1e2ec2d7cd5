"""When the service may be asked: after the waits that it asks for, and again when it is back."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from deployments.batch.errors import CannotGoOn
from deployments.batch.progress import Progress
from deployments.client import (
    AsyncBackdrop,
    BackdropError,
    BadResponse,
    Busy,
    ServiceFailed,
    Unauthorized,
    Unreachable,
)

T = TypeVar("T")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 15.0
"""Before a service that is down is asked again; each pause doubles."""

FAILURES = 3
"""Answers 500 or 504 to one call, after which its entry has failed."""

UPLOADS = 4
"""Submissions at the same time."""


class Pace:
    """Calls the service, and waits as it must.

    Args:
        client: Repeats nothing by itself.
        progress: Told of waits.
        patience_s: Seconds for which the service may be down.
    """

    def __init__(self, client: AsyncBackdrop, progress: Progress, patience_s: float) -> None:
        self._client = client
        self._progress = progress
        self._patience_s = patience_s
        self._uploads = asyncio.Semaphore(UPLOADS)
        self._not_before = 0.0
        self._freed = asyncio.Event()
        self._lost_since: float | None = None

    async def submit(self, submission: Callable[[], Awaitable[T]], images: int) -> T:
        """Call what makes a job, when there is room for it and the rates allow it.

        Args:
            submission: Makes the job.
            images: How many it asks for.

        Raises:
            BackdropError: As of `call`.
            CannotGoOn: As of `call`.
        """
        async with self._uploads:
            while True:
                await self._until_allowed(images)
                try:
                    return await self.call(submission)
                except Busy as error:
                    await self._make_room(error)

    async def call(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the service until it answers.

        Raises:
            Busy: It has no room, or a rate is used up.
            BackdropError: The request is at fault, or the service failed several times.
            CannotGoOn: The service is down for too long, or asks for a key.
        """
        failures = 0
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                answer = await call()
            except Unauthorized as error:
                raise CannotGoOn(
                    f"the service asks for an API key: set BACKDROP_API_KEY ({error})"
                ) from error
            except ServiceFailed:
                failures += 1
                if failures >= FAILURES:
                    raise
            except (Unreachable, BadResponse, Busy) as error:
                if _is_final(error):
                    raise
                self._lose(error)
                pause_s = max(error.retry_after or 0.0, pause_s)
            else:
                self._find()
                return answer
            await asyncio.sleep(pause_s * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def free(self) -> None:
        """A job has ended, so that there may be room for another."""
        self._freed.set()

    async def _until_allowed(self, images: int) -> None:
        while (
            wait_s := max(self._not_before - time.monotonic(), self._client.pause_s(images))
        ) > 0:
            await asyncio.sleep(wait_s)

    async def _make_room(self, error: Busy) -> None:
        wait_s = max(error.retry_after or FIRST_PAUSE_S, FIRST_PAUSE_S)
        self._progress.show()
        if error.code == "too_many_waiting":
            # There is room when a job ends, which is one of ours if we have any.
            self._freed.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._freed.wait()
            except TimeoutError:
                pass
            return
        self._not_before = max(self._not_before, time.monotonic() + wait_s)

    def _lose(self, error: BackdropError) -> None:
        now = time.monotonic()
        if self._lost_since is None:
            self._lost_since = now
            self._progress.say(f"{error}; trying again for {self._patience_s:.0f} s")
        elif now - self._lost_since > self._patience_s:
            raise CannotGoOn(
                f"{error}, for {now - self._lost_since:.0f} s: start the same command again when "
                "the service is back"
            ) from error

    def _find(self) -> None:
        if self._lost_since is not None:
            self._lost_since = None
            self._progress.say("the service is back")


def _is_final(error: BackdropError) -> bool:
    """Whether waiting for the service does not help."""
    if isinstance(error, BadResponse):
        # A gateway that refuses it. The service's own proxy answers 404 while it has no routes.
        return 400 <= error.status < 500 and error.status not in (404, 408, 429)
    return isinstance(error, Busy) and error.status == 429
