"""A background request that this replica works on: its record, and what happens to it meanwhile."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable

from deployments.ingress.core.background.names import Name
from deployments.ingress.core.background.records import Record, record_of
from deployments.ingress.core.events import ImageProgress, Made
from deployments.ingress.core.stores import StoredRequests


class Ended(Exception):
    """The request has ended meanwhile: somebody cancelled it."""


class TakenOver(Exception):
    """Somebody else works on the request: this replica was taken for dead."""


class Held:
    """The record of a request that this replica works on. It is the only writer of its progress.

    Args:
        name: The request.
        record: As it was read.
        version: Of that.
        stored: Where it is kept.
        told: Hears that it has changed.
    """

    def __init__(
        self,
        name: Name,
        record: Record,
        version: str,
        stored: StoredRequests,
        told: Callable[[Name], None],
    ) -> None:
        self.name = name
        self.record = record
        self._version = version
        self._stored = stored
        self._token = secrets.token_hex(8)
        self._changed = asyncio.Event()
        self._told = told

    async def begin(self) -> None:
        """Become the one who writes.

        Raises:
            Ended: It has ended.
            TakenOver: Somebody else was faster.
        """
        await self._write(self.record.model_copy(update={"runner": self._token}))

    async def write(self, change: Callable[[Record], Record]) -> None:
        """Change the record; those who follow it here are told.

        Raises:
            Ended: It has ended meanwhile.
            TakenOver: Somebody else works on it.
        """
        await self._write(change(self.record))

    async def look(self) -> None:
        """See whether it is still ours.

        Raises:
            Ended: It has ended meanwhile.
            TakenOver: Somebody else works on it.
        """
        found = await self._stored.load(self.name)
        if found is None:
            raise Ended
        record = record_of(found[0])
        if record.is_over:
            self._tell(record)
            raise Ended
        if record.runner != self._token:
            raise TakenOver
        self._version = found[1]

    async def changed(self, longest_s: float) -> None:
        """Wait until the record is another, or for so many seconds."""
        waiting = self._changed
        try:
            async with asyncio.timeout(longest_s):
                await waiting.wait()
        except TimeoutError:
            return

    async def _write(self, record: Record) -> None:
        version = await self._stored.save(self.name, record.model_dump(mode="json"), self._version)
        if version is None:
            await self.look()
            # Ours, and yet another version: it was stored while its answer was lost.
            raise TakenOver
        self._version = version
        self._tell(record)

    def _tell(self, record: Record) -> None:
        self.record = record
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if record.callback is not None:
            self._told(self.name)


class Happening:
    """What has happened to a request and is not written down yet.

    Of the steps of an image only the last one is kept: they are told about once for each writing.
    The writings become rarer the longer it takes, so that their number stays small.
    """

    SHORTEST_S = 0.5
    SHARE = 1 / 60

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._steps: dict[int, ImageProgress] = {}
        self._made: list[Made] = []
        self._stir = asyncio.Event()
        self._ended = False

    def add(self, event: ImageProgress | Made) -> None:
        """Note something."""
        if isinstance(event, ImageProgress):
            self._steps[event.index] = event
            return
        self._steps.pop(event.index, None)
        self._made.append(event)
        self._stir.set()

    def stir(self) -> None:
        """Let whoever waits go on at once."""
        self._stir.set()

    async def wait(self) -> None:
        """Wait until something should be written down, or looked at."""
        longest_s = max(self.SHORTEST_S, (time.monotonic() - self._begun) * self.SHARE)
        try:
            async with asyncio.timeout(longest_s):
                await self._stir.wait()
        except TimeoutError:
            return
        self._stir.clear()

    def take(self) -> list[ImageProgress | Made]:
        """All that is not written down yet."""
        happened: list[ImageProgress | Made] = [self._steps[index] for index in sorted(self._steps)]
        happened += self._made
        self._steps, self._made = {}, []
        return happened
