"""How much each API key may ask for in a minute, counted in this process's memory."""

from __future__ import annotations

import time
from collections.abc import Iterator

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from deployments.admission_messages import RateLeft
from deployments.errors import RateLimited
from deployments.rate_settings import RateSettings


class _Limit(RateLimitItemPerMinute):
    """A limit whose count goes on where its amount changes, or two replicas tell two amounts."""

    def key_for(self, *identifiers: bytes | str | float) -> str:
        """Name the window: by what is counted, and by whose it is."""
        return "/".join([self.namespace, *map(str, identifiers)])


class Rates:
    """What all API keys have asked for.

    Every window moves: at no moment do the last 60 seconds hold more than the limit. One thread may
    use it.
    """

    def __init__(self) -> None:
        self._storage = MemoryStorage()
        self._windows = MovingWindowRateLimiter(self._storage)

    def take(self, key: str, images: int, rates: RateSettings) -> tuple[RateLeft, ...]:
        """Count a request and its images, or neither; tells what is left.

        What has no limit is not counted.

        Args:
            key: The key's name; callers without one share the empty name.
            images: How many the request asks for; 0 counts the request alone.
            rates: The key's limits.

        Raises:
            RateLimited: A limit would be exceeded. The message names it and its value. The wait is
                the time until enough has left the window.
        """
        costs = {"requests": 1, "images": images}
        asked = [(limit, costs[limit.namespace]) for limit in _limits(rates)]
        for limit, cost in asked:
            if cost and not self._windows.test(limit, key, cost=cost):
                raise self._refusal(limit, key, cost, rates)
        for limit, cost in asked:
            if cost:
                self._windows.hit(limit, key, cost=cost)
        return self.left(key, rates)

    def left(self, key: str, rates: RateSettings) -> tuple[RateLeft, ...]:
        """What is left of a key's rates.

        Args:
            key: The key's name; callers without one share the empty name.
            rates: The key's limits.
        """
        now, left = time.time(), []
        for limit in _limits(rates):
            window = self._windows.get_window_stats(limit, key)
            all_left = window.remaining >= limit.amount
            more_s = 0.0 if all_left else max(0.0, window.reset_time - now)
            # A limit that was lowered may be passed already.
            remaining = max(0, window.remaining)
            left.append(RateLeft(limit.namespace, limit.amount, remaining, more_s))
        return tuple(left)

    def _refusal(self, limit: _Limit, key: str, cost: int, rates: RateSettings) -> RateLimited:
        left = max(0, self._windows.get_window_stats(limit, key).remaining)
        whose = f"key {key!r}" if key else "all callers together"
        return RateLimited(
            f"{limit.namespace}_per_minute: the limit of {whose} is {limit.amount}; {left} are "
            f"left now and this request needs {cost}",
            retry_after_s=self._wait_s(limit, key, cost),
            rates=self.left(key, rates),
        )

    def _wait_s(self, limit: _Limit, key: str, cost: int) -> float:
        """Seconds until so many fit; of what never fits, until all have left the window."""
        counted = self._storage.events.get(limit.key_for(key))  # the newest first
        if not counted:
            return float(limit.get_expiry())
        last = counted[max(0, limit.amount - cost)]
        return max(0.0, last.atime + limit.get_expiry() - time.time())


def _limits(rates: RateSettings) -> Iterator[_Limit]:
    for name in ("requests", "images"):
        amount = getattr(rates, f"{name}_per_minute")
        if amount is not None:
            yield _Limit(amount, namespace=name)
