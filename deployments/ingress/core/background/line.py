"""The line of unfinished background requests, as one ingress replica sees it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from deployments.ingress.core.background.names import Name, in_turn
from deployments.ingress.core.stores import UnfinishedRequests

FRESH_S = 1.0
"""Seconds for which what was seen is good enough to tell a place."""

WINDOW_S = 300.0
"""Seconds over which it is measured how fast the line moves."""


class Line:
    """Tells who is next, which place a request has, and how fast the line moves.

    Args:
        unfinished: Lists what is in it.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, unfinished: UnfinishedRequests, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._unfinished = unfinished
        self._clock = clock
        self._looking = asyncio.Lock()
        self._seen: list[Name] = []
        self._seen_at: float | None = None
        self._left: deque[tuple[float, float, int]] = deque()

    async def look(self, fresh_s: float = 0.0) -> Sequence[Name]:
        """The unfinished requests, in the order in which they are worked on.

        Args:
            fresh_s: Seconds for which an earlier look is good enough.
        """
        async with self._looking:
            now = self._clock()
            if self._seen_at is None or now - self._seen_at >= fresh_s:
                self._saw(in_turn(await self._unfinished.all()), now)
            return self._seen

    @property
    def seen(self) -> Sequence[Name]:
        """What the last look has found."""
        return self._seen

    async def place(self, name: Name) -> int | None:
        """The place of a request, from 1 on; those that are worked on are counted.

        None where it is not in the line, or not yet.
        """
        seen = await self.look(FRESH_S)
        return seen.index(name) + 1 if name in seen else None

    def expected_s(self, place: int) -> float | None:
        """Seconds until the request in a place has left the line; None where none has yet."""
        left = sum(count for _, _, count in self._left)
        if not left:
            return None
        return place * sum(seconds for _, seconds, _ in self._left) / left

    def _saw(self, now_there: list[Name], now: float) -> None:
        if self._seen_at is not None and self._seen:
            gone = len(set(self._seen) - set(now_there))
            self._left.append((now, now - self._seen_at, gone))
        while self._left and now - self._left[0][0] > WINDOW_S:
            self._left.popleft()
        self._seen, self._seen_at = now_there, now
