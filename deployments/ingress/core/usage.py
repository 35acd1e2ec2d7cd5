"""What API keys use: counted as it happens, and written down by day.

A replica that is killed has lost what it counted since it last wrote; nothing else is lost. While
the store is away, the count goes on in memory, and the next writing has all of it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Literal, Protocol

from deployments.errors import Overloaded, ServiceError

logger = logging.getLogger(__name__)

FAREWELL_S = 2.0
"""Seconds in which a replica that stops writes once more."""

End = Literal["answered", "refused", "failed"]
"""How a request ended: with success, with 429, or with another error or without its caller."""


def end_of(status: int) -> End:
    """How a request with an HTTP status ended."""
    if status == Overloaded.status:
        return "refused"
    return "answered" if status < 400 else "failed"


class Counting(Protocol):
    """Hears what is used. It must be quick and must not raise."""

    def asked(self, api_key_name: str, end: End) -> None:
        """A POST request has ended; the name is empty without a key."""
        ...

    def made(self, api_key_name: str, steps: int, pixels: int) -> None:
        """A result was stored: with so many denoising steps, width times height so large."""
        ...


class StoredUsage(Protocol):
    """The counts of days in the store."""

    async def save(self, day: date, replica: str, keys: Mapping[str, Mapping[str, int]]) -> None:
        """Write what a replica has counted in a day, over what it wrote before."""
        ...


@dataclass(slots=True)
class Used:
    """What one API key has used in a day.

    Attributes:
        requests: POST requests, however they ended.
        refused: Those of them that got 429.
        failed: Those that ended with another error, or whose caller left.
        images: Results that were stored.
        steps: Their denoising steps.
        pixels: Their widths times heights.
    """

    requests: int = 0
    refused: int = 0
    failed: int = 0
    images: int = 0
    steps: int = 0
    pixels: int = 0


class DailyUsage:
    """Counts by day and API key, and writes it down.

    Args:
        stored: Where it is written.
        every_s: Seconds between two writings.
        clock: Tells the time.
    """

    def __init__(
        self,
        stored: StoredUsage,
        every_s: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._stored = stored
        self._every_s = every_s
        self._clock = clock
        self._replica = secrets.token_hex(10)
        self._day = clock().date()
        self._days: dict[date, defaultdict[str, Used]] = {}
        self._unwritten: set[date] = set()

    def asked(self, api_key_name: str, end: End) -> None:
        """See `Counting.asked`."""
        used = self._of(api_key_name)
        used.requests += 1
        used.refused += end == "refused"
        used.failed += end == "failed"

    def made(self, api_key_name: str, steps: int, pixels: int) -> None:
        """See `Counting.made`."""
        used = self._of(api_key_name)
        used.images += 1
        used.steps += steps
        used.pixels += pixels

    async def run(self) -> None:
        """Write again and again, and once more when it is cancelled."""
        try:
            while True:
                await asyncio.sleep(self._every_s)
                await self.save()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await self.save()

    async def save(self) -> None:
        """Write what was counted since the last time; of a day always all."""
        for day in sorted(self._unwritten):
            self._unwritten.discard(day)
            keys = {name: asdict(used) for name, used in self._days[day].items()}
            try:
                await self._stored.save(day, self._replica, keys)
            except BaseException as error:
                self._unwritten.add(day)
                if not isinstance(error, ServiceError):
                    raise
                logger.warning("the usage of %s could not be written yet: %s", day, error)
        kept = {self._day, *self._unwritten}
        self._days = {day: keys for day, keys in self._days.items() if day in kept}

    def _of(self, api_key_name: str) -> Used:
        # Never an earlier day again, whose count may be written and forgotten.
        self._day = max(self._day, self._clock().date())
        self._unwritten.add(self._day)
        return self._days.setdefault(self._day, defaultdict(Used))[api_key_name]


class Usage:
    """Tells all who count what is used.

    Args:
        counting: These.
        daily: Counts too, and has to be run; None where nothing is written down.
    """

    def __init__(self, counting: Sequence[Counting] = (), daily: DailyUsage | None = None) -> None:
        self._counting = (*counting, *(() if daily is None else (daily,)))
        self._daily = daily

    def asked(self, api_key_name: str, end: End) -> None:
        """See `Counting.asked`."""
        for counting in self._counting:
            counting.asked(api_key_name, end)

    def made(self, api_key_name: str, steps: int, pixels: int) -> None:
        """See `Counting.made`."""
        for counting in self._counting:
            counting.made(api_key_name, steps, pixels)

    async def run(self) -> None:
        """Write down what is written down, until it is cancelled."""
        if self._daily is not None:
            await self._daily.run()
