"""A request's deadline."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from deployments.errors import DeadlineExceeded

_END: ContextVar[float] = ContextVar("end", default=math.inf)


def end() -> float:
    """When what runs now is cancelled at the latest, by `time.monotonic`; never is infinity."""
    return _END.get()


class Deadline:
    """The moment at which a request is given up.

    Args:
        seconds: From now on.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def rest_s(self) -> float:
        """Seconds that are left, 0 when it is past."""
        return max(0.0, self._end - time.monotonic())

    def exceeded(self) -> DeadlineExceeded:
        """The error of a request that is not done by then."""
        return DeadlineExceeded(f"the request was not done within {self.seconds:g} s")

    @asynccontextmanager
    async def bounds(self) -> AsyncIterator[None]:
        """Cancel what is inside when the deadline passes.

        Raises:
            DeadlineExceeded: It passed.
        """
        timeout = asyncio.timeout(self.rest_s())
        outer = _END.set(min(self._end, _END.get()))
        try:
            async with timeout:
                yield
        except TimeoutError:
            if timeout.expired():
                raise self.exceeded() from None
            raise
        finally:
            _END.reset(outer)
